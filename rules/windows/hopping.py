"""A window that hops: its figures are those of the last stretch that was closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from gateway.model import Value
from rules.values import Instant, NoValue
from rules.windows.reading import usable
from rules.windows.track import MAX_READINGS, Track

STEP_MS = 500
"""A wall clock that moved this much against the boot clock was set: the next boundary is another."""

_FIGURES = ("avg", "min", "max", "sum", "count", "stddev", "first", "last", "rate")


class Hopping:
    """Figures over [b - size, b), closed at each boundary b plus the lateness; size = hop is a tumbling window.

    Boundaries are the multiples of the hop on the UTC wall clock (not on the site's). Before the first one, no figure
    has a value; nor after one where not all of [b - size, b) was watched. Of several that passed unseen, only the last
    counts.

    A wall clock that is set moves the boundaries, never the readings: the next one is then the first multiple that is
    more than half a hop after the one before; where that has passed already, the hop ends right after its newest
    reading. So a closed hop never closes again, and a tumbling window, which begins where the one before ended, neither
    loses nor doubles a reading.

    Readings for the next hop wait while the one before may still get late ones; when MAX_READINGS wait, the lateness is
    cut short. `late` counts, too, the readings that came after their own hop was closed; they still hold from then on.
    """

    __slots__ = (
        "_ahead", "_closed", "_hop", "_lateness", "_newest", "_next", "_now", "_offset", "_result", "_size", "_track",
        "late", "settled", "since",
    )  # fmt: skip

    def __init__(self, size_ms: int, hop_ms: int, since: int, lateness_ms: int = 0, offset_ms: int = 0) -> None:
        self._size, self._hop, self._lateness = size_ms, hop_ms, lateness_ms
        self.since = since
        self._offset = offset_ms
        self._track = Track(size_ms + 2 * hop_ms)
        self._ahead: list[tuple[int, Value]] = []
        self._now: int | None = None
        self._closed = self._next = 0  # boundaries on the boot clock
        self._newest: int | None = None
        self._result: list[Value] | None = None
        self.late = 0
        self.settled = False

    # Time

    @property
    def due(self) -> int | None:
        return None if self._now is None else self._next + self._lateness

    def move(self, now: Instant) -> None:
        self._advance(now)

    def watched_since(self, at: int) -> None:
        self.since = at
        self.settled = False

    def _advance(self, now: Instant) -> int:
        offset = now.wall - now.at
        stepped = abs(offset - self._offset) > STEP_MS
        if stepped:
            self._offset = offset
        if self._now is None:
            self._now = now.at
            self._begin(self._boundary(now.at) - self._hop)
            return self._now
        self._now = max(self._now, now.at)
        if stepped:
            self._choose()
        if self._now >= self._next + self._lateness:
            self._close_until(self._now - self._lateness, offset)
        return self._now

    def _boundary(self, after: int) -> int:
        """The first multiple of the hop later than `after`."""
        return ((after + self._offset) // self._hop + 1) * self._hop - self._offset

    def _begin(self, boundary: int) -> None:
        """A hop begins."""
        self._closed = boundary
        if self._size == self._hop:
            self._track.move(boundary, boundary - 1, boundary)
        else:
            self._track.move(boundary - self._size, boundary - self._size - 1, boundary)
        self._choose()

    def _choose(self) -> None:
        """Where the hop ends. Readings that wait and turn out to be before that are let in."""
        self._next = self._boundary(self._closed + self._hop // 2)
        counted = self._track.newest
        if counted is not None:
            self._next = max(self._next, counted + 1)
        self._let_in()

    def _let_in(self) -> None:
        ahead, self._ahead = self._ahead, []
        for at, value in ahead:
            self._enter(at, value)

    def _close_until(self, until: int, offset: int) -> None:
        """Close the hop that ended by `until`; of further ones, the last."""
        self._offset = offset
        self._close()
        if self._next <= until:
            last = self._boundary(until) - self._hop
            if last > self._next:
                self._next = last
                self._let_in()
                self._closed = last - self._hop
            self._close()

    def _close(self) -> None:
        boundary = self._next
        start = self._closed if self._size == self._hop else min(boundary - self._size, self._closed)
        self._track.move(start, start - 1, boundary)
        is_whole = start >= self.since
        self._result = [_figure(getattr(self._track, name)) for name in _FIGURES] if is_whole else None
        self.settled = is_whole and self._track.quiet and not self._ahead
        self._begin(boundary)

    # Readings

    def add(self, event_at: int, value: Value, good: bool, now: Instant) -> None:
        at = min(event_at, self._advance(now))
        if self._newest is not None and at < self._newest:
            if at < self._newest - self._lateness:
                self.late += 1
                return
        else:
            self._newest = at
        self.settled = False
        entered = self._enter(at, usable(value, good))
        self.late += at < self._closed or not entered
        if len(self._ahead) >= MAX_READINGS:
            self._close_until(self._newest, now.wall - now.at)

    def _enter(self, at: int, value: Value) -> bool:
        if at >= self._next:
            self._ahead.append((at, value))
            return True
        return self._track.insert(at, value)

    # Figures

    def _last(self, name: str) -> Any:
        value = None if self._result is None else self._result[_FIGURES.index(name)]
        if value is None:
            raise NoValue
        return value

    def avg(self) -> float:
        return float(self._last("avg"))

    def min(self) -> float:
        return cast("float", self._last("min"))

    def max(self) -> float:
        return cast("float", self._last("max"))

    def sum(self) -> float:
        return float(self._last("sum"))

    def count(self) -> int:
        return int(self._last("count"))

    def stddev(self) -> float:
        return float(self._last("stddev"))

    def first(self) -> Value:
        return cast("Value", self._last("first"))

    def last(self) -> Value:
        return cast("Value", self._last("last"))

    def rate(self) -> float:
        return float(self._last("rate"))

    # Restarts

    def state(self) -> Any:
        times = [self.since, self._offset, self._closed, self._next, self._now, self._newest]
        ahead = [list(reading) for reading in self._ahead]
        return [times, ahead, self._result, self.late, self.settled, self._track.state()]

    def restore(self, state: Any, shift: int) -> None:
        times, ahead, self._result, self.late, self.settled, track = state
        since, offset, closed, following, now, newest = times
        self.since = since + shift
        self._offset = offset - shift
        self._closed, self._next = closed + shift, following + shift
        self._now = None if now is None else now + shift
        self._newest = None if newest is None else newest + shift
        self._ahead = [(at + shift, value) for at, value in ahead]
        self._track.restore(track, shift)


def _figure(compute: Callable[[], Value]) -> Value:
    try:
        return compute()
    except NoValue:
        return None
