"""The readings of a stretch of time in order, and figures over them that are kept up, not computed anew."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from gateway.model import Value
from rules.values import NoValue
from rules.windows.cell import Cell, add_samples, count_of, high_of, low_of
from rules.windows.extreme import Extreme
from rules.windows.moments import Moments
from rules.windows.reading import is_number

MAX_READINGS = 20_000
"""The most that one window keeps."""
_PARTS = MAX_READINGS // 4
_STEPS = 4
_TIE = 20
"""A key is the time in ms and this many bits that keep readings of the same ms in their order of arrival."""


class Track:
    """Readings from `start` to `end`, of which those later than `edge` count as samples.

    A value holds until the next reading. The oldest entry may be from before the start: it is the one that holds there.
    A reading without a value (None) is a gap until the next one.

    Memory: above MAX_READINGS / 2 readings, the neighbours that lie within 1/5000 of `span_ms` are merged, a few at
    each reading, so that MAX_READINGS are never reached. All figures stay exact while the merged readings are inside;
    when the start passes over them they count as evenly spread, and as samples they leave together.

    Figures raise NoValue where there is none. Each is kept up from the first time it is asked for.
    """

    __slots__ = (
        "_cursor", "_grain", "_head", "_held", "_high", "_keys", "_low", "_out", "_samples", "_values",
        "edge", "end", "samples", "start",
    )  # fmt: skip

    def __init__(self, span_ms: int) -> None:
        self._grain = span_ms // _PARTS
        self._keys: list[int] = []
        self._values: list[Value | Cell] = []
        self._head = 0
        self._out = False  # the oldest entry is from before the edge
        self._cursor = 0
        self.start = self.edge = self.end = 0
        self.samples = 0
        """Good readings later than the edge."""
        self._forget_figures()

    def _forget_figures(self) -> None:
        self._held: Moments | None = None  # of all entries but the oldest and the newest, by ms
        self._samples: Moments | None = None
        self._low: Extreme | None = None
        self._high: Extreme | None = None

    def __len__(self) -> int:
        return len(self._keys) - self._head

    # What goes in and out

    def insert(self, at: int, value: Value) -> bool:
        """A reading, None for a gap. False: it belongs among readings that are merged already, and is left out."""
        keys, head = self._keys, self._head
        place = len(keys)
        if place > head and at < keys[-1] >> _TIE:
            place = bisect_right(keys, ((at + 1) << _TIE) - 1, head)
            if place == head and self._out:
                return True  # older than the one that holds at the start: no figure shows it
            before = self._values[place - 1] if place > head else None
            if type(before) is Cell and at < before.until:
                return False
        key = at << _TIE
        if place > head and keys[place - 1] >= key:
            key = keys[place - 1] + 1
        newest = place == len(keys)
        keys.insert(place, key)
        self._values.insert(place, value)
        if self._held is not None:
            self._hold(self._held, place, newest=newest)
        if value is not None:
            self._count(key, value, newest=newest)
        self.move(self.start, self.edge, self.end)
        if len(keys) - self._head > MAX_READINGS // 2:
            self._merge()
        return True

    def _count(self, key: int, value: Value, *, newest: bool) -> None:
        self.samples += 1
        if not is_number(value):
            return
        if self._samples is not None:
            self._samples.add(value, 1)
        for extreme in (self._low, self._high):
            if extreme is not None:
                (extreme.push if newest else extreme.insert)(key, value)

    def _hold(self, held: Moments, place: int, *, newest: bool) -> None:
        """An entry is new at `place`: what was the newest has an end now, or the one before ends earlier."""
        keys, head = self._keys, self._head
        if newest:
            if place - 1 > head:
                self._weigh(held, place - 1, keys[place] >> _TIE)
            return
        following = keys[place + 1] >> _TIE
        if place == head:
            if place + 2 < len(keys):  # the one that was the oldest is no longer
                self._weigh(held, place + 1, keys[place + 2] >> _TIE)
            return
        if place - 1 > head:
            self._weigh(held, place - 1, following, -1)
            self._weigh(held, place - 1, keys[place] >> _TIE)
        self._weigh(held, place, following)

    def move(self, start: int, edge: int, end: int) -> None:
        """The stretch is another; it never goes back."""
        self.start, self.edge, self.end = start, edge, end
        keys, values = self._keys, self._values
        size = len(keys)
        if size - self._head > 1 and keys[-1] >> _TIE <= edge:
            self._keep_newest()
            return
        while self._head < size:
            head = self._head
            if not self._out:
                if keys[head] >> _TIE > edge:
                    break
                self._leave(values[head])
            if head + 1 == size or keys[head + 1] >> _TIE > start:
                break
            self._drop_oldest()
        if self._head > 64 and self._head * 4 > size:
            del keys[: self._head], values[: self._head]
            self._cursor -= self._head
            self._head = 0

    def _keep_newest(self) -> None:
        """All but the newest entry are from before the start: they go at once, not one by one."""
        del self._keys[:-1], self._values[:-1]
        self._head = self._cursor = 0
        self._out = True
        self.samples = 0
        if self._held is not None:
            self._held = Moments()
        if self._samples is not None:
            self._samples = Moments()
        for extreme in (self._low, self._high):
            if extreme is not None:
                extreme.evict(self._keys[0])

    def _leave(self, entry: Value | Cell) -> None:
        """The oldest entry is no sample any more."""
        self._out = True
        self.samples -= count_of(entry)
        if self._samples is not None:
            add_samples(self._samples, entry, -1)

    def _drop_oldest(self) -> None:
        keys, head = self._keys, self._head + 1
        self._values[self._head] = None
        self._head, self._out = head, False
        if self._held is not None and head + 1 < len(keys):
            self._weigh(self._held, head, keys[head + 1] >> _TIE, -1)
        for extreme in (self._low, self._high):
            if extreme is not None:
                extreme.evict(keys[head])

    def _merge(self) -> None:
        """Merge where readings are close, a few steps on; the oldest and the newest entry stay alone."""
        keys, values = self._keys, self._values
        for _ in range(_STEPS):
            place = max(self._cursor, self._head + 1)
            if place + 2 >= len(keys):
                self._cursor = 0
                return
            at, entry, following = keys[place] >> _TIE, values[place], values[place + 1]
            next_at = keys[place + 1] >> _TIE
            until = following.until if type(following) is Cell else next_at
            if until - at > self._grain:
                self._cursor = place + 1
                continue
            cell = entry if isinstance(entry, Cell) else Cell(at, entry)
            cell.take(next_at, following)
            values[place] = cell
            del keys[place + 1], values[place + 1]
            self._cursor = place

    # Moments by time

    def _weigh(self, into: Moments, place: int, until: int, sign: int = 1) -> None:
        """Add one entry's part of the integral, from its own time until `until`."""
        entry = self._values[place]
        if type(entry) is Cell:
            into.join(entry.held, sign)
            if is_number(entry.holding):
                into.add(entry.holding, (until - entry.until) * sign)
        elif is_number(entry):
            into.add(entry, (until - (self._keys[place] >> _TIE)) * sign)

    def _weigh_oldest(self, into: Moments, until: int) -> None:
        """The oldest entry's part, from the start on."""
        at, start = self._keys[self._head] >> _TIE, self.start
        if at >= start:
            self._weigh(into, self._head, until)
            return
        entry = self._values[self._head]
        if type(entry) is Cell:
            if start < entry.until:
                into.join(entry.held, entry.until - start, entry.until - at)
                start = entry.until
            entry = entry.holding
        if is_number(entry):
            into.add(entry, until - start)

    def _moments(self) -> Moments:
        keys, head = self._keys, self._head
        if self._held is None:
            self._held = Moments()
            for place in range(head + 1, len(keys) - 1):
                self._weigh(self._held, place, keys[place + 1] >> _TIE)
        moments = self._held.copy()
        if head + 1 == len(keys):
            self._weigh_oldest(moments, self.end)
        elif head < len(keys):
            self._weigh_oldest(moments, keys[head + 1] >> _TIE)
            self._weigh(moments, len(keys) - 1, self.end)
        return moments

    def _newest_number(self) -> float:
        entry = self._values[-1] if len(self) else None
        if not is_number(entry):
            raise NoValue
        return float(entry)

    # Figures

    def avg(self) -> float:
        """The integral over the time that was good. Where that is no time at all: the newest value."""
        moments = self._moments()
        return moments.mean() if moments.weight else self._newest_number()

    def stddev(self) -> float:
        moments = self._moments()
        return moments.deviation() if moments.weight else self._newest_number() * 0.0

    def sum(self) -> float:
        if self._samples is None:
            self._samples = Moments()
            for entry in self._values[self._head + self._out :]:
                add_samples(self._samples, entry, 1)
        return self._samples.total()

    def min(self) -> float:
        if self._low is None:
            self._low = Extreme(largest=False)
            for place in range(self._head, len(self._keys)):
                if (number := low_of(self._values[place])) is not None:
                    self._low.push(self._keys[place], number)
        return self._low.value()

    def max(self) -> float:
        if self._high is None:
            self._high = Extreme(largest=True)
            for place in range(self._head, len(self._keys)):
                if (number := high_of(self._values[place])) is not None:
                    self._high.push(self._keys[place], number)
        return self._high.value()

    def count(self) -> int:
        return self.samples

    def first(self) -> Value:
        """The value that holds at the start, else the first inside."""
        for place in range(self._head, len(self._keys)):
            entry = self._values[place]
            if isinstance(entry, Cell):
                entry = entry.holding if self.start >= entry.until else entry.first
            if entry is not None:
                return entry
        raise NoValue

    def last(self) -> Value:
        for place in range(len(self._keys) - 1, self._head - 1, -1):
            entry = self._values[place]
            if isinstance(entry, Cell):
                entry = entry.last
            if entry is not None:
                return entry
        raise NoValue

    def rate(self) -> float:
        """Change per second between the oldest and the newest sample."""
        old_at, old = self._sample(range(self._head + self._out, len(self._keys)), oldest=True)
        new_at, new = self._sample(range(len(self._keys) - 1, self._head + self._out - 1, -1), oldest=False)
        if new_at == old_at:
            raise NoValue
        change = (new - old) * 1000.0 / (new_at - old_at)
        if not math.isfinite(change):
            raise NoValue
        return change

    def _sample(self, places: range, *, oldest: bool) -> tuple[int, float]:
        for place in places:
            entry, at = self._values[place], self._keys[place] >> _TIE
            if type(entry) is Cell:
                at, entry = (at, entry.first) if oldest else (entry.until, entry.last)
            if is_number(entry):
                return at, entry
        raise NoValue

    @property
    def newest(self) -> int | None:
        """The time of the newest reading."""
        return self._keys[-1] >> _TIE if len(self) else None

    @property
    def gap(self) -> bool:
        """Whether nothing holds now."""
        return not len(self) or self._values[-1] is None

    @property
    def quiet(self) -> bool:
        """Whether time alone changes nothing: one value holds all along, or none."""
        return not len(self) or (len(self) == 1 and (self._out or self._values[-1] is None))

    # Restarts

    def state(self) -> list[Any]:
        times = [key >> _TIE for key in self._keys[self._head :]]
        values = [entry.state() if type(entry) is Cell else entry for entry in self._values[self._head :]]
        return [self.start, self.edge, self.end, self._out, times, values]

    def restore(self, state: list[Any], shift: int) -> None:
        start, edge, end, self._out, times, values = state
        self.start, self.edge, self.end = start + shift, edge + shift, end + shift
        self._head = self._cursor = 0
        self._keys = []
        for at in times:
            key = (at + shift) << _TIE
            self._keys.append(max(key, self._keys[-1] + 1) if self._keys else key)
        self._values = [Cell.of(entry, shift) if isinstance(entry, list) else entry for entry in values]
        self.samples = sum(map(count_of, self._values[self._out :]))
        self._forget_figures()
