"""A store on a small file system of its own, filled by somebody else: `python -m tests.unit.store.full_disk MOUNTPOINT N`.

N commits are made before the disk is filled: many reach the cap, so that the file need not grow any more; few do not.

Run below `unshare -Urm`, so that mounting needs no root and nobody else sees it. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

from gateway.errors import StoreFull
from gateway.health import Health
from gateway.model import Batch
from gateway.testing import ManualClock
from tests.unit.store.kit import block, everything, numbers, opened


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


async def main(mount: Path, before: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(mount)], check=True)
    clock = ManualClock()
    health = Health(clock)
    store = opened(mount / "state", clock, health, max_bytes=5_000_000, buffer_readings=20_000)
    consumer = store.consumer("cloud")
    shared = block(store, 100)
    rng = random.Random(3)
    made = 0

    async def produce(rounds: int) -> int:
        nonlocal made
        refused = 0
        for i in range(rounds):
            for _ in range(20):
                values = [rng.random() for _ in range(100)]
                store.append(Batch(shared, values, clock.wall_ms() + made, clock.mono() + made / 1000))
                made += 100
            if i % 5 == 0:
                store.append_entry("alarm", {"ts": made, "kind": "alarm"})
            try:
                await store.commit()
            except StoreFull:
                refused += 1
        return refused

    result: dict[str, object] = {"refused_before": await produce(before)}
    result["file_before"] = store.file_bytes
    filler = mount / "filler"
    refused = 0
    for rounds in (1, 1, 3, 95, 100):
        fill(filler)  # again and again: also what the store gives back is taken
        refused += await produce(rounds)
    result["refused_while_full"] = refused
    result["issues_while_full"] = [issue.id for issue in health.open()]
    result["held_while_full"] = store.stats()["pending"]
    filler.unlink()
    result["refused_after"] = await produce(20)
    await store.commit()
    result["issues_after"] = [issue.id for issue in health.open()]
    result["dropped_text"] = next((issue.text for issue in health.open() if issue.id == "store_dropped"), "")
    held = numbers(everything(consumer, limit=10_000))
    gaps = [gap for gap in consumer.gaps() if gap.stream == "telemetry"]
    covered = sorted([*held, *(n for gap in gaps for n in range(gap.first or 0, (gap.last or 0) + 1))])
    result["covered_exactly"] = covered == list(range(1, store.state.next["telemetry"]))
    result["made"] = made
    result["numbers"] = store.state.next["telemetry"] - 1
    result["whys"] = sorted({gap.why for gap in gaps})
    result["alarms"] = sum(segment.n for segment in everything(consumer, "alarm"))
    result["file_after"] = store.file_bytes
    result["epoch_same"] = store.report.epoch == store.state.epoch
    result["free"] = os.statvfs(mount).f_bavail > 0
    await store.close()
    again = opened(mount / "state", clock)
    result["opens_again"] = (
        again.report.quarantined == "" and numbers(everything(again.consumer("cloud"), limit=10_000)) == held
    )
    await again.close()
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
