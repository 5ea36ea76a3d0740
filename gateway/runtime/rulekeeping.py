"""What the rules engine remembers, on disk: rows at each change, snapshots now and then, the journal in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

import msgpack

from gateway.clock import Clock, boot_id
from gateway.errors import StoreDamaged
from gateway.journal import Level
from gateway.model import Batch, Block, Tag
from gateway.store import Store
from gateway.store.arrivals import Arrival, Chosen, Span
from rules import keeping
from rules.engine import Engine

ROWS = "gateway.rules"  # no channel can be called so
TABLE = "rule"
ALARMS = "alarm"
BOOT = "boot"
"""Key of the row that says of which boot the others are."""
WINDOWS_BYTES_PER_S = 1000
"""What windows may cost of the flash: large ones are kept less often, and the journal has the rest."""

_log = logging.getLogger("fieldpost.rules")


class Keeper:
    """Snapshots of one engine."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._boot = boot_id()
        self._windows_at = -1e9
        self._windows_size = 0
        self._alive: int | None = None

    def checkpoint(self, engine: Engine, *, windows: bool = False) -> None:
        """Keep columns, totals and latches with the next commit; windows too when it is their time, or `windows`."""
        rows: dict[str, Any] = {"snapshot": {**keeping.snapshot(engine), "boot": self._boot}}
        now = self._clock.mono()
        if windows or now - self._windows_at >= self._windows_size / WINDOWS_BYTES_PER_S:
            rows["windows"] = {**keeping.windows(engine), "boot": self._boot}
            self._windows_at, self._windows_size = now, len(msgpack.packb(rows["windows"]))

        def work(tx: Any) -> None:
            for key, row in rows.items():
                tx.put(TABLE, key, row)

        self._store.submit(work, Level.LAZY).add_done_callback(_told)

    @property
    def is_new(self) -> bool:
        """Whether there is no snapshot yet."""
        return not _is_row(self._store.table(TABLE).get("snapshot"))

    async def bring_back(self, engine: Engine) -> None:
        """Give a silent engine its memory: the snapshots, then what the journal has since."""
        offset = engine.now.wall - engine.now.at
        table = self._store.table(TABLE)
        small, large = table.get("snapshot"), table.get("windows")
        self._see(self._last_reading(offset))
        since = engine.now.at - engine.longest_window
        if _is_row(small):
            shift = self._shift_of(small, offset)
            self._see(small["at"] + shift)
            if not keeping.restore(engine, small, shift):
                _log.warning("what the rules remembered is of another form and is not used")
            since = min(since, small["at"] + shift)
        if _is_row(large) and keeping.restore_windows(engine, large, self._shift_of(large, offset)):
            since = large["at"] + self._shift_of(large, offset)
        graph = engine.graph
        names = {tag.name for tag in graph.tags if tag.slot in graph.watched and tag.slot not in graph.computed}
        if names:
            engine.rewind(since)
            await self._go_through(engine, since, offset, names)

    def _see(self, at: int | None) -> None:
        """Somebody watched at that time, ms on the boot clock."""
        if at is not None:
            self._alive = at if self._alive is None else max(self._alive, at)

    def _last_reading(self, offset: int) -> int | None:
        """When the newest reading on disk came, ms on the boot clock; None without one."""
        newest = next(self._store.reader.headers_back("telemetry"), None)
        if newest is None:
            return None
        try:
            segment = self._store.reader.segment(newest.stream, newest.epoch, newest.first)
        except StoreDamaged:
            segment = None
        at = newest.mono
        if segment is not None and segment.border_ts:
            at = segment.border_ts[-1] + (segment.border_late[-1] if segment.border_late else 0) - segment.offset
        return at if newest.stamp.boot == self._boot else at + newest.stamp.offset - offset

    def _shift_of(self, row: Mapping[str, Any], offset: int) -> int:
        """What is added to boot-clock times of a row: nothing within one boot, whatever the wall clock did since."""
        return 0 if row.get("boot") == self._boot else int(row["wall"] - row["at"]) - offset

    async def _go_through(self, engine: Engine, since: int, offset: int, names: set[str]) -> None:
        blocks: dict[tuple[str, ...], Block] = {}
        tags = engine.graph.binder.tags
        newest = next(self._store.reader.headers_back("telemetry"), None)
        # the journal finds moments by the last offset that it knows of their boot
        known = offset if newest is None else min(offset, newest.stamp.offset)
        chosen = Chosen(tags=names)
        async for part in self._store.arrivals().batches(Span(since + known), self._store.aliases(), chosen):
            if not isinstance(part, Arrival):
                continue
            at = part.at_on(self._boot, offset)
            if at <= since:
                continue
            key = tuple(f"{part.device}.{path}" for path in part.tags)
            if (block := blocks.get(key)) is None:
                found: list[Tag] = [tags[name] for name in key]
                block = blocks[key] = Block(part.device, found)
            self._see(at)
            engine.on_batch(Batch(block, part.values, part.ts, at / 1000, quality=part.quality), at, offset)

    def kept(self, maintained: Collection[str], offset: int) -> keeping.Kept:
        """The rows, for going live; `maintained`: devices that people work on."""
        memory = self._store.memory(ROWS)
        rows = memory.items()
        written: Any = rows.get(BOOT)
        shift = self._shift_of(written, offset) if _is_row(written) else 0
        alarms = {key: row for key, row in self._store.table(ALARMS).items().items() if row}
        return keeping.Kept(rows, alarms, self._alive, shift, frozenset(maintained))

    def boot_row(self, at: int, offset: int) -> dict[str, Any]:
        """Whose times the kept rows have."""
        return {"boot": self._boot, "at": at, "wall": at + offset}


def _told(done: asyncio.Future[None]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.warning("what the rules remember is not kept this time: %s", error)


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("wall"), int) and isinstance(row.get("at"), int)
