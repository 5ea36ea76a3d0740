"""The hours in which a job may begin: `02:00-04:00` of the gateway's time zone, each day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.clock import Clock
from gateway.jobs.work import JobCancelled, JobRefused, Running

_FORM = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_LOOK_S = 30.0
"""How often the wall clock is asked while it is waited: it may step, and a zone has its changes."""


class Window(Struct, frozen=True):
    """From `begin` until just before `end`, minutes of the day; over midnight where `end` is the earlier one."""

    begin: int
    end: int

    def wait_s(self, now_ms: int, zone: tzinfo) -> float:
        """Seconds until it is open; 0 while it is. `now_ms`: UTC ms."""
        now = now_ms / 1000
        today = datetime.fromtimestamp(now, zone).date()
        soonest = float("inf")
        for day in (-1, 0, 1, 2):
            opens = _at(today + timedelta(days=day), self.begin, zone)
            closes = _at(today + timedelta(days=day + (self.end <= self.begin)), self.end, zone)
            if opens <= now < closes:
                return 0.0
            if opens > now:
                soonest = min(soonest, opens - now)
        return soonest


def parse_window(text: object, where: str = "doc.window") -> Window:
    """Raises JobRefused 400, which names `where` it stands."""
    found = _FORM.match(text) if isinstance(text, str) else None
    if found is None:
        raise JobRefused(f"{where}: a window is written as 02:00-04:00")
    begin, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if begin == end:
        raise JobRefused(f"{where}: a window that begins when it ends is never open; leave it out for any time")
    return Window(begin, end)


async def until_open(running: Running, windows: Callable[[], Window | None], clock: Clock, zone: tzinfo) -> None:
    """Wait as step `waiting`, reason `window`. `windows` is asked again and again: settings may change meanwhile.
    Raises JobCancelled when nobody wants the job any more.
    """
    told = False
    while (window := windows()) is not None and (left := window.wait_s(clock.wall_ms(), zone)) > 0:
        if not told:
            await running.step("waiting", reason="window")
            told = True
        await pause(running, min(left, _LOOK_S), clock)


async def pause(running: Running, seconds: float, clock: Clock) -> None:
    """Wait so long. Raises JobCancelled as soon as nobody wants the job any more."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    waits = [asyncio.ensure_future(over.wait()), asyncio.ensure_future(running.cancelled.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
    if running.cancelled.is_set():
        raise JobCancelled("cancelled while it waited")


def zone_of(name: str) -> tzinfo:
    """The zone of a valid name; UTC needs no zone files."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _at(day: date, minutes: int, zone: tzinfo) -> float:
    return datetime.combine(day, time(minutes // 60, minutes % 60), zone).timestamp()
