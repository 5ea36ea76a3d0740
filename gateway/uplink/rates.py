"""Measures and limits of delivery: how fast, how late, how much is allowed. Times in seconds on the boot clock."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

SPAN_S = 10.0
_MOST_SAMPLES = 500


class Meter:
    """Amount per second over the last SPAN_S seconds, in ten buckets."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[float, float]] = deque()
        self._began: float | None = None

    def add(self, now: float, amount: float) -> None:
        if self._began is None:
            self._began = now
        start = now - now % 1.0
        if self._buckets and self._buckets[-1][0] == start:
            self._buckets[-1] = (start, self._buckets[-1][1] + amount)
        else:
            self._buckets.append((start, amount))
        self._trim(now)

    def rate(self, now: float) -> float:
        self._trim(now)
        if self._began is None:
            return 0.0
        span = min(SPAN_S, max(1.0, now - self._began))
        return sum(amount for _, amount in self._buckets) / span

    def _trim(self, now: float) -> None:
        while self._buckets and self._buckets[0][0] < now - SPAN_S:
            self._buckets.popleft()


class Lateness:
    """The 99th percentile of live delivery times over the last SPAN_S seconds, of at most 500 messages.

    Asked at every acknowledgement: the times are kept in order, so that nothing is sorted then.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        self._ordered: list[float] = []

    def add(self, now: float, seconds: float) -> None:
        if len(self._samples) >= _MOST_SAMPLES:
            self._forget()
        self._samples.append((now, seconds))
        insort(self._ordered, seconds)

    def p99(self, now: float) -> float:
        """0.0 when nothing was delivered lately."""
        while self._samples and self._samples[0][0] < now - SPAN_S:
            self._forget()
        ordered = self._ordered
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0

    def _forget(self) -> None:
        """Drop the oldest."""
        _, seconds = self._samples.popleft()
        del self._ordered[bisect_left(self._ordered, seconds)]


class TokenBucket:
    """At most `rate` units per second, with one second of burst; None allows all.

    A taker that may not wait (an alarm) takes more than there is: the debt delays those that may.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self.rate = rate
        self._level = rate or 0.0
        self._at = now

    def delay(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken: 0.0 is now. More than a burst may go when the bucket is full."""
        if self.rate is None:
            return 0.0
        self._refill(now)
        needed = min(amount, max(self.rate, 1.0))
        return 0.0 if self._level >= needed - 1e-9 else (needed - self._level) / self.rate

    def take(self, now: float, amount: float) -> None:
        if self.rate is not None:
            self._refill(now)
            self._level -= amount

    def _refill(self, now: float) -> None:
        assert self.rate is not None
        self._level = min(max(self.rate, 1.0), self._level + (now - self._at) * self.rate)
        self._at = now
