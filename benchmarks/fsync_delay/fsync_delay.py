"""How the commit levels behave on a slow disk: `python benchmarks/fsync_delay/fsync_delay.py`.

For each delay a process runs 1,000 readings/s (10 devices x 100 tags) and one alarm in 3 s through a real store for
a few seconds, below the shim. Printed: commits, time from append to durable for telemetry and alarms, the worst lag
of the event loop, readings counted as lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = float(os.environ.get("FSYNC_SECONDS", "6"))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def load(path: Path) -> dict[str, float]:
    from gateway.clock import SystemClock
    from gateway.journal import Level
    from gateway.model import Batch, Block, Tag, TagSpec, ValueType
    from gateway.settings.types import StoreSettings
    from gateway.store import Store

    clock = SystemClock()
    store = Store(StoreSettings(path), clock, release_ms=0)
    store.open()
    tags = [f"t{i}" for i in range(100)]
    aliases = store.bind_aliases([(f"d{d}", tag) for d in range(10) for tag in tags])
    blocks = [
        Block(
            f"d{d}",
            [Tag(f"d{d}", t, i, aliases[d * 100 + i], TagSpec(t, ValueType.FLOAT64, None)) for i, t in enumerate(tags)],
        )
        for d in range(10)
    ]
    lag: list[float] = []
    telemetry: list[float] = []
    alarms: list[float] = []

    async def look() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            lag.append(time.monotonic() - before - 0.005)

    async def alarm() -> None:
        while True:
            await asyncio.sleep(0.33)
            before = time.monotonic()
            await store.submit(lambda tx: tx.append("alarm", {"ts": 1, "kind": "alarm"}), Level.NOW)
            alarms.append(time.monotonic() - before)

    tasks = [asyncio.ensure_future(one) for one in (store.run(), look(), alarm())]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for i, block in enumerate(blocks):
            now = time.monotonic()
            values = [20.0 + i + (j % 7) / 10 for j in range(100)]
            store.append(
                Batch(block, values, clock.wall_ms(), clock.mono()),
                lambda now=now: telemetry.append(time.monotonic() - now),
            )
        await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    stats = store.stats()
    await store.close()
    return {
        "commits": stats["commits"],
        "telemetry_p50_ms": round(percentile(telemetry, 0.5) * 1000, 1),
        "telemetry_max_ms": round(max(telemetry) * 1000, 1),
        "alarm_p50_ms": round(percentile(alarms, 0.5) * 1000, 1),
        "alarm_max_ms": round(max(alarms) * 1000, 1),
        "loop_lag_p99_ms": round(percentile(lag, 0.99) * 1000, 1),
        "lost": stats["unstored"],
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(load(Path(sys.argv[1])))))
        return
    with tempfile.TemporaryDirectory() as work:
        shim = Path(work) / "delay.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, HERE / "delay.c", "-ldl"], check=True)
        for delay in (0, 10, 50, 100):
            environment = dict(os.environ, LD_PRELOAD=str(shim), FSYNC_DELAY_MS=str(delay))
            state = str(Path(work) / str(delay))
            done = subprocess.run(
                [sys.executable, __file__, state], env=environment, check=True, capture_output=True, text=True
            )
            print(f"delay {delay:3d} ms: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
