"""The yardstick: a polling loop as one would write it in an afternoon. pymodbus and aiomqtt, one JSON message per
poll with QoS 1, no store, no rules, no quality, no numbers.

Run by the measurements:  python -m benchmarks.bare_loop '{"ports": [[1502, [1]]], "broker": 1883, ...}'
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiomqtt
from pymodbus.client import AsyncModbusTcpClient


async def poll(
    client: AsyncModbusTcpClient, port: int, unit: int, spec: dict[str, Any], mqtt: aiomqtt.Client, names: list[str]
) -> None:
    """One device for ever; `interval` 0 means as fast as it answers."""
    interval = spec["interval"]
    due = time.monotonic()
    while True:
        answer = await client.read_holding_registers(0, count=spec["registers"], device_id=unit)
        body = {
            "device": f"{port}-{unit}",
            "ts": time.time_ns() // 1_000_000,
            "values": dict(zip(names, answer.registers, strict=True)),
        }
        await mqtt.publish("bare/telemetry", json.dumps(body, separators=(",", ":")), qos=1)
        if interval:
            due += interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def main(spec: dict[str, Any]) -> None:
    names = [f"r{number:03d}" for number in range(spec["registers"])]
    async with (
        aiomqtt.Client("127.0.0.1", spec["broker"], protocol=aiomqtt.ProtocolVersion.V5) as mqtt,
        asyncio.TaskGroup() as group,
    ):
        for port, units in spec["ports"]:
            client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
            await client.connect()
            for unit in units:
                group.create_task(poll(client, port, unit, spec, mqtt, names))
        print("polling", flush=True)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(json.loads(sys.argv[1])))
    else:
        uvloop.run(main(json.loads(sys.argv[1])))
