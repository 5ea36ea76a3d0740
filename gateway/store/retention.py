"""What leaves the journal, and when (protocol.md 2.3, 2.5).

1. A segment that every required consumer is done with and that is older than history's `min_age`.
2. A segment older than `max_age`: gap `age` for whoever awaited it.
3. Above the byte cap: first what only history holds, then the oldest segment of the least important stream: gap `size`.

Age is measured on the boot clock within a boot, on the wall clock between boots and only where both sides were
synced: a clock that steps by a year must not empty the journal (FL-50).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import StoreDamaged
from gateway.journal import STREAMS
from gateway.store import ranges
from gateway.store.attempt import Attempt
from gateway.store.segments import Header, read_header, segment_key, split_segment_key

FILL = 0.8
"""Pages in use are kept below this share of the cap: the rest is for copy-on-write, so that the file obeys it too."""

SWEEP = 256
"""At most this many segments of a stream are deleted by age in one commit: commits stay short."""


class Now(Struct, frozen=True):
    """The moment of a commit."""

    boot: str
    mono_ms: int
    wall_ms: int
    synced: bool

    def age_ms(self, header: Header) -> int | None:
        """How old a segment is, None when that cannot be known."""
        if header.stamp.boot == self.boot:
            return self.mono_ms - header.mono
        if self.synced and header.stamp.flag == "s":
            return self.wall_ms - (header.mono + header.stamp.offset)
        return None


class Retention:
    """The policy with its bounds."""

    def __init__(self, max_bytes: int, max_age_ms: int, min_age_ms: int) -> None:
        self.soft_bytes = int(max_bytes * FILL)
        self.max_age_ms = max_age_ms
        self.min_age_ms = min_age_ms

    def enforce(self, attempt: Attempt, now: Now) -> None:
        """Bring the journal inside its bounds, within the transaction."""
        for stream in STREAMS:
            self._age(attempt, stream, now)
        excess = attempt.environment.used_bytes(attempt.tx) - self.soft_bytes
        if excess > 0:
            self.free(attempt, excess)

    def free(self, attempt: Attempt, wanted: int, streams: Sequence[str] = STREAMS) -> int:
        """Drop until `wanted` bytes fewer are in use or nothing is left to drop; returns the bytes freed.

        `streams`, most important first: what else is held is not touched.
        """
        start = attempt.environment.used_bytes(attempt.tx)
        for stream in reversed(streams):
            self._drop_history(attempt, stream, start - wanted)
        for stream in reversed(streams):
            while attempt.environment.used_bytes(attempt.tx) > start - wanted:
                if not _drop_oldest(attempt, stream):
                    break
        return start - attempt.environment.used_bytes(attempt.tx)

    def _age(self, attempt: Attempt, stream: str, now: Now) -> None:
        for _ in range(SWEEP):
            header = _oldest(attempt, stream)
            if header is None:
                return
            age = now.age_ms(header)
            if age is None:
                return
            if age > self.max_age_ms:
                attempt.drop(header, "age")
            elif age > self.min_age_ms and _is_passed(attempt, header):
                attempt.drop(header, "age")  # nobody awaits it: no record comes of it
            else:
                return

    def _drop_history(self, attempt: Attempt, stream: str, target: int) -> None:
        """Segments that only history holds, oldest first, also behind ones that are still awaited."""
        db = attempt.environment.streams[stream]
        for epoch in _epochs(attempt, stream):
            for low, high in _passed_by_all(attempt, stream, epoch):
                at = low
                while attempt.environment.used_bytes(attempt.tx) > target:
                    header = _at_or_after(attempt, db, epoch, at)
                    if header is None or header.last > high:
                        break
                    attempt.drop(header, "size")
                    at = header.last + 1


def _oldest(attempt: Attempt, stream: str) -> Header | None:
    cursor = attempt.tx.cursor(db=attempt.environment.streams[stream])
    while cursor.first():
        header = _header_or_drop(attempt, stream, cursor)
        if header is not None:
            return header
    return None


def _header_or_drop(attempt: Attempt, stream: str, cursor: Any) -> Header | None:
    """The header under the cursor; a damaged segment is dropped at once (gap `disk`)."""
    try:
        return read_header(cursor.value())
    except StoreDamaged:
        epoch, first = split_segment_key(cursor.key())
        attempt.drop_damaged(stream, epoch, first)
        return None


def _drop_oldest(attempt: Attempt, stream: str) -> bool:
    header = _oldest(attempt, stream)
    if header is None:
        return False
    attempt.drop(header, "size")
    return True


def _at_or_after(attempt: Attempt, db: Any, epoch: int, first: int) -> Header | None:
    cursor = attempt.tx.cursor(db=db)
    if not cursor.set_range(segment_key(epoch, first)):
        return None
    try:
        header = read_header(cursor.value())
    except StoreDamaged:
        return None
    return header if header.epoch == epoch else None


def _epochs(attempt: Attempt, stream: str) -> list[int]:
    """Epochs of which segments are held, oldest first."""
    cursor = attempt.tx.cursor(db=attempt.environment.streams[stream])
    found: list[int] = []
    at = 0
    while cursor.set_range(segment_key(at, 0)):
        epoch, _ = split_segment_key(cursor.key())
        found.append(epoch)
        at = epoch + 1
    return found


def _is_passed(attempt: Attempt, header: Header) -> bool:
    return all(
        ranges.covers(attempt.state.cursors.get((row.name, header.stream, header.epoch), ()), header.first, header.last)
        for row in attempt.state.takers(header.stream)
    )


def _passed_by_all(attempt: Attempt, stream: str, epoch: int) -> ranges.Ranges:
    common: ranges.Ranges = ((1, 2**63),)
    for row in attempt.state.takers(stream):
        common = ranges.intersect(common, attempt.state.cursors.get((row.name, stream, epoch), ()))
    return common
