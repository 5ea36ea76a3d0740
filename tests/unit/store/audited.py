"""What the tests of the audit chain share: making entries in a real store, and tampering with its file.

`python -m tests.unit.store.audited DIRECTORY` is a process that writes entries until it is killed; it prints the number of
each commit's last one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.audit import Audit
from gateway.chain import Verdict
from gateway.clock import SystemClock
from gateway.runtime.trail import Trail, Wanted
from gateway.settings.types import JournalSettings, StoreSettings
from gateway.store import Store
from gateway.store.environment import Environment
from gateway.store.opening import map_bytes
from gateway.store.packing import pack_entries, pack_entry
from gateway.store.segments import read_header, read_segment, segment_key
from gateway.testing import ManualClock
from tests.unit.store.kit import RELEASE_MS, opened

Row = dict[str, Any]


async def made(store: Store, first: int, count: int, clock: ManualClock | None = None) -> None:
    """`count` writes, each a segment of its own with an event of another kind in it."""
    audit = Audit(clock or ManualClock(), store)
    for number in range(first, first + count):
        audit.record("anna", "local", "write", device="pump", tag="level", old=number - 1, new=number, code=200)
        store.append_entry("event", {"ts": number, "kind": "device", "device": "pump"})
        await store.commit()


async def filled(path: Path, count: int = 6) -> int:
    """A closed store with entries 1, 3, 5...; returns its epoch."""
    store = opened(path)
    await made(store, 1, count)
    epoch = store.state.epoch
    await store.close()
    return epoch


async def verified(path: Path) -> Verdict:
    """Open, verify, close."""
    store = opened(path)
    try:
        return await Trail(store).verify()
    finally:
        await store.close()


async def values(store: Store, **wanted: Any) -> list[Any]:
    """`new` of the listed entries."""
    return [row["new"] for row in await Trail(store).rows(Wanted(**wanted))]


@contextmanager
def tampered(path: Path) -> Iterator[Any]:
    """A write transaction on the file of a closed store, with the database of its events."""
    environment = Environment(path / "store" / "journal", map_bytes(8_000_000))
    try:
        with environment.write() as tx:
            yield Tampering(tx, environment.streams["event"])
    finally:
        environment.close()


class Tampering:
    """What somebody with the file and our format could do."""

    def __init__(self, tx: Any, events: Any) -> None:
        self.tx = tx
        self._events = events

    def remove(self, epoch: int, first: int) -> None:
        """A whole segment."""
        assert self.tx.delete(segment_key(epoch, first), db=self._events)

    def rewrite(self, epoch: int, first: int, change: Callable[[list[Row]], list[Row]]) -> None:
        """The rows of a segment, under good checksums."""
        key = segment_key(epoch, first)
        raw = bytes(self.tx.get(key, db=self._events))
        header, segment = read_header(raw), read_segment(raw)
        rows = [{name: item for name, item in row.items() if name != "seq"} for row in change(segment.rows)]
        entries = [(pack_entry(row), 1, row["ts"]) for row in rows]
        (packed,) = pack_entries("event", entries, header.mono, header.stamp)
        self.tx.put(key, packed.numbered(epoch, first, header.dict_no), db=self._events)


async def main(path: Path) -> None:
    """Write until killed."""
    clock = SystemClock()
    store = Store(
        StoreSettings(path, 0.005, journal=JournalSettings(max_bytes=8_000_000)), clock, release_ms=RELEASE_MS
    )
    store.open()
    audit = Audit(clock, store)
    while True:
        for _ in range(7):
            audit.record("anna", "local", "write", device="pump", tag="level", new=store.state.next["event"])
            store.append_entry("event", {"ts": 1, "kind": "device"})
        await store.commit()
        print(store.state.next["event"] - 1, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
