"""When the next commit is due (protocol.md 2.2).

NOW: at once, but at most 10 commits a second. SOON: one interval after the last commit that had SOON work, so at once
when that is long ago. LAZY: with the next commit, and after one interval if none comes (J23). What comes while a commit
is being written is not in it and waits for the next one, by the same rules.
"""

from __future__ import annotations

import asyncio

from gateway.clock import Clock
from gateway.journal import Level

COALESCE_S = 0.1
"""NOW commits at most this often."""


class Schedule:
    """Holds the time of the next commit and wakes the commit loop when it moves closer."""

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self._interval = interval_s
        self._last = self._last_soon = float("-inf")
        self._soon = self._writing_soon = False
        self._level: Level | None = None
        self._due = 0.0
        self._wake = asyncio.Event()

    def at(self, level: Level) -> None:
        if level is Level.SOON:
            self.soon()
        elif self._level is None or level < self._level:
            self._set(level)

    def now(self) -> None:
        self.at(Level.NOW)

    def soon(self) -> None:
        if not self._soon:  # the hot path: most calls end here
            self._soon = True
            self._set(Level.SOON)

    def lazy(self) -> None:
        if self._level is None:
            self._set(Level.LAZY)

    def _set(self, level: Level) -> None:
        now = self._clock.mono()
        if level is Level.NOW:
            due = max(now, self._last + min(COALESCE_S, self._interval))
        elif level is Level.SOON:
            due = max(now, self._last_soon + self._interval)
        else:
            due = now + self._interval
        if self._level is None or due < self._due:
            self._due = due
        self._level = level if self._level is None else min(self._level, level)
        self._wake.set()

    def begun(self) -> None:
        """Everything that waits was handed to the writer."""
        self._level = None
        self._writing_soon, self._soon = self._soon, False

    def committed(self, *, again: bool) -> None:
        """A commit ended. `again`: something is left that needs another try, one interval from now."""
        self._last = self._clock.mono()
        if self._writing_soon or again:
            self._last_soon = self._last
        waiting, self._level = self._level, None  # came during the commit: its time counts from the commit's end
        if waiting is not None:
            self._set(waiting)
        if again or self._soon:  # readings may be due before a NOW that has to keep its distance
            self._soon = True
            self._set(Level.SOON)

    async def wait(self) -> None:
        """Until a commit is due."""
        while True:
            self._wake.clear()
            if self._level is None:
                await self._wake.wait()
                continue
            left = self._due - self._clock.mono()
            if left <= 0:
                return
            async with asyncio.TaskGroup() as group:
                timer = group.create_task(self._clock.sleep(left), name="store:timer")
                wake = group.create_task(self._wake.wait(), name="store:wake")
                await asyncio.wait((timer, wake), return_when=asyncio.FIRST_COMPLETED)
                timer.cancel()
                wake.cancel()
