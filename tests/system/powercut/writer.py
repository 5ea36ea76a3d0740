"""Writes a journal below the recorder: `writer.py DIRECTORY`. Acknowledgements go into the recorder's log ($PC_LOG).

Record `A`: offset = readings that are durable. Record `E`: offset = events with a delivered cursor move.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import sys
from pathlib import Path

from gateway.model import Batch
from gateway.testing import ManualClock
from tests.unit.store.kit import block, opened

COMMITS = 60
_HEADER = struct.Struct("<cHqI")


async def main(path: Path) -> None:
    log = os.open(os.environ["PC_LOG"], os.O_WRONLY | os.O_APPEND)
    rng = random.Random(1)
    clock = ManualClock()
    store = opened(path, clock, max_bytes=1_100_000)
    consumer = store.consumer("cloud")
    shared = block(store, 50)
    value = 0
    for i in range(COMMITS):
        for _ in range(rng.randrange(1, 30)):
            store.append(Batch(shared, list(range(value, value + 50)), value, clock.mono()))
            value += 50
        store.append_entry("alarm", {"ts": i, "kind": "alarm", "text": rng.randbytes(600).hex()})
        await store.commit()
        os.write(log, _HEADER.pack(b"A", 0, value, 0))
        if i == 20:
            consumer.refuse("telemetry", consumer.epoch, 1, 50, "refused")
        segment = consumer.next_segment("telemetry", (0, 0), 2000)
        if segment is not None and i % 2:
            consumer.done("telemetry", segment.epoch, segment.first, segment.last)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
