"""Changes of the set of consumers: each is one transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.errors import StoreError
from gateway.journal import STREAMS
from gateway.store import ranges, rows
from gateway.store.attempt import Attempt
from gateway.store.state import ConsumerRow

Held = Mapping[str, Mapping[int, Sequence[ranges.Range]]]
"""Stream, epoch: ranges of numbers held."""


def row(name: str, *, required: bool, streams: Sequence[str]) -> ConsumerRow:
    """A checked row. Raises StoreError for a name or stream that cannot be a key."""
    if not name or "\0" in name or "/" in name or len(name.encode()) > 64:
        raise StoreError(f"{name!r} cannot be the name of a consumer")
    unknown = set(streams) - set(STREAMS)
    if unknown:
        raise StoreError(f"unknown streams: {', '.join(sorted(unknown))}")
    return ConsumerRow(name, required, tuple(stream for stream in STREAMS if stream in streams))


def register(attempt: Attempt, row: ConsumerRow, start: str, held: Held) -> None:
    """Add a consumer, or take over its new kind and streams. A stream it has newly begins at `start`."""
    known = attempt.state.consumers.get(row.name)
    fresh = [stream for stream in row.streams if known is None or stream not in known.streams]
    attempt.add_consumer(row)
    for stream in fresh:
        epochs = dict(held.get(stream, {}))
        epochs.setdefault(attempt.state.epoch, ())
        for epoch, runs in epochs.items():
            last = attempt.state.next[stream] - 1 if epoch == attempt.state.epoch else max(high for _, high in runs)
            for low, high in _not_wanted(runs, last, start):
                attempt.done((row.name, stream, epoch), low, high)


def _not_wanted(runs: Sequence[ranges.Range], last: int, start: str) -> list[ranges.Range]:
    """The numbers up to `last` that a new consumer never awaits: all, or those that are not held.

    A cursor has a bounded number of ranges: with more runs than that, the oldest runs are not awaited either.
    """
    if last < 1:
        return []
    if start == "next":
        return [(1, last)]
    wanted: ranges.Ranges = ()
    for low, high in runs[-(ranges.MAX_RANGES - 2) :]:
        wanted = ranges.add(wanted, low, high)
    return ranges.missing(wanted, 1, last)


def forget(attempt: Attempt, name: str) -> None:
    """Remove a consumer, its cursors, gap records and dead letters. Its small values stay: a session never repeats."""
    attempt.state.consumers.pop(name, None)
    attempt.delete(rows.key("consumer", name))
    for cursor in [key for key in attempt.state.cursors if key[0] == name]:
        attempt.drop_cursor(cursor)
    for cursor in [key for key in attempt.state.gaps if key[0] == name]:
        attempt.set_gaps(cursor, ())
    prefix = rows.key("dead", name, "")
    found = attempt.tx.cursor()
    while found.set_range(prefix) and bytes(found.key()).startswith(prefix):
        attempt.delete(bytes(found.key()))
