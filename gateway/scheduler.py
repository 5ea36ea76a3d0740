"""When what is polled: deadlines on a fixed grid. Pure logic, no waiting.

A key's deadlines lie at start + n x period, computed from n and never summed up, so they do not drift. A key that
was served late goes on at the next grid point in the future: what was passed is counted as missed, never caught up.
Aligned keys lie on multiples of the period on the site's wall clock.
"""

from __future__ import annotations

import heapq
import itertools
import math
from datetime import UTC, datetime, tzinfo
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from gateway.model import Schedule

K = TypeVar("K")

MIN_PERIOD_S = 0.001
_STEP_MS = 500.0
"""A wall clock that moved this much against the boot clock was stepped: aligned deadlines are computed anew."""


def next_multiple(wall_ms: float, period_s: float, zone: tzinfo) -> float:
    """The first UTC ms after `wall_ms` at which the zone's wall clock shows a multiple of the period.

    A local time that is skipped runs at the end of the gap. Of one that comes twice, both count for periods that
    fit into the doubled hour, so that sampling has no hole.
    """
    period = max(period_s, MIN_PERIOD_S) * 1000.0
    offset = _offset_ms(wall_ms, zone)
    local = (math.floor((wall_ms + offset) / period) + 1) * period
    candidate = local - offset
    there = _offset_ms(candidate, zone)
    if there == offset or math.isclose((candidate + there) % period, 0.0, abs_tol=1e-6):
        return candidate
    other = local - there
    exists = other > wall_ms and _offset_ms(other, zone) == there
    return other if exists else candidate


def _offset_ms(wall_ms: float, zone: tzinfo) -> float:
    offset = datetime.fromtimestamp(wall_ms / 1000.0, zone).utcoffset()
    return offset.total_seconds() * 1000.0 if offset is not None else 0.0


class _Entry(Generic[K]):
    __slots__ = ("align", "base", "due", "key", "missed", "n", "period", "served", "slot", "stamp")

    def __init__(self, key: K, period: float, now: float, *, align: bool) -> None:
        self.key = key
        self.period = period
        self.align = align
        self.base = now
        self.n = 0
        self.due = now
        self.missed = 0
        self.slot = self.served = -math.inf  # UTC ms of the aligned slot that is due, and of the one before
        self.stamp = 0


class Timetable(Generic[K]):
    """Deadlines of keys on the boot clock. Times: `now` boot-clock seconds, `wall` UTC ms of the same moment."""

    def __init__(self, timezone: str = "UTC") -> None:
        self._zone: tzinfo = UTC if timezone == "UTC" else ZoneInfo(timezone)  # UTC needs no zone files
        self._entries: dict[K, _Entry[K]] = {}
        self._heap: list[tuple[float, int, _Entry[K]]] = []
        self._stamps = itertools.count(1)
        self._offset: float | None = None
        self._aligned: set[K] = set()

    def add(self, key: K, schedule: Schedule, now: float) -> None:
        """Enter a key; it is due at once. One that is known is entered anew."""
        entry = _Entry(key, max(schedule.every_s, MIN_PERIOD_S), now, align=schedule.align)
        known = self._entries.get(key)
        if known is not None:
            entry.missed = known.missed
        self._entries[key] = entry
        (self._aligned.add if entry.align else self._aligned.discard)(key)
        self._push(entry)

    def remove(self, key: K) -> None:
        self._aligned.discard(key)
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.stamp = 0

    def at_once(self, key: K, now: float) -> None:
        """Make a key due now; its grid starts anew here."""
        entry = self._entries[key]
        entry.base, entry.n, entry.due = now, 0, now
        self._push(entry)

    def override(self, key: K, every_s: float, now: float) -> None:
        """Give a key another period, from now on. Due after one period, or earlier when it already was."""
        entry = self._entries[key]
        entry.period = max(every_s, MIN_PERIOD_S)
        entry.base, entry.n = min(entry.due, now + entry.period), 0
        entry.due = entry.base
        self._push(entry)

    def take(self, now: float, wall: float) -> list[K]:
        """The keys that are due, in the order of their deadlines. Each goes on to its next deadline after now."""
        self.watch(now, wall)
        due: list[K] = []
        while (top := self._top()) is not None and top.due <= now:
            heapq.heappop(self._heap)
            due.append(top.key)
            self._forward(top, now, wall)
        return due

    @property
    def has_aligned(self) -> bool:
        """Whether any deadline depends on the wall clock."""
        return bool(self._aligned)

    def next_due(self) -> float | None:
        """When the next key is due."""
        top = self._top()
        return None if top is None else top.due

    def due(self, key: K) -> float:
        return self._entries[key].due

    def miss(self, key: K) -> None:
        """Count a deadline that came while the poll before was still waiting for the wire."""
        self._entries[key].missed += 1

    def missed(self, key: K) -> int:
        return self._entries[key].missed

    def _forward(self, entry: _Entry[K], now: float, wall: float) -> None:
        if entry.align:
            if entry.n > 0:  # else a poll out of turn, off the grid: it serves no slot
                entry.missed += max(0, math.floor((now - entry.due) / entry.period))
                entry.served = entry.slot
            entry.n += 1
            self._enter_slot(entry, wall, now, next_multiple(wall, entry.period, self._zone))
        else:
            passed = max(0, math.floor((now - entry.due) / entry.period))
            entry.missed += passed
            entry.n += passed + 1
            entry.due = entry.base + entry.n * entry.period
            if entry.due <= now:  # the division above was rounded down over a grid point
                entry.missed += 1
                entry.n += 1
                entry.due = entry.base + entry.n * entry.period
        self._push(entry)

    def _enter_slot(self, entry: _Entry[K], wall: float, now: float, slot: float) -> None:
        """Make `slot` due, unless it was served already: a wall clock that is a little behind, or was set back by less
        than a period since, shows it again. Set back by more, it was wrong before.
        """
        if slot <= entry.served < wall + entry.period * 1000.0:
            slot = next_multiple(entry.served, entry.period, self._zone)
        entry.slot = slot
        entry.due = now + (slot - wall) / 1000.0

    def watch(self, now: float, wall: float) -> bool:
        """Look at the wall clock. True: it was set, and aligned deadlines are others now."""
        offset = wall - now * 1000.0
        stepped = self._offset is not None and abs(offset - self._offset) > _STEP_MS
        self._offset = offset
        if stepped:
            for entry in (self._entries[key] for key in self._aligned):
                if entry.n > 0:
                    self._step(entry, now, wall)
                    self._push(entry)
        return stepped

    def _step(self, entry: _Entry[K], now: float, wall: float) -> None:
        """The wall clock was set: a slot that was passed over is served now, once; else the next one is due."""
        if wall >= entry.slot:
            entry.due = now
        else:
            self._enter_slot(entry, wall, now, next_multiple(wall - 1.0, entry.period, self._zone))

    def _push(self, entry: _Entry[K]) -> None:
        entry.stamp = next(self._stamps)
        heapq.heappush(self._heap, (entry.due, entry.stamp, entry))

    def _top(self) -> _Entry[K] | None:
        while self._heap and self._heap[0][2].stamp != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None
