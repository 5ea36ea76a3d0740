"""What came in since the last commit. Lives on the event loop; a list append per batch on the hot path.

Bounded: above `max_readings` the newest readings are counted as lost, above `max_ops` entries too and works fail. The
count becomes a gap record `full` with the next good commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.errors import StoreError
from gateway.journal import Gap
from gateway.model import Batch
from gateway.store.retention import Now
from gateway.store.segments import Stamp
from gateway.store.state import CursorKey
from gateway.store.writer import EntryOp, Group, Lost, Outcome, Run, WorkOp

MAX_OPS = 20_000

_log = logging.getLogger("fieldpost.store")


class Pending:
    """The buffer in front of the writer."""

    def __init__(self, stamp: Stamp, max_readings: int) -> None:
        self.readings = 0
        self.unstored = 0
        self._max_readings = max_readings
        self.stamp = stamp
        self._run = Run(stamp)
        self._runs = [self._run]
        self._ops: list[EntryOp | WorkOp] = []
        self._moves: list[tuple[CursorKey, int, int]] = []
        self._gap_acks: list[tuple[CursorKey, Gap]] = []
        self._refusals: list[tuple[CursorKey, int, int, str, int]] = []
        self._damaged: list[tuple[str, int, int]] = []
        self._lost: dict[str, Lost] = {}

    @property
    def is_empty(self) -> bool:
        return not (
            self.readings or self._ops or self._moves or self._gap_acks or self._refusals or self._damaged or self._lost
        )

    def batch(self, batch: Batch, told: Callable[[], None] | None) -> None:
        n = len(batch.values)
        if self.readings + n > self._max_readings:
            self.lose("telemetry", n, batch.ts)
            return
        self.readings += n
        self._run.batches.append(batch)
        self._run.told.append(told)

    def lose(self, stream: str, n: int, ts: int) -> None:
        self.unstored += n
        self._lost.setdefault(stream, Lost()).count(n, ts, ts)

    def op(self, op: EntryOp | WorkOp) -> bool:
        """False when there is no room; an entry is then counted as lost."""
        if len(self._ops) >= MAX_OPS:
            if isinstance(op, EntryOp):
                self.lose(op.stream, op.n, op.ts)
            return False
        self._ops.append(op)
        return True

    def move(self, cursor: CursorKey, first: int, last: int) -> None:
        self._moves.append((cursor, first, last))

    def gap_ack(self, cursor: CursorKey, gap: Gap) -> None:
        self._gap_acks.append((cursor, gap))

    def refuse(self, cursor: CursorKey, first: int, last: int, why: str, code: int) -> None:
        self._refusals.append((cursor, first, last, why, code))

    def damaged(self, stream: str, epoch: int, first: int) -> None:
        self._damaged.append((stream, epoch, first))

    def restamp(self, stamp: Stamp) -> None:
        """What comes from now on carries another clock."""
        self.stamp = stamp
        self._run = Run(stamp)
        self._runs.append(self._run)

    def take(self, now: Now) -> Group:
        """Hand everything over and begin anew."""
        group = Group(
            now,
            self.stamp,
            [run for run in self._runs if run.batches],
            self._ops,
            self._moves,
            self._gap_acks,
            self._refusals,
            self._damaged,
            self._lost,
        )
        self._run = Run(self.stamp)
        self._runs = [self._run]
        self._ops, self._moves, self._gap_acks, self._refusals, self._damaged = [], [], [], [], []
        self._lost = {}
        self.readings = 0
        return group

    def give_back(self, group: Group) -> None:
        """What could not be stored for want of room comes again, in front. Telemetry is held by the writer."""
        self._ops[:0] = group.ops
        self._moves[:0] = group.moves
        self._gap_acks[:0] = group.gap_acks
        self._refusals[:0] = group.refusals
        self._damaged[:0] = group.damaged

    def fail_works(self, kind: type[StoreError], text: str) -> None:
        """Take the works out: whoever waits for one gets this error."""
        for op in self._ops:
            if isinstance(op, WorkOp) and not op.token.done():
                op.token.set_exception(kind(text))
        self._ops = [op for op in self._ops if isinstance(op, EntryOp)]


def tell(outcome: Outcome) -> None:
    """Call the producers whose readings are on disk, and give results and errors to those who wait for works."""
    for told in outcome.durable:
        try:
            told()
        except Exception:
            _log.exception("a producer's on_durable raised")
    for token, result, error in outcome.results:
        if token.done():
            continue
        if error is None:
            token.set_result(result)
        else:
            token.set_exception(error)
