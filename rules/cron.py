"""Cron lines of five fields, as Vixie cron reads them, on a site's wall clock."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta

from gateway.rulebook import ExpressionError
from rules.cron_fields import parse
from rules.zone import Zone

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_EPOCH = date(1970, 1, 1)
_YEARS = 48
"""29 February falls on each weekday within so many years, also over a year that is not a leap year."""


class Cron:
    """`minute hour day month weekday` in a time zone.

    A line with given hours runs once for each of its local times: a time that daylight saving skips runs right after
    the gap, one that comes twice runs the first time. A line for every hour (`*`) goes by real time: it has neither a
    hole nor a doubled run. Where day and weekday are both restricted, either will do; a field that begins with `*`
    restricts nothing by itself.

    Raises gateway.rulebook.ExpressionError for a text that cannot be used or never comes true, or an unknown zone.
    """

    __slots__ = ("_line", "_zone", "text")

    def __init__(self, text: str, zone: str = "UTC") -> None:
        self.text = text
        self._line = parse(text)
        try:
            self._zone = Zone(zone)
        except KeyError:
            raise ExpressionError(f"{zone!r} is no time zone", 0, "a name as Europe/Berlin") from None

    def next_after(self, wall_ms: int) -> int:
        """The first run later than `wall_ms`; both UTC ms. Raises OverflowError where the calendar ends."""
        try:
            run = self._by_real_time(wall_ms) if self._line.every_hour else self._by_local_time(wall_ms)
        except (ValueError, OverflowError, OSError):
            raise OverflowError(wall_ms) from None
        return run

    def _by_local_time(self, wall_ms: int) -> int:
        """Local times in order are moments in order, as each is taken the first time it comes."""
        since = self._zone.local(wall_ms) // _MINUTE * _MINUTE
        for day in self._days(since // _DAY):
            for hour in self._line.hours:
                if day * _DAY + (hour + 1) * _HOUR <= since:
                    continue
                for minute in self._line.minutes:
                    local = day * _DAY + hour * _HOUR + minute * _MINUTE
                    if local >= since and (run := self._zone.first(local)) > wall_ms:
                        return run
        raise OverflowError(wall_ms)

    def _by_real_time(self, wall_ms: int) -> int:
        """From minute to minute of real time, with jumps over days and minutes that are not meant."""
        wall = wall_ms // _MINUTE * _MINUTE + _MINUTE
        while True:
            local = self._zone.local(wall)
            day, minute = local // _DAY, local // _MINUTE % 60
            if not self._line.on(_date(day)):
                following = next(self._days(day + 1))
                wall = max(wall + _MINUTE, self._zone.first(following * _DAY))
            elif minute in self._line.minutes:
                return wall
            else:
                wall = self._minute_after(wall, minute)

    def _minute_after(self, wall: int, minute: int) -> int:
        later = next((each for each in self._line.minutes if each > minute), 60)
        there = wall + (later - minute) * _MINUTE
        same = self._zone.offset(there) == self._zone.offset(wall)
        return there if same else wall + _MINUTE

    def _days(self, first: int) -> Iterator[int]:
        """The days that are meant, as days since 1970, from one on."""
        day = _date(first)
        for _ in range(_YEARS * 12):
            length = calendar.monthrange(day.year, day.month)[1]
            if day.month in self._line.months:
                for number in range(day.day, length + 1):
                    if self._line.on(each := day.replace(day=number)):
                        yield (each - _EPOCH).days
            day = day.replace(day=length) + timedelta(days=1)


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)
