"""Windows as their definition reads: every reading is kept, every figure is computed from scratch with fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from rules.values import Instant, NoValue
from rules.windows import make_window
from rules.windows.spec import MAX_SIZE_MS

FIGURES = ("avg", "min", "max", "sum", "count", "stddev", "first", "last", "rate")


def watched(spec):
    """A window that has been watched for as long as any can be wide, at 0."""
    return make_window(spec, -MAX_SIZE_MS)


def figures(window):
    """All figures of a window; None where there is none."""
    return {name: _figure(getattr(window, name)) for name in FIGURES}


def _figure(compute):
    try:
        return compute()
    except NoValue:
        return None


def _number(value):
    return isinstance(value, int | float)


def _usable(value, good):
    if not good or value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


class Readings:
    """All readings ever, in order; what came too late is left out and counted."""

    def __init__(self, lateness):
        self.lateness = lateness
        self.all = []
        self.newest = -math.inf
        self.late = 0

    def add(self, at, value, good):
        if at < self.newest - self.lateness:
            self.late += 1
            return False
        self.newest = max(self.newest, at)
        self.all.append((at, len(self.all), _usable(value, good)))
        return True

    def stretch(self, start, end, *, start_inside):
        """Figures of the time from start to end; a reading at the very start is a sample only with `start_inside`."""
        ordered = sorted(reading for reading in self.all if reading[0] <= end)
        ends = [later[0] for later in ordered[1:]] + [end] * bool(ordered)
        inside, shown, spans = [], [], []
        for (at, _, value), until in zip(ordered, ends, strict=True):
            spans.append((value, max(0, until - max(at, start))))
            if value is None:
                continue
            sample = at > start or (start_inside and at == start)
            if sample:
                inside.append((at, value))
            if sample or until > start:
                shown.append(value)
        newest = ordered[-1][2] if ordered else None
        return _compute(inside, shown, spans, newest)


def _compute(inside, shown, spans, newest):
    weighted = [(Fraction(value), span) for value, span in spans if _number(value) and span > 0]
    weight = sum(span for _, span in weighted)
    result = dict.fromkeys(FIGURES)
    if weight:
        mean = sum(value * span for value, span in weighted) / weight
        result["avg"] = float(mean)
        result["stddev"] = _root(sum((value - mean) ** 2 * span for value, span in weighted) / weight)
    elif _number(newest):
        result["avg"], result["stddev"] = float(newest), 0.0
    _plain(result, inside, shown)
    return result


def _plain(result, inside, shown):
    numbers = [value for value in shown if _number(value)]
    if numbers:
        result["min"], result["max"] = min(numbers), max(numbers)
    samples = [(at, value) for at, value in inside if _number(value)]
    if samples:
        result["sum"] = _float(sum(Fraction(value) for _, value in samples))
        if samples[0][0] != samples[-1][0]:
            change = (samples[-1][1] - samples[0][1]) * 1000.0 / (samples[-1][0] - samples[0][0])
            result["rate"] = change if math.isfinite(change) else None
    result["count"] = len(inside)
    if shown:
        result["first"], result["last"] = shown[0], shown[-1]


def _float(value):
    try:
        return float(value)
    except OverflowError:
        return None


def _root(square):
    scale = 4**1100  # both the largest and the smallest floats squared keep their digits
    return math.isqrt(int(square * scale)) / 2**1100


class SlidingOracle:
    def __init__(self, size, lateness, since):
        self.size, self.since = size, since
        self.readings = Readings(lateness)
        self.now = -math.inf

    @property
    def late(self):
        return self.readings.late

    def add(self, at, value, good, now):
        self.move(now)
        self.readings.add(min(at, self.now), value, good)

    def move(self, now):
        self.now = max(self.now, now.at)

    def figures(self):
        begin = self.now - self.size
        if begin < self.since:
            return dict.fromkeys(FIGURES)
        return self.readings.stretch(begin, self.now, start_inside=False)


class SamplesOracle:
    since = None

    def __init__(self, size, lateness):
        self.size = size
        self.readings = Readings(lateness)
        self.now = -math.inf

    @property
    def late(self):
        return self.readings.late

    def add(self, at, value, good, now):
        self.move(now)
        self.readings.add(min(at, self.now), value, good)

    def move(self, now):
        self.now = max(self.now, now.at)

    def figures(self):
        kept = sorted(reading for reading in self.readings.all if reading[2] is not None)[-self.size :]
        if len(kept) < self.size:
            return {**dict.fromkeys(FIGURES), "count": len(kept)}
        inside = [(at, value) for at, _, value in kept]
        values = [value for _, value in inside]
        result = _compute(inside, values, [(value, 1) for value in values], None)
        if inside and not (_number(inside[0][1]) and _number(inside[-1][1])):
            result["rate"] = None
        return result


class HoppingOracle:
    """Boundaries as the definition of Hopping says, one after the other."""

    def __init__(self, size, hop, lateness, since):
        self.size, self.hop, self.since = size, hop, since
        self.readings = Readings(lateness)
        self.offset = 0
        self.closed = self.next = None
        self.result = dict.fromkeys(FIGURES)
        self.missed = 0
        self.now = -math.inf

    @property
    def late(self):
        return self.readings.late + self.missed

    def _multiple(self, after):
        at = after + 1
        return at + -(at + self.offset) % self.hop

    def _choose(self):
        counted = max((at for at, _, _ in self.readings.all if at < self.next), default=-math.inf)
        self.next = max(self._multiple(self.closed + self.hop // 2), counted + 1)

    def move(self, now):
        offset = now.wall - now.at
        if self.closed is None:
            self.offset = offset if abs(offset - self.offset) > 500 else self.offset
            self.now = now.at
            self.next = self._multiple(now.at)
            self.closed = self.next - self.hop
            return
        self.now = max(self.now, now.at)
        if abs(offset - self.offset) > 500:
            self.offset = offset
            self._choose()
        while self.next + self.readings.lateness <= self.now:
            self.offset = offset
            self._close()

    def _close(self):
        start = self.closed if self.size == self.hop else min(self.next - self.size, self.closed)
        if self._following() + self.readings.lateness <= self.now:
            self.closed, self.next = self.next, self._following()
            return  # nobody sees this one
        before = Readings(0)
        before.all = [reading for reading in self.readings.all if reading[0] < self.next]
        if start < self.since:
            self.result = dict.fromkeys(FIGURES)
        else:
            self.result = before.stretch(start, self.next, start_inside=True)
        self.closed, self.next = self.next, self._following()

    def _following(self):
        return self._multiple(self.next + self.hop // 2)

    def add(self, at, value, good, now):
        self.move(now)
        at = min(at, self.now)
        if self.readings.add(at, value, good):
            self.missed += at < self.closed

    def figures(self):
        return self.result


def instant(at, offset=0):
    return Instant(at, at + offset)
