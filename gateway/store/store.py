"""The store: owner of the LMDB environments, the commit loop, and the way in for producers and consumers.

Everything public is called on the event loop (open, consumer and bind_aliases also before it runs). One thread writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from gateway.clock import Clock
from gateway.errors import StoreDamaged, StoreError, StoreFull
from gateway.health import Health
from gateway.journal import Gap, Level
from gateway.model import Batch
from gateway.settings.types import StoreSettings
from gateway.store import aliases, consumers
from gateway.store.attempt import Attempt, Work
from gateway.store.checkpoint import LastValue
from gateway.store.clockwatch import ClockWatch
from gateway.store.consumer import StoreConsumer
from gateway.store.holding import Holding
from gateway.store.memory import ChannelMemory, Memories
from gateway.store.opening import Parts, open_parts
from gateway.store.packing import pack_entry
from gateway.store.pending import Pending, tell
from gateway.store.recovery import Report
from gateway.store.schedule import Schedule
from gateway.store.state import CursorKey
from gateway.store.telling import Telling
from gateway.store.writer import EntryOp, Group, Outcome, WorkOp
from gateway.store.writerthread import WriterThread

T = TypeVar("T")

BUFFER_READINGS = 200_000
EARLY_READINGS = 65_536
CLOSE_TRIES = 3
DRIFT_MS = 100
"""How far the wall clock may drift away from the stamp of new readings."""

_log = logging.getLogger("fieldpost.store")


class Store(Holding):
    """One store directory. Implements gateway.journal.Producer; `consumer` gives the other side."""

    def __init__(
        self,
        settings: StoreSettings,
        clock: Clock,
        *,
        release_ms: int,
        health: Health | None = None,
        buffer_readings: int = BUFFER_READINGS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._release_ms = release_ms
        self._buffer = buffer_readings
        self._telling = Telling(health)
        self._watch = ClockWatch(clock)
        self._schedule = Schedule(clock, settings.commit_interval_s)
        self._pending = Pending(self._watch.stamp, buffer_readings)
        self._thread = WriterThread()
        self._parts: Parts | None = None
        self._lock = asyncio.Lock()
        self._tick = asyncio.Event()
        self._consumers: dict[str, StoreConsumer] = {}
        self._memories = Memories(self.table, self.submit)
        self._closed = False
        self.report = Report()
        self.commits = 0
        self.bytes_written = 0
        self.dropped = 0
        self.unstored = 0
        self.used_bytes = 0
        self.file_bytes = 0
        self.held = 0

    # --- life

    def open(self) -> None:
        """Open, repair or replace the store. Raises StoreError when another process has it, StoreFull without room."""
        parts = open_parts(self._settings, self._clock, self._watch, self._release_ms, self._buffer)
        self._parts = parts
        self.report = parts.report
        self.state = parts.writer.state
        self.reader = parts.reader
        self.file_bytes = parts.environment.file_bytes()
        parts.environment.on_damage = self._schedule.now
        for stream, epoch, first in parts.report.damaged:
            self._pending.damaged(stream, epoch, first)
        for entry in self._telling.opened(parts.report, parts.checkpoint.replaced, self._clock.wall_ms()):
            self.append_entry("event", entry)

    async def run(self) -> None:
        """The core unit: commit when something is due, for ever. Raises StoreDamaged when the file is not usable."""
        while True:
            await self._schedule.wait()
            try:
                await self.commit()
            except StoreFull as err:
                _log.debug("no room: %s", err)
            except StoreDamaged as err:
                self._suspect(err)
                raise

    async def close(self) -> None:
        """Commit everything, then close. What found no room in three tries is lost, as with a power cut."""
        if self._closed or self._parts is None:
            return
        try:
            for _ in range(CLOSE_TRIES):
                try:
                    await self.commit()
                    break
                except StoreFull as err:
                    _log.warning("closing without room: %s", err)
        except StoreDamaged as err:
            self._suspect(err)
            raise
        finally:
            self._closed = True
            self._fail_waiting()
            self._thread.end()
            self._parts.close(clean=self._parts.marker.state != "suspect")

    def abandon(self) -> None:
        """Close the files without committing what is pending: what a kill would leave. For tests."""
        if self._parts is not None and not self._closed:
            self._closed = True
            self._thread.end()
            self._parts.abandon()

    def _suspect(self, err: StoreDamaged) -> None:
        _log.error("the store is damaged: %s", err)
        self._open_parts.marker.write("suspect", 0)

    def _fail_waiting(self) -> None:
        self._pending.fail_works(StoreError, "the store is closed")
        self._tick.set()

    @property
    def _open_parts(self) -> Parts:
        if self._parts is None or self._closed:
            raise StoreError("the store is not open")
        return self._parts

    # --- producer

    def append(self, batch: Batch, on_durable: Callable[[], None] | None = None) -> None:
        """Take a batch; level SOON. What the buffer cannot hold is counted and ends in a gap record `full`."""
        pending = self._pending
        pending.batch(batch, on_durable)
        self._schedule.soon()
        if pending.readings > EARLY_READINGS:
            self._schedule.now()

    def hurry(self) -> None:
        """Commit what is pending at level NOW: somebody waits for it."""
        self._schedule.now()

    def append_entry(self, stream: str, entry: dict[str, Any], level: Level = Level.NOW) -> None:
        """Take an entry of `alarm`, `event` or `log`. Raises StoreError for one that cannot be stored."""
        try:
            packed = pack_entry(entry)
            op = EntryOp(stream, packed, int(entry.get("n", 1)), int(entry["ts"]), entry)
        except (TypeError, ValueError, OverflowError, KeyError) as err:
            raise StoreError(f"an entry of {stream} cannot be stored: {err!r}") from err
        self._pending.op(op)
        self._schedule.at(level)

    def submit(self, work: Callable[[Work], T], level: Level = Level.NOW) -> asyncio.Future[T]:
        """Run `work` in the next transaction. It may run again after a lack of room: it must change nothing else.

        The future raises what the work raised, StoreFull without room, StoreError when the store closes.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreError("the store is closed"))
        elif not self._pending.op(WorkOp(work, future)):
            future.set_exception(StoreFull("too many works wait for a commit"))
        self._schedule.at(level)
        return future

    async def commit(self) -> None:
        """Commit everything pending. Raises StoreFull when some of it found no room (it is kept and tried again)."""
        async with self._lock:
            writer = self._open_parts.writer
            if self._open_parts.environment.damage:
                raise StoreDamaged(self._open_parts.environment.damage)
            if self._pending.is_empty and not self.held:
                self._schedule.begun()
                self._schedule.committed(again=False)
                return
            group = self._pending.take(self._watch.now())
            self._schedule.begun()
            outcome = await self._thread.run(partial(writer.commit, group))
            self._apply(group, outcome)
        if not outcome.stored or outcome.held:
            raise StoreFull("the journal has no room")

    def _apply(self, group: Group, outcome: Outcome) -> None:
        self.held = outcome.held
        self.dropped += outcome.dropped
        self.unstored += outcome.unstored
        self.file_bytes = outcome.file_bytes
        if not outcome.stored:
            self._pending.give_back(group)
            self._pending.fail_works(StoreFull, "the journal has no room")
        self._take_over(outcome)
        tell(outcome)
        self._make_room(outcome)
        self._telling.room(full=outcome.full and (not outcome.stored or bool(outcome.held)))
        self._telling.lost(self.dropped, self.unstored, full=outcome.full)
        self._schedule.committed(again=not outcome.stored or bool(outcome.held))

    def _take_over(self, outcome: Outcome) -> None:
        """The writer's state becomes visible. An older one never replaces a newer one."""
        if outcome.state.serial >= self.state.serial:
            self.state = outcome.state
        if outcome.used_bytes:
            self.used_bytes = outcome.used_bytes
        self.bytes_written += outcome.written
        for consumer, stream, epoch, first, last in outcome.settled:
            known = self._consumers.get(consumer)
            if known is not None:
                known.settle(stream, epoch, first, last)
        for known in self._consumers.values():
            known.committed()
        if outcome.commits:
            self.commits += outcome.commits
            tick, self._tick = self._tick, asyncio.Event()
            tick.set()

    def _make_room(self, outcome: Outcome) -> None:
        """On the loop, between two commits: no transaction is open, so the map may be changed."""
        environment = self._open_parts.environment
        if outcome.fatal:
            environment.reopen()
        elif outcome.map_full and not outcome.stored:
            environment.grow()
            _log.warning("the journal's map grew to %d bytes: dropping alone gave no room", environment.map_size)

    async def wait_commit(self, seen: int) -> int:
        """Wait until more than `seen` commits are done. Raises StoreError when the store closes."""
        while self.commits <= seen:
            if self._closed:
                raise StoreError("the store is closed")
            await self._tick.wait()
        return self.commits

    # --- consumers

    def consumer(
        self,
        name: str,
        *,
        start: str = "oldest",
        required: bool = True,
        streams: Sequence[str] = ("alarm", "event", "telemetry"),
    ) -> StoreConsumer:
        """The cursor `name`, made at the oldest held or the next number if it is new.

        A required consumer holds segments until it is done with them. One object per name: asked again, it is replaced.
        """
        if start not in {"oldest", "next"}:
            raise ValueError(f"start is oldest or next, not {start}")
        row = consumers.row(name, required=required, streams=streams)
        if self.state.consumers.get(name) != row:
            held = {
                stream: {e: self.reader.held(stream, e) for e, _ in self.reader.epochs(stream)} for stream in streams
            }
            self._call(partial(consumers.register, row=row, start=start, held=held))
        consumer = self._consumers[name] = StoreConsumer(self, name, row.streams)
        return consumer

    async def forget(self, name: str) -> bool:
        """Remove a cursor for good, with its gap records. False when there is none."""
        if name not in self.state.consumers:
            return False
        await self._change(partial(consumers.forget, name=name))
        self._consumers.pop(name, None)
        return True

    async def _change(self, change: Callable[[Attempt], T]) -> T:
        """A change of consumers or aliases while running: a transaction of its own that does not block the loop."""
        async with self._lock:
            writer = self._open_parts.writer
            call = partial(writer.call, change, self._watch.now(), self._watch.stamp)
            result, outcome = await self._thread.run(call)
            self._take_over(outcome)
            return result  # type: ignore[no-any-return]

    def _call(self, change: Callable[[Attempt], T]) -> T:
        """A rare change, done at once in a transaction of its own; blocks for one commit."""
        writer = self._open_parts.writer
        result, outcome = self._thread.wait(partial(writer.call, change, self._watch.now(), self._watch.stamp))
        self._take_over(outcome)
        return result  # type: ignore[no-any-return]

    def move(self, cursor: CursorKey, first: int, last: int) -> None:
        self._pending.move(cursor, first, last)
        self._schedule.lazy()

    def gap_ack(self, cursor: CursorKey, gap: Gap) -> None:
        self._pending.gap_ack(cursor, gap)
        self._schedule.lazy()

    def refuse(self, cursor: CursorKey, first: int, last: int, why: str, code: int) -> None:
        self._pending.refuse(cursor, first, last, why, code)
        self._schedule.soon()

    def report_damaged(self, stream: str, epoch: int, first: int) -> None:
        """A segment failed its check while it was read: the next commit drops it with a gap record `disk`."""
        self.reader.forget(stream, epoch, first)
        self._pending.damaged(stream, epoch, first)
        self._schedule.soon()
        self._telling.damaged(stream, epoch, first)

    # --- aliases, tables, last values

    def bind_aliases(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Aliases of all configured (device, tag) pairs, in order; what is not among them stops being live. Blocks."""
        return self._call(partial(aliases.bind, pairs=pairs))

    async def bind_aliases_async(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """The same while running: does not block the loop."""
        return await self._change(partial(aliases.bind, pairs=pairs))

    def memory(self, channel: str) -> ChannelMemory:
        """A driver's persisted memory."""
        return self._memories.get(channel)

    async def checkpoint(self, values: Mapping[tuple[str, str], LastValue]) -> None:
        """Write last values as (value, UTC ms, quality). Raises StoreFull; the journal is not touched."""
        parts = self._open_parts
        rows = dict(values)

        def write() -> None:
            parts.checkpoint.write(rows)
            parts.mirror.sync()

        await self._thread.run(write)
        if parts.marker.state == "running" and parts.marker.deaths:
            parts.marker.write("running", 0)

    def last_values(self) -> dict[tuple[str, str], LastValue]:
        """What the last checkpoint holds."""
        return self._open_parts.checkpoint.read()

    # --- clock, statistics, history

    @property
    def offset(self) -> int:
        """Wall clock minus boot clock in ms, as readings are stamped now: within a tenth of a second, but for a step
        that `observe_clock` has not seen yet.
        """
        return self._pending.stamp.offset

    def observe_clock(self) -> None:
        """Call every second or so: a step or a change of sync becomes a `clock` event, later readings a new stamp.

        Slow corrections move the stamp without an event, in steps that are not worth a segment of their own each time.
        """
        entry = self._watch.observe()
        stamp = self._watch.stamp
        if entry is not None or abs(stamp.offset - self._pending.stamp.offset) >= DRIFT_MS:
            self._pending.restamp(stamp)
        if entry is not None:
            self.append_entry("event", entry)

    def stats(self) -> dict[str, Any]:
        """Figures for status. `bytes_written`: what was handed to LMDB, without its own pages."""
        state = self.state
        return {
            "epoch": state.epoch,
            "openings": state.openings,
            "bytes": self.used_bytes or self.file_bytes,
            "file_bytes": self.file_bytes,
            "max_bytes": self._settings.journal.max_bytes,
            "commits": self.commits,
            "bytes_written": self.bytes_written,
            "dropped": self.dropped,
            "unstored": self.unstored + self._pending.unstored,
            "pending": self._pending.readings + self.held,
            "streams": {
                stream: {
                    "oldest": self.reader.oldest(stream, state.epoch) or following,
                    "last": following - 1,
                    "gaps": state.lost[stream],
                }
                for stream, following in state.next.items()
            },
        }
