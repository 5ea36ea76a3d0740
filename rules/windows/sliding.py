"""A window that slides: the last so many milliseconds, at any moment."""

from __future__ import annotations

from typing import Any

from gateway.model import Value
from rules.values import Instant, NoValue
from rules.windows.reading import usable
from rules.windows.track import Track


class Sliding:
    """Figures over (now - size, now]; times and figures as Window says, memory as Track says. It is full, and has
    figures, when all of that was watched.

    A reading from the future counts as of now. The wall clock does not matter.
    """

    __slots__ = ("_lateness", "_newest", "_now", "_size", "_track", "late", "since")

    due: int | None = None

    def __init__(self, size_ms: int, since: int, lateness_ms: int = 0) -> None:
        self._size = size_ms
        self.since = since
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

    def watched_since(self, at: int) -> None:
        self.since = at

    @property
    def _is_full(self) -> bool:
        return self._now is not None and self._now - self._size >= self.since

    def _whole(self) -> Track:
        if not self._is_full:
            raise NoValue
        return self._track

    def avg(self) -> float:
        return self._whole().avg()

    def min(self) -> float:
        return self._whole().min()

    def max(self) -> float:
        return self._whole().max()

    def sum(self) -> float:
        return self._whole().sum()

    def count(self) -> int:
        return self._whole().count()

    def stddev(self) -> float:
        return self._whole().stddev()

    def first(self) -> Value:
        return self._whole().first()

    def last(self) -> Value:
        return self._whole().last()

    def rate(self) -> float:
        return self._whole().rate()

    @property
    def settled(self) -> bool:
        return self._is_full and self._track.quiet

    def state(self) -> Any:
        return [self.since, self._now, self._newest, self.late, self._track.state()]

    def restore(self, state: Any, shift: int) -> None:
        since, now, newest, self.late, track = state
        self.since = since + shift
        self._now = None if now is None else now + shift
        self._newest = None if newest is None else newest + shift
        self._track.restore(track, shift)
