"""A window that slides: the last so many milliseconds, at any moment."""

from __future__ import annotations

from typing import Any

from gateway.model import Value
from rules.values import Instant
from rules.windows.reading import usable
from rules.windows.track import Track


class Sliding:
    """Figures over (now - size, now]; times and figures as Window says, memory as Track says.

    A reading from the future counts as of now. The wall clock does not matter.
    """

    __slots__ = ("_lateness", "_newest", "_now", "_size", "_track", "late")

    due: int | None = None

    def __init__(self, size_ms: int, lateness_ms: int = 0) -> None:
        self._size = size_ms
        self._lateness = lateness_ms
        self._track = Track(size_ms)
        self._now: int | None = None
        self._newest: int | None = None
        self.late = 0

    def add(self, event_at: int, value: Value, good: bool, now: Instant) -> None:
        current = self._advance(now.at)
        at = min(event_at, current)
        if self._newest is not None and at < self._newest:
            if at < self._newest - self._lateness:
                self.late += 1
                return
        else:
            self._newest = at
        held = usable(value, good)
        if held is None and self._track.gap and not self._lateness:
            return  # a gap in a gap, and nothing can come between
        if not self._track.insert(at, held):
            self.late += 1

    def move(self, now: Instant) -> None:
        self._advance(now.at)

    def _advance(self, at: int) -> int:
        if self._now is None or at > self._now:
            self._now = at
            start = at - self._size
            self._track.move(start, start, at)
        return self._now

    def avg(self) -> float:
        return self._track.avg()

    def min(self) -> float:
        return self._track.min()

    def max(self) -> float:
        return self._track.max()

    def sum(self) -> float:
        return self._track.sum()

    def count(self) -> int:
        return self._track.count()

    def stddev(self) -> float:
        return self._track.stddev()

    def first(self) -> Value:
        return self._track.first()

    def last(self) -> Value:
        return self._track.last()

    def rate(self) -> float:
        return self._track.rate()

    @property
    def settled(self) -> bool:
        return self._track.quiet

    def state(self) -> Any:
        return [self._now, self._newest, self.late, self._track.state()]

    def restore(self, state: Any, shift: int) -> None:
        now, newest, self.late, track = state
        self._now = None if now is None else now + shift
        self._newest = None if newest is None else newest + shift
        self._track.restore(track, shift)
