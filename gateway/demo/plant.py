"""The plant as a process: `python -m gateway.demo.plant 0 0 0 0`. Ports of meter, inverter, pump and tank (0: any).

Prints one line of JSON with the ports once it listens; ends with SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence

from gateway.demo.devices import Inverter, Meter, Pump, Sun, Tank
from gateway.demo.modbus_server import Image, ModbusServer

NAMES = ("meter", "inverter", "pump", "tank")
_STEP_S = 0.1


class Plant:
    """All devices together, moved in the order in which they act on each other."""

    def __init__(self) -> None:
        self.sun = Sun()
        self.tank = Tank()
        self.pump = Pump(self.tank)
        self.inverter = Inverter(self.sun)
        self.meter = Meter(self.pump, self.inverter)
        self.step(_STEP_S)

    def step(self, dt: float) -> None:
        """Move by `dt` seconds and bring the state into the registers."""
        for part in (self.sun, self.pump, self.tank, self.inverter, self.meter):
            part.step(dt)
        for device in (self.pump, self.tank, self.inverter, self.meter):
            device.publish()

    def image(self, name: str) -> Image:
        devices: dict[str, Meter | Inverter | Pump | Tank] = {
            "meter": self.meter,
            "inverter": self.inverter,
            "pump": self.pump,
            "tank": self.tank,
        }
        return devices[name].image

    async def run(self) -> None:
        """Move with real time. After a pause of the machine it goes on from where it was."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(_STEP_S)
            now = time.monotonic()
            self.step(min(now - last, 1.0))
            last = now


async def serve(ports: Sequence[int]) -> None:
    """Run the plant and its servers until a signal."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    plant = Plant()
    async with asyncio.TaskGroup() as group:
        listening = [loop.create_future() for _ in NAMES]
        tasks = [
            group.create_task(ModbusServer(plant.image(name)).run(port, bound), name=f"modbus:{name}")
            for name, port, bound in zip(NAMES, ports, listening, strict=True)
        ]
        tasks.append(group.create_task(plant.run(), name="plant"))
        bound_ports = await asyncio.wait_for(asyncio.gather(*listening), 10.0)
        print(json.dumps(dict(zip(NAMES, bound_ports, strict=True))), flush=True)
        await stop.wait()
        for task in tasks:
            task.cancel()


def main() -> int:
    ports = [int(word) for word in sys.argv[1:]] or [0] * len(NAMES)
    asyncio.run(serve(ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
