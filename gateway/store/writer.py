"""The writer: one group becomes one commit. Everything here runs on the writer thread.

A group is what came in since the last commit: batches, entries, works, cursor moves. It is one transaction; only a
long telemetry backlog is cut into several, so that none is larger than the room that freed pages give.
On a full disk the order of protocol.md 2.5 holds: free by policy, then refuse log, then telemetry, then keep alarms
and events in memory until there is room again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import lmdb
from msgspec import Struct, field

from gateway.errors import StoreDamaged
from gateway.journal import Gap
from gateway.model import Batch
from gateway.store import gaps
from gateway.store.attempt import Attempt, Settled, Work
from gateway.store.environment import DAMAGE_ERRORS, Environment, is_no_room, translate
from gateway.store.mirror import Mirror
from gateway.store.packing import TelemetryPacker
from gateway.store.reserve import Reserve
from gateway.store.retention import Now, Retention
from gateway.store.segments import Packed, Stamp
from gateway.store.state import CursorKey, State

_log = logging.getLogger("fieldpost.store")

EXPENDABLE = ("telemetry", "log")
"""Only these are dropped to make room on a full disk: an alarm never goes to make room for a reading."""

SPARE_PAGES = 16
"""What a commit needs beside its segments: copied tree pages and the list of free pages."""

Durable = Callable[[], None]


class Run(Struct):
    """Batches that were stamped by one clock, each with whom to tell when it is on disk."""

    stamp: Stamp
    batches: list[Batch] = field(default_factory=list)
    told: list[Durable | None] = field(default_factory=list)


class EntryOp(Struct):
    """An entry to be stored, frozen at the time it came."""

    stream: str
    packed: bytes
    n: int
    ts: int
    entry: dict[str, Any]


class WorkOp(Struct):
    """A submitted work. `token` is the caller's (the future)."""

    work: Callable[[Work], Any]
    token: Any


class Lost(Struct):
    """Readings or entries of one stream that found no room: a count and the times between which they were true."""

    n: int = 0
    t0: int = 0
    t1: int = 0

    def count(self, n: int, t0: int, t1: int) -> None:
        if not n:
            return
        self.t0 = min(self.t0, t0) if self.n else t0
        self.t1 = max(self.t1, t1) if self.n else t1
        self.n += n


class Group(Struct):
    """What one commit is to store."""

    now: Now
    stamp: Stamp
    runs: list[Run] = field(default_factory=list)
    ops: list[EntryOp | WorkOp] = field(default_factory=list)
    moves: list[tuple[CursorKey, int, int]] = field(default_factory=list)
    gap_acks: list[tuple[CursorKey, Gap]] = field(default_factory=list)
    refusals: list[tuple[CursorKey, int, int, str, int]] = field(default_factory=list)
    damaged: list[tuple[str, int, int]] = field(default_factory=list)
    lost: dict[str, Lost] = field(default_factory=dict)


class Outcome(Struct):
    """What became of a group."""

    state: State
    durable: list[Durable] = field(default_factory=list)
    results: list[tuple[Any, Any, BaseException | None]] = field(default_factory=list)
    """Token, result, error of each work."""
    settled: list[Settled] = field(default_factory=list)
    stored: bool = False
    """Whether ops, moves and acks of the group are on disk; if not, they are to come again."""
    full: bool = False
    map_full: bool = False
    fatal: bool = False
    """The handle must be opened again."""
    held: int = 0
    """Readings that wait in memory for room."""
    used_bytes: int = 0
    file_bytes: int = 0
    commits: int = 0
    written: int = 0
    dropped: int = 0
    unstored: int = 0


class _Held(Struct, frozen=True):
    packed: Packed
    told: tuple[Durable, ...]


class _NoRoom(Exception):
    """Disk or map is full."""

    def __init__(self, error: lmdb.Error) -> None:
        super().__init__(str(error))
        self.map_full = isinstance(error, lmdb.MapFullError)


