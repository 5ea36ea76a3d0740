"""When a figure is an issue, and when it is none any more. Pure."""

from __future__ import annotations

from collections import deque

from msgspec import Struct


class Threshold(Struct, frozen=True):
    """An issue from `raised_at` on, over below `cleared_at`: a figure that wavers between the two changes nothing."""

    issue: str
    raised_at: float
    cleared_at: float

    def holds(self, share: float, *, before: bool) -> bool:
        """Whether it is an issue now."""
        return share >= (self.cleared_at if before else self.raised_at)


CPU = (Threshold("cpu_high", 0.90, 0.80), Threshold("cpu_critical", 0.95, 0.90))
MEMORY = (Threshold("memory_high", 0.80, 0.75), Threshold("memory_critical", 0.90, 0.85))
DISK = (Threshold("disk_low", 0.90, 0.88), Threshold("disk_critical", 0.95, 0.93))
"""Shares that are in use."""


class Rolling:
    """The share of two totals (used, of) over the last `window_s` seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._totals: deque[tuple[float, float, float]] = deque()

    def add(self, at: float, used: float, of: float) -> float | None:
        """The share up to `at`; None before a whole window was seen. Totals that go back begin anew."""
        if self._totals and (of <= self._totals[-1][2] or used < self._totals[-1][1]):
            self._totals.clear()
        self._totals.append((at, used, of))
        while len(self._totals) > 1 and at - self._totals[1][0] >= self._window_s:
            self._totals.popleft()
        first = self._totals[0]
        if at - first[0] < self._window_s:
            return None
        return (used - first[1]) / (of - first[2])
