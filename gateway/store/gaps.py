"""Gap records: numbers that a consumer will never get. One row per consumer and record, deleted by its own ack only.

A record without numbers (`store`: the tail of an epoch that can never be proved) is kept under number 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.journal import Gap
from gateway.store import rows

if TYPE_CHECKING:
    from gateway.store.attempt import Attempt
    from gateway.store.state import CursorKey


def merge(records: tuple[Gap, ...], new: Gap) -> tuple[Gap, ...]:
    """The records with `new` among them. Adjacent ones with the same reason become one."""
    kept: list[Gap] = []
    for record in records:
        if _adjacent(record, new):
            new = _union(record, new)
        else:
            kept.append(record)
    kept.append(new)
    return tuple(sorted(kept, key=_order))


def without(records: tuple[Gap, ...], acknowledged: Gap) -> tuple[Gap, ...]:
    """The records but this very one: one that has grown since is another one (J8)."""
    same = (acknowledged.first, acknowledged.last, acknowledged.why)
    return tuple(record for record in records if (record.first, record.last, record.why) != same)


def write(attempt: Attempt, cursor: CursorKey, before: tuple[Gap, ...], after: tuple[Gap, ...]) -> None:
    """Bring the rows of one consumer, stream and epoch from `before` to `after`."""
    old = {record.first or 0: record for record in before}
    new = {record.first or 0: record for record in after}
    for first in old.keys() - new.keys():
        attempt.delete(rows.stream_key("gap", *cursor, first))
    for first, record in new.items():
        if old.get(first) != record:
            attempt.put(rows.stream_key("gap", *cursor, first), to_row(record))


def to_row(record: Gap) -> list[Any]:
    return [record.last, record.n, record.t0, record.t1, record.why]


def from_row(stream: str, epoch: int, first: int, row: list[Any]) -> Gap:
    last, n, t0, t1, why = row
    return Gap(stream, epoch, first or None, last, n, t0, t1, why)


def _order(record: Gap) -> int:
    return record.first or 0


def _adjacent(left: Gap, right: Gap) -> bool:
    if left.why != right.why or left.first is None or left.last is None or right.first is None or right.last is None:
        return False
    return left.first <= right.last + 1 and right.first <= left.last + 1


def _union(left: Gap, right: Gap) -> Gap:
    first = min(left.first or 0, right.first or 0)
    last = max(left.last or 0, right.last or 0)
    times = [t for t in (left.t0, right.t0) if t] or [0]
    return Gap(left.stream, left.epoch, first, last, last - first + 1, min(times), max(left.t1, right.t1), left.why)
