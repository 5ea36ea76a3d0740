"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

_MAX_ROUNDS = 1_000
"""Turns of the event loop that `settle` allows: more means that two tasks wake each other without end."""


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class ManualTimer:
    """A pending call of a ManualClock."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A gateway.clock.Clock that stands still until a test moves it.

    `await clock.advance(10)` passes through every timer on the way in the order of their deadlines, and lets the
    tasks that it woke run until they wait again before it goes on. `wall` is UTC ms, `mono` boot-clock seconds.
    """

    def __init__(self, wall_ms: int = 1_800_000_000_000, mono: float = 1_000.0, *, synced: bool = True) -> None:
        self._wall = float(wall_ms)
        self._mono = mono
        self._synced = synced
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def wall_ms(self) -> int:
        return round(self._wall)

    def mono(self) -> float:
        return self._mono

    def synced(self) -> bool:
        return self._synced

    def set_synced(self, synced: bool) -> None:
        self._synced = synced

    def step_wall(self, seconds: float) -> None:
        """The wall clock jumps; the boot clock does not."""
        self._wall += seconds * 1000.0

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: _resolve(waiter))
        try:
            await waiter
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> ManualTimer:
        timer = ManualTimer(self._mono + max(seconds, 0.0), callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, stopping at each timer on the way."""
        end = self._mono + seconds
        await self.settle()
        while (due := self._next_due()) is not None and due <= end:
            self.move(max(due - self._mono, 0.0))
            await self.settle()
        self._set(end)
        await self.settle()

    def move(self, seconds: float) -> None:
        """Let `seconds` pass at one stroke and run the timers that are due, without giving tasks a turn."""
        end = self._mono + seconds
        while (due := self._next_due()) is not None and due <= end:
            timer = heapq.heappop(self._timers)[2]
            self._set(max(due, self._mono))
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        self._set(end)

    async def settle(self) -> None:
        """Give every task that can run its turn, until all wait."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for rounds in range(_MAX_ROUNDS):
            await asyncio.sleep(0)
            if ready is not None and not ready and rounds > 1:
                return
            if ready is None and rounds > 20:  # another loop than asyncio's own: a fixed number of turns
                return
        raise RuntimeError(f"tasks are still running after {_MAX_ROUNDS} turns of the loop")

    @property
    def pending(self) -> int:
        """Timers that wait."""
        return sum(1 for _, _, timer in self._timers if timer.callback is not None)

    def _next_due(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _set(self, mono: float) -> None:
        self._wall += (mono - self._mono) * 1000.0
        self._mono = mono
