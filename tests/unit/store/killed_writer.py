"""A process that writes to a store until it is killed: `python -m tests.unit.store.killed_writer DIRECTORY SEED`.

Prints one line per commit, after it: what is durable (readings so far), what is delivered and acknowledged. A reading's
value is its place in the order of production, so that the test can tell any loss.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from gateway.clock import SystemClock
from gateway.model import Batch
from gateway.settings.types import JournalSettings, StoreSettings
from gateway.store import Store
from tests.unit.store.kit import RELEASE_MS, block


async def main(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    clock = SystemClock()
    store = Store(
        StoreSettings(path, 0.005, journal=JournalSettings(max_bytes=8_000_000)), clock, release_ms=RELEASE_MS
    )
    store.open()
    consumer = store.consumer("cloud")
    shared = block(store, 20)
    value = consumer.mark("telemetry")[1]
    durable = [value]
    while True:
        for _ in range(rng.randrange(1, 30)):
            values = list(range(value, value + 20))
            value += 20
            store.append(Batch(shared, values, value, clock.mono()), lambda upto=value: durable.append(upto))
        store.append_entry("event", {"ts": value, "kind": "device"})
        segment = consumer.next_segment("telemetry", (0, 0), rng.randrange(1, 400))
        await store.commit()
        print(f"durable {durable[-1]}", flush=True)
        if segment is not None:
            print(f"sent {segment.epoch} {segment.first} {segment.values}", flush=True)
            consumer.done("telemetry", segment.epoch, segment.first, segment.last)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
