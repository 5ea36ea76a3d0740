"""Write latency while one wire is polled flat out: a write is served between any two requests.

Two wires, libmodbus at the other end of both: TCP, and RTU on a pty pair (socat), the latter through the Modbus driver
and through pymodbus' own client. One task owns the wire, as the kernel's arbiter does; writes arrive at random moments from another task.
Printed per wire: polls per second, and milliseconds from asking to the device's confirmation, and to the value read
back. A pty has no baud rate: its figures show the software, a line of 9600 baud adds 11 bits x bytes / 9600 s.

Run: python -m benchmarks.write_latency      (BENCH_WRITES, default 500; FIELDPOST_SEED)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.framer import FramerType

from tests.drivers.modbus.kit import channel_of, device_of, driver_on, tag_spec
from tests.support.eventually import wait_until
from tests.support.processes import Processes

WRITES = int(os.environ.get("BENCH_WRITES", "500"))
REGISTERS = 100
TARGET = 500
SERVER = Path(__file__).resolve().parent.parent / "tests/peers/modbus_server.c"

Poll = Callable[[], Awaitable[object]]
Put = Callable[[int], Awaitable[None]]
Get = Callable[[], Awaitable[int]]


class OneTask:
    """The smallest arbiter: writes before the next request, everything on the wire in one task."""

    def __init__(self, poll: Poll, put: Put, get: Get) -> None:
        self._poll, self._put, self._get = poll, put, get
        self._asked: deque[tuple[int, float, asyncio.Future[None]]] = deque(maxlen=64)
        self.polls = 0
        self.stopping = False
        self.confirmed: list[float] = []
        self.verified: list[float] = []

    async def run(self) -> None:
        while not self.stopping:
            while self._asked:
                value, since, done = self._asked.popleft()
                await self._put(value)
                self.confirmed.append(time.perf_counter() - since)
                if await self._get() != value:
                    raise RuntimeError("the value read back differs")
                self.verified.append(time.perf_counter() - since)
                done.set_result(None)
            await self._poll()
            self.polls += 1

    async def write(self, value: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append((value, time.perf_counter(), done))
        await asyncio.wait_for(done, 10)


async def measure(name: str, arbiter: OneTask, chance: random.Random) -> None:
    running = asyncio.create_task(arbiter.run())
    start = time.perf_counter()
    for i in range(WRITES):
        await asyncio.sleep(chance.uniform(0.001, 0.01))
        await arbiter.write(i % 65536)
    seconds = time.perf_counter() - start
    arbiter.stopping = True  # not cancel: pymodbus may lose a cancellation
    await running
    print(f"{name:8} {arbiter.polls / seconds:7.0f} polls/s of {REGISTERS} registers")
    for what, samples in (("confirmed", arbiter.confirmed), ("read back", arbiter.verified)):
        row = sorted(samples)
        p50, p99 = row[len(row) // 2], row[int(len(row) * 0.99)]
        print(
            f"{'':8} {what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, max {row[-1] * 1e3:.2f} ms, n {len(row)}"
        )


@contextlib.asynccontextmanager
async def driven(place: dict[str, Any] | int) -> AsyncIterator[OneTask]:
    """The Modbus driver on one wire."""
    specs = [tag_spec(f"t{i}", f"holding/{i}") for i in range(REGISTERS)]
    target = tag_spec("target", f"holding/{TARGET}", access="rw")
    device = device_of([*specs, target])
    async with driver_on(channel_of(device, port=place), device) as driver:
        request = driver.plan(device, device.tags[:-1])[0]
        back = driver.plan(device, device.tags[-1:])[0]

        async def get() -> int:
            return int((await driver.read(back)).values[0])  # type: ignore[arg-type]

        yield OneTask(lambda: driver.read(request), lambda value: driver.write(device, device.tags[-1], value), get)


def tcp(processes: Processes, program: Path) -> int:
    """A server of libmodbus; its port."""
    server = processes.start("libmodbus-tcp", [str(program), "tcp", "0"])
    found = re.search(r"listening (\d+)", server.wait_output("listening "))
    assert found is not None
    return int(found[1])


def pty(processes: Processes, program: Path, folder: Path) -> str:
    """A pty pair with libmodbus on one end; the other end."""
    ends = folder / "end-a", folder / "end-b"
    processes.start("socat", [shutil.which("socat") or "socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    wait_until(lambda: all(end.exists() for end in ends))
    processes.start("libmodbus-rtu", [str(program), "rtu", str(ends[0])]).wait_output("ready")
    return str(ends[1])


@contextlib.asynccontextmanager
async def bare(port: str) -> AsyncIterator[OneTask]:
    """The client of pymodbus on the serial line."""
    client = AsyncModbusSerialClient(
        port, framer=FramerType.RTU, baudrate=9600, timeout=1, retries=0, reconnect_delay=0
    )
    assert await client.connect()

    async def get() -> int:
        return int((await client.read_holding_registers(TARGET, count=1, device_id=1)).registers[0])

    async def put(value: int) -> None:
        assert not (await client.write_register(TARGET, value, device_id=1)).isError()

    async def poll() -> None:
        answer = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
        assert not answer.isError()
        assert len(answer.registers) == REGISTERS

    try:
        yield OneTask(poll, put, get)
    finally:
        client.close()


async def main() -> None:
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    seed = int(os.environ.get("FIELDPOST_SEED", "1"))
    print(f"FIELDPOST_SEED={seed}, {WRITES} writes, asyncio's own loop")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "modbus_server"
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
        ).stdout.split()
        subprocess.run(["gcc", str(SERVER), "-o", str(program), *flags], check=True)
        processes = Processes(folder)
        try:
            async with driven(tcp(processes, program)) as arbiter:
                await measure("TCP", arbiter, random.Random(seed))
            port = pty(processes, program, folder)
            async with driven({"serial": {"port": port, "line": "9600-8N1", "gap": "0ms"}}) as arbiter:
                await measure("RTU", arbiter, random.Random(seed))
            async with bare(port) as arbiter:
                await measure("pymodbus", arbiter, random.Random(seed))
        finally:
            processes.end_all()


if __name__ == "__main__":
    asyncio.run(main())