class Writer:
    """Owns all writing. `hold` bounds the readings that wait in memory while the disk is full."""

    def __init__(
        self,
        environment: Environment,
        state: State,
        retention: Retention,
        mirror: Mirror,
        reserve: Reserve,
        *,
        hold: int,
        chunk_bytes: int,
    ) -> None:
        self.state = state
        self._environment = environment
        self._retention = retention
        self._mirror = mirror
        self._reserve = reserve
        self._hold = hold
        self._chunk_bytes = chunk_bytes
        self._held: deque[_Held] = deque()
        self._held_n = 0
        self._lost: dict[str, Lost] = {}

    def commit(self, group: Group) -> Outcome:
        """Store the group, as far as there is room. Raises StoreDamaged when the file cannot be trusted any more."""
        outcome = Outcome(self.state)
        self._take(group, outcome)
        try:
            self._store(group, outcome)
        except lmdb.Error as err:
            raise translate(err) from err
        outcome.state = self.state
        outcome.held = self._held_n
        outcome.file_bytes = self._environment.file_bytes()
        return outcome

    def call(self, change: Callable[[Attempt], Any], now: Now, stamp: Stamp) -> tuple[Any, Outcome]:
        """A transaction of its own for a change of consumers or aliases."""
        outcome = Outcome(self.state)
        results: list[Any] = []
        try:
            self._transact(now, stamp, outcome, lambda attempt: results.append(change(attempt)))
        except _NoRoom as err:
            raise translate(err.__cause__ if isinstance(err.__cause__, lmdb.Error) else lmdb.Error(str(err))) from err
        except lmdb.Error as err:
            raise translate(err) from err
        outcome.state = self.state
        return results[0], outcome

    # --- taking in

    def _take(self, group: Group, outcome: Outcome) -> None:
        for run in group.runs:
            told_from = 0
            for packed, upto in TelemetryPacker(run.stamp).pack(run.batches):
                told = tuple(one for one in run.told[told_from:upto] if one is not None)
                told_from = upto
                if self._held_n + packed.n > self._hold and self._held:
                    self._count_lost("telemetry", packed.n, packed.t0, packed.t1, outcome)
                    continue
                self._held.append(_Held(packed, told))
                self._held_n += packed.n
        for stream, lost in group.lost.items():
            self._count_lost(stream, lost.n, lost.t0, lost.t1, outcome)

    def _count_lost(self, stream: str, n: int, t0: int, t1: int, outcome: Outcome) -> None:
        self._lost.setdefault(stream, Lost()).count(n, t0, t1)
        outcome.unstored += n

    # --- storing

    def _store(self, group: Group, outcome: Outcome) -> None:
        freed = False
        while not outcome.stored or self._held:
            chunk = self._chunk()
            try:
                self._commit_part(None if outcome.stored else group, chunk, outcome)
            except _NoRoom as err:
                outcome.full = True
                outcome.map_full = outcome.map_full or err.map_full
                if not freed:
                    freed = True
                    self._free(group, sum(held.packed.size for held in chunk), outcome)
                elif chunk and not outcome.stored:
                    self._commit_without_telemetry(group, outcome)
                    return
                else:
                    return
        self._reserve.restore()

    def _commit_without_telemetry(self, group: Group, outcome: Outcome) -> None:
        """Room for alarms, events and works at least: log entries are counted as lost, telemetry waits in memory."""
        for op in group.ops:
            if isinstance(op, EntryOp) and op.stream == "log":
                self._count_lost("log", op.n, op.ts, op.ts, outcome)
        group.ops = [op for op in group.ops if not (isinstance(op, EntryOp) and op.stream == "log")]
        try:
            self._commit_part(group, [], outcome)
        except _NoRoom:
            _log.debug("no room even for a commit without telemetry")

    def _chunk(self) -> list[_Held]:
        chunk: list[_Held] = []
        size = 0
        for held in self._held:
            size += held.packed.size
            if chunk and size > self._chunk_bytes:
                break
            chunk.append(held)
        return chunk

    def _commit_part(self, group: Group | None, chunk: list[_Held], outcome: Outcome) -> None:
        results: list[tuple[Any, Any, BaseException | None]] = []
        numbered: list[tuple[dict[str, Any], int]] = []
        stamp = group.stamp if group else self._last_stamp
        now = group.now if group else self._last_now
        self._last_stamp, self._last_now = stamp, now
        with_lost = len(chunk) == len(self._held)

        def change(attempt: Attempt) -> None:
            if group is not None:
                _apply_moves(attempt, group)
            for held in chunk:
                attempt.segment(held.packed)
            if group is not None:
                results.extend(_apply_ops(attempt, group.ops, numbered))
            attempt.flush()
            if with_lost:
                for stream, lost in self._lost.items():
                    attempt.unstored(stream, lost.n, lost.t0, lost.t1)
            self._retention.enforce(attempt, now)

        self._transact(now, stamp, outcome, change)
        for entry, seq in numbered:
            entry["seq"] = seq
        for _ in chunk:
            held = self._held.popleft()
            self._held_n -= held.packed.n
            outcome.durable.extend(held.told)
        if with_lost:
            self._lost.clear()
        if group is not None:
            outcome.results.extend(results)
            outcome.stored = True

    _last_stamp: Stamp
    _last_now: Now

    def _transact(self, now: Now, stamp: Stamp, outcome: Outcome, change: Callable[[Attempt], None]) -> None:
        """One transaction; State, mirror and outcome change only when it is on disk."""
        tx = None
        try:
            tx = self._environment.write()
            attempt = Attempt(self._environment, tx, self.state.copy(), stamp, now.mono_ms)
            change(attempt)
            attempt.close()
            used = self._environment.used_bytes(tx)
            tx.commit()
        except lmdb.Error as err:
            _abort(tx)
            if is_no_room(err):
                raise _NoRoom(err) from err
            if isinstance(err, lmdb.PanicError):
                outcome.fatal = True
                raise _NoRoom(err) from err
            raise
        except BaseException:
            _abort(tx)
            raise
        self.state = attempt.state
        outcome.commits += 1
        outcome.written += attempt.written
        outcome.dropped += attempt.dropped
        outcome.settled.extend(attempt.settled)
        outcome.used_bytes = used
        self._mirror.write(self.state)

    def _free(self, group: Group, wanted: int, outcome: Outcome) -> None:
        """Drop by policy, in transactions of its own; pages they free can be used from the next but one on."""
        self._reserve.release()
        wanted = 2 * wanted + SPARE_PAGES * self._environment.page_size
        for part in (1, 4, 16):
            try:
                self._transact(group.now, group.stamp, outcome, partial(self._free_some, wanted // part))
                break
            except _NoRoom as err:
                _log.debug("dropping a part of the journal found no room itself: %s", err)
        try:
            self._transact(group.now, group.stamp, outcome, lambda _attempt: None)
        except _NoRoom as err:
            _log.debug("the commit that makes freed pages usable found no room: %s", err)

    def _free_some(self, wanted: int, attempt: Attempt) -> None:
        self._retention.free(attempt, wanted, EXPENDABLE)


def _abort(tx: Any) -> None:
    if tx is not None:
        try:
            tx.abort()
        except lmdb.Error as err:
            _log.debug("abort after a failed transaction: %s", err)


def _apply_moves(attempt: Attempt, group: Group) -> None:
    for cursor, first, last in group.moves:
        if cursor[0] in attempt.state.consumers:
            attempt.done(cursor, first, last)
    for cursor, gap in group.gap_acks:
        attempt.set_gaps(cursor, gaps.without(attempt.state.gaps.get(cursor, ()), gap))
    for cursor, first, last, why, code in group.refusals:
        attempt.refuse(cursor, first, last, why, code, group.now.wall_ms)
    for stream, epoch, first in group.damaged:
        attempt.drop_damaged(stream, epoch, first)


def _apply_ops(
    attempt: Attempt, ops: Iterable[EntryOp | WorkOp], numbered: list[tuple[dict[str, Any], int]]
) -> list[tuple[Any, Any, BaseException | None]]:
    results: list[tuple[Any, Any, BaseException | None]] = []
    for op in ops:
        if isinstance(op, EntryOp):
            numbered.append((op.entry, attempt.entry(op.stream, op.packed, op.n, op.ts)))
            continue
        try:
            results.append((op.token, attempt.run(op.work), None))
        except lmdb.Error as err:
            if is_no_room(err) or isinstance(err, DAMAGE_ERRORS):
                raise
            results.append((op.token, None, translate(err)))
        except StoreDamaged as err:
            results.append((op.token, None, err))
        except Exception as err:
            results.append((op.token, None, err))
    return results
