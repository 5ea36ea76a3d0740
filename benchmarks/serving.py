"""What servers to the plant cost: 1,000 tags that change once a second, without a server, and with each kind and a client.

The OPC UA client (asyncua, a process of its own) subscribes to all of them; the Modbus client reads all of them once a
second. Printed: CPU of one core that the server's process uses, its RssAnon, and how many values the client got.

Run: python -m benchmarks.serving      (BENCH_SECONDS, default 30)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.model import Batch, Block, TagSpec, ValueType
from gateway.serving.contract import ServerSpec
from tests.support.serving import Plant, device

SECONDS = float(os.environ.get("BENCH_SECONDS", "30"))
TAGS, DEVICES = 1000, 10
OPCUA_CLIENT = """
import asyncio, sys
from asyncua import Client

async def main():
    count = 0
    class Handler:
        def datachange_notification(self, node, value, data):
            nonlocal count
            count += 1
    async with Client(sys.argv[1], timeout=20) as client:
        feed = await client.create_subscription(100, Handler(), queue_maxsize=5000)
        nodes = [client.get_node(f"ns=1;s=d{n % 10}.t{n // 10:03}") for n in range(1000)]
        for start in range(0, 1000, 100):
            await feed.subscribe_data_change(nodes[start:start + 100])
        print("ready", flush=True)
        before = count
        await asyncio.sleep(float(sys.argv[2]))
        print(count - before, flush=True)

asyncio.run(main())
"""
MODBUS_CLIENT = """
import asyncio, sys
from pymodbus.client import AsyncModbusTcpClient

async def main():
    client = AsyncModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=10)
    await client.connect()
    print("ready", flush=True)
    count, loop = 0, asyncio.get_running_loop()
    begin = loop.time()
    while loop.time() < begin + float(sys.argv[2]):
        for start in range(0, 2000, 100):
            count += len((await client.read_input_registers(start, count=100)).registers) // 2
        await asyncio.sleep(1)
    print(count, flush=True)
    client.close()

asyncio.run(main())
"""


def plant() -> Plant:
    return Plant(
        *(
            device(f"d{n}", *(TagSpec(f"t{i:03}", ValueType.FLOAT32, None) for i in range(TAGS // DEVICES)))
            for n in range(DEVICES)
        )
    )


async def change(behind: Plant) -> None:
    """Every tag has a new value each second, a batch a device."""
    blocks = [Block(each.id, each.tags) for each in behind.tags.devices()]
    tick = 0
    while True:
        tick += 1
        for block in blocks:
            batch = Batch(
                block, [float(tick + i) for i in range(len(block.tags))], behind.clock.wall_ms(), behind.clock.mono()
            )
            behind.latest.on_batch(batch)
            if behind.runner is not None:
                behind.runner.on_batch(batch)
        await asyncio.sleep(1.0)


def rss_anon() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024 / 1e6


async def measured(behind: Plant, argv: list[str] | None) -> tuple[float, int]:
    """CPU share of this process while the client works, and what the client got."""
    task = asyncio.create_task(change(behind))
    try:
        if argv is None:
            begin = time.process_time()
            await asyncio.sleep(SECONDS)
            return (time.process_time() - begin) / SECONDS, 0
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", *argv, stdout=subprocess.PIPE)
        assert client.stdout is not None
        await client.stdout.readline()
        begin = time.process_time()
        count = int(await client.stdout.readline())
        used = (time.process_time() - begin) / SECONDS
        await client.wait()
        return used, count
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def one(name: str) -> None:
    behind, before = plant(), rss_anon()
    if name == "no server":
        used, count = await measured(behind, None)
    else:
        spec, settings, argv = kind(name)
        with tempfile.TemporaryDirectory() as folder:
            async with behind.served(spec, settings, Path(folder)) as port:
                used, count = await measured(behind, argv(port))
    print(f"{name:10} CPU {used:6.1%} of a core, RssAnon {rss_anon():.0f} MB (before {before:.0f}), client got {count}")


def kind(name: str) -> tuple[ServerSpec, Any, Any]:
    if name == "opcua":
        from drivers.opcua.server import SPEC
        from drivers.opcua.server.settings import ServerSettings

        settings = ServerSettings(anonymous=True, security=("none",))
        return SPEC, settings, lambda port: [OPCUA_CLIENT, f"opc.tcp://127.0.0.1:{port}/", str(SECONDS)]
    from drivers.modbus import server
    from drivers.modbus.server import settings as modbus

    return server.SPEC, modbus.ServerSettings(), lambda port: [MODBUS_CLIENT, str(port), str(SECONDS)]


def main() -> None:
    """Each in a process of its own: memory of one must not be the next one's."""
    if len(sys.argv) > 1:
        asyncio.run(one(sys.argv[1]))
        return
    for name in ("no server", "modbus", "opcua"):
        subprocess.run([sys.executable, "-m", "benchmarks.serving", name], check=True)


if __name__ == "__main__":
    main()
