"""When a rule that goes by the clock runs next."""

from __future__ import annotations

from gateway.rulebook import Every
from rules.cron import Cron
from rules.zone import Zone

_MIN_PERIOD_MS = 1


class Schedule:
    """The runs of an Every. All times are UTC ms; a plain period measures only, so that any clock will do for it.

    Raises gateway.rulebook.ExpressionError for a cron line that cannot be used, KeyError for an unknown zone of an
    aligned period.
    """

    __slots__ = ("_align", "_cron", "_once", "_period", "_zone")

    def __init__(self, every: Every) -> None:
        self._once = every.missed == "once"
        self._cron = Cron(every.cron, every.zone) if every.cron else None
        self._period = max(round(every.period_s * 1000), _MIN_PERIOD_MS)
        self._align = every.align
        self._zone = Zone(every.zone if every.align else "UTC")

    def next(self, wall_ms: int, last_ms: int | None) -> int:
        """When to run next. `last_ms`: the last run, None before the first; then a plain period begins now.

        A run that was due between then and `wall_ms` is left out, or with `missed: once` made up for: the answer is
        `wall_ms`, at once. A clock that was set back runs nothing twice, unless it went back by more than one period:
        then it was wrong before. Raises OverflowError where the calendar ends.
        """
        if last_ms is None:
            return self._after(wall_ms, wall_ms)
        if last_ms <= wall_ms:
            missed = self._once and self._after(last_ms, last_ms) <= wall_ms
            return wall_ms if missed else self._after(wall_ms, last_ms)
        again = self._after(wall_ms, wall_ms)
        if again <= last_ms < wall_ms + self._after(again, again) - again:
            return self._after(last_ms, last_ms)
        return again

    def _after(self, wall_ms: int, base: int) -> int:
        """The first time later than `wall_ms`; plain periods count from `base`."""
        if self._cron is not None:
            return self._cron.next_after(wall_ms)
        if self._align:
            return self._multiple(wall_ms)
        return base + ((wall_ms - base) // self._period + 1) * self._period

    def _multiple(self, wall_ms: int) -> int:
        """The next time at which the site's clock shows a multiple of the period, counted from a midnight.

        A local time that is skipped runs at the end of the gap. Of one that comes twice, both count for periods that
        fit into the doubled hour, so that there is no hole.
        """
        offset = self._zone.offset(wall_ms)
        local = ((wall_ms + offset) // self._period + 1) * self._period
        candidate = local - offset
        there = self._zone.offset(candidate)
        if there == offset or (candidate + there) % self._period == 0:
            return candidate
        other = local - there
        exists = other > wall_ms and self._zone.offset(other) == there
        return other if exists else self._zone.first(local)
