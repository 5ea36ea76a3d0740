"""A window by number: the last n good readings, each of the same weight."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from gateway.model import Value
from rules.values import Instant, NoValue
from rules.windows.extreme import Extreme
from rules.windows.moments import Moments
from rules.windows.reading import is_number, usable

_TIE = 20
"""A key is the time in ms and this many bits that keep readings of the same ms in their order of arrival."""


class Samples:
    """Figures over the last `size` good readings, as Window says. Time alone changes nothing. Until there are so many,
    only the count is known.
    """

    __slots__ = ("_head", "_high", "_keys", "_lateness", "_low", "_newest", "_now", "_size", "_sums", "_values", "late")

    since: int | None = None
    due: int | None = None
    settled = True

    def __init__(self, size: int, lateness_ms: int = 0) -> None:
        self._size = size
        self._lateness = lateness_ms
        self._now: int | None = None
        self._newest: int | None = None
        self.late = 0
        self._fill([], [])

    def _fill(self, keys: list[int], values: list[Value]) -> None:
        self._keys, self._values, self._head = keys, values, 0
        self._sums: Moments | None = None
        self._low: Extreme | None = None
        self._high: Extreme | None = None

    def add(self, event_at: int, value: Value, good: bool, now: Instant) -> None:
        self.move(now)
        at = event_at if self._now is None else min(event_at, self._now)
        if self._newest is not None and at < self._newest:
            if at < self._newest - self._lateness:
                self.late += 1
                return
        else:
            self._newest = at
        value = usable(value, good)
        if value is not None:
            self._insert(at, value)

    def move(self, now: Instant) -> None:
        self._now = now.at if self._now is None else max(self._now, now.at)

    def _insert(self, at: int, value: Value) -> None:
        keys, head = self._keys, self._head
        place = bisect_right(keys, ((at + 1) << _TIE) - 1, head)
        full = len(keys) - head == self._size
        if full and place == head:
            return  # so many newer ones are here
        key = at << _TIE
        if place > head and keys[place - 1] >= key:
            key = keys[place - 1] + 1
        newest = place == len(keys)
        keys.insert(place, key)
        self._values.insert(place, value)
        if is_number(value):
            if self._sums is not None:
                self._sums.add(value, 1)
            for extreme in (self._low, self._high):
                if extreme is not None:
                    (extreme.push if newest else extreme.insert)(key, value)
        if full:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        value = self._values[self._head]
        self._values[self._head] = None
        self._head += 1
        if self._sums is not None and is_number(value):
            self._sums.add(value, -1)
        for extreme in (self._low, self._high):
            if extreme is not None:
                extreme.evict(self._keys[self._head])
        if self._head > 64 and self._head * 4 > len(self._keys):
            del self._keys[: self._head], self._values[: self._head]
            self._head = 0

    def watched_since(self, at: int) -> None:
        pass

    def _require_all(self) -> None:
        if self.count() < self._size:
            raise NoValue

    def _moments(self) -> Moments:
        self._require_all()
        if self._sums is None:
            self._sums = Moments()
            for value in self._values[self._head :]:
                if is_number(value):
                    self._sums.add(value, 1)
        return self._sums

    def _extreme(self, *, largest: bool) -> Extreme:
        extreme = Extreme(largest=largest)
        for place in range(self._head, len(self._keys)):
            if is_number(value := self._values[place]):
                extreme.push(self._keys[place], value)
        return extreme

    def avg(self) -> float:
        return self._moments().mean()

    def stddev(self) -> float:
        return self._moments().deviation()

    def sum(self) -> float:
        return self._moments().total()

    def min(self) -> float:
        self._require_all()
        if self._low is None:
            self._low = self._extreme(largest=False)
        return self._low.value()

    def max(self) -> float:
        self._require_all()
        if self._high is None:
            self._high = self._extreme(largest=True)
        return self._high.value()

    def count(self) -> int:
        return len(self._keys) - self._head

    def first(self) -> Value:
        self._require_all()
        return self._values[self._head]

    def last(self) -> Value:
        self._require_all()
        return self._values[-1]

    def rate(self) -> float:
        old, new = self.first(), self.last()
        span = (self._keys[-1] >> _TIE) - (self._keys[self._head] >> _TIE)
        if not is_number(old) or not is_number(new) or not span:
            raise NoValue
        change = (new - old) * 1000.0 / span
        if not math.isfinite(change):
            raise NoValue
        return change

    def state(self) -> Any:
        times = [key >> _TIE for key in self._keys[self._head :]]
        return [self._now, self._newest, self.late, times, self._values[self._head :]]

    def restore(self, state: Any, shift: int) -> None:
        now, newest, self.late, times, values = state
        self._now = None if now is None else now + shift
        self._newest = None if newest is None else newest + shift
        keys: list[int] = []
        for at in times:
            key = (at + shift) << _TIE
            keys.append(max(key, keys[-1] + 1) if keys else key)
        self._fill(keys, list(values))
