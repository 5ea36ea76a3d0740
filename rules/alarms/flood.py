"""How many alarms people get: the figures of ISA-18.2 and EEMUA 191.

An alarm is counted when it is announced. A flood begins with more than ten alarms in ten minutes and ends with fewer
than five in ten minutes. Everything is counted in this process, over the last 24 h; a restart begins anew.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from msgspec import Struct

from rules.values import Instant

WINDOW_MS = 600_000
KEPT = 144
FLOOD_ABOVE = 10
FLOOD_BELOW = 5
TOP = 10
FLOODS = 10
_SECOND_MS = 1000


class _Interval(Struct):
    """Ten minutes since the start: who was announced how often, and the most in any ten minutes that ended in it."""

    number: int
    counts: Counter[str]
    peak: int = 0


class Flood(Struct, frozen=True):
    """A flood. Times in UTC ms, `end` 0 while it lasts; `alarms` announced in it, with those that made it one."""

    begin: int
    end: int
    alarms: int


class Figures:
    """Counts announcements. Times must not go back."""

    def __init__(self) -> None:
        self._start: int | None = None
        self._recent: deque[list[int]] = deque()  # [second, alarms in it]: bounded, however bad the flood is
        self._count = 0
        self._intervals: deque[_Interval] = deque(maxlen=KEPT)
        self._flood: Flood | None = None
        self._floods: deque[Flood] = deque(maxlen=FLOODS)

    def announced(self, key: str, now: Instant) -> None:
        """An alarm was announced."""
        self.move(now)
        second = now.at // _SECOND_MS
        if self._recent and self._recent[-1][0] == second:
            self._recent[-1][1] += 1
        else:
            self._recent.append([second, 1])
        self._count += 1
        interval = self._interval(now.at)
        interval.counts[key] += 1
        interval.peak = max(interval.peak, self._count)
        if self._flood is not None:
            self._flood = Flood(self._flood.begin, 0, self._flood.alarms + 1)
        elif self._count > FLOOD_ABOVE:
            self._flood = Flood(now.wall, 0, self._count)

    def move(self, now: Instant) -> None:
        """Time has passed: old announcements leave the ten minutes, and a flood may end, at the very second."""
        if self._start is None:
            self._start = now.at
        while self._recent and self._recent[0][0] * _SECOND_MS + WINDOW_MS <= now.at:
            second, alarms = self._recent.popleft()
            self._count -= alarms
            if self._flood is not None and self._count < FLOOD_BELOW:
                ended = now.wall - (now.at - second * _SECOND_MS - WINDOW_MS)
                self._floods.append(Flood(self._flood.begin, ended, self._flood.alarms))
                self._flood = None
        oldest = self._number(now.at) - KEPT
        while self._intervals and self._intervals[0].number <= oldest:
            self._intervals.popleft()

    def view(self, now: Instant) -> dict[str, Any]:
        """The figures for people. `since` in UTC ms; `flood` is None or the one that lasts; `share` in percent."""
        self.move(now)
        start = now.at if self._start is None else self._start
        watched = now.at - max(start, start + (self._number(now.at) - KEPT + 1) * WINDOW_MS)
        counts: Counter[str] = Counter()
        for interval in self._intervals:
            counts.update(interval.counts)
        total = counts.total()
        top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
        return {
            "since": now.wall - watched,
            "per_10_min": {
                "now": self._count,
                "peak": max((interval.peak for interval in self._intervals), default=0),
                "average": round(total * WINDOW_MS / max(watched, WINDOW_MS), 2),
            },
            "alarms": total,
            "flood": None if self._flood is None else {"begin": self._flood.begin, "alarms": self._flood.alarms},
            "floods": [{"begin": one.begin, "end": one.end, "alarms": one.alarms} for one in self._floods],
            "top": [{"key": key, "count": n, "share": round(100 * n / total, 1)} for key, n in top],
        }

    def _number(self, at: int) -> int:
        return (at - (self._start or 0)) // WINDOW_MS

    def _interval(self, at: int) -> _Interval:
        number = self._number(at)
        if not self._intervals or self._intervals[-1].number != number:
            self._intervals.append(_Interval(number, Counter()))
        return self._intervals[-1]
