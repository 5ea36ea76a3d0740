"""What the rules engine remembers, on disk: rows at each change, snapshots now and then, the journal in between."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgpack

from gateway.clock import Clock, boot_id
from gateway.journal import Level
from gateway.model import Batch, Block, Tag
from gateway.store import Store
from gateway.store.arrivals import Arrival, Chosen, Span
from rules import keeping
from rules.engine import Engine

ROWS = "gateway.rules"  # no channel can be called so
TABLE = "rule"
ALARMS = "alarm"
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
        self._alive = 0
        self._shift = 0

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
        self._alive = self._last_reading()
        table = self._store.table(TABLE)
        small, large = table.get("snapshot"), table.get("windows")
        since = self._clock.wall_ms() - engine.longest_window
        if _is_row(small):
            self._alive = max(self._alive, small["wall"])
            self._shift = self._shift_of(small, engine)
            if not keeping.restore(engine, small, self._shift):
                _log.warning("what the rules remembered is of another form and is not used")
            since = min(since, small["wall"])
        if _is_row(large) and keeping.restore_windows(engine, large, self._shift_of(large, engine)):
            since = large["wall"]
        graph = engine.graph
        names = {tag.name for tag in graph.tags if tag.slot in graph.watched and tag.slot not in graph.computed}
        if names:
            await self._go_through(engine, since, names)

    def _last_reading(self) -> int:
        """UTC ms of the newest reading on disk: until then somebody watched."""
        newest = next(self._store.reader.headers_back("telemetry"), None)
        return 0 if newest is None else min(newest.t1, self._clock.wall_ms())

    def _shift_of(self, row: dict[str, Any], engine: Engine) -> int:
        """What is added to boot-clock times of a snapshot."""
        if row.get("boot") == self._boot:
            return 0
        return int((row["wall"] - row["at"]) - (engine.now.wall - engine.now.at))

    async def _go_through(self, engine: Engine, since: int, names: set[str]) -> None:
        blocks: dict[tuple[str, ...], Block] = {}
        tags = engine.graph.binder.tags
        offset = engine.now.wall - engine.now.at
        span = Span(since_ms=since + 1)
        engine.rewind(since - offset)
        async for part in self._store.arrivals().batches(span, self._store.aliases(), Chosen(tags=names)):
            if not isinstance(part, Arrival):
                continue
            key = tuple(f"{part.device}.{path}" for path in part.tags)
            if (block := blocks.get(key)) is None:
                found: list[Tag] = [tags[name] for name in key]
                block = blocks[key] = Block(part.device, found)
            at = part.at if part.boot == self._boot else part.at + part.offset - offset
            self._alive = max(self._alive, at + offset)
            engine.on_batch(Batch(block, part.values, part.ts, at / 1000, quality=part.quality), at, offset)

    def kept(self) -> keeping.Kept:
        """The rows, for going live."""
        rows = self._store.memory(ROWS).items()
        alarms = self._store.table(ALARMS).items()
        return keeping.Kept(rows, {key: row for key, row in alarms.items() if row}, self._alive, self._shift)


def _told(done: asyncio.Future[None]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.warning("what the rules remember is not kept this time: %s", error)


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("wall"), int) and isinstance(row.get("at"), int)
