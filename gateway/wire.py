"""One driver call at a time, and none for ever: the kernel's own limit around what a driver does on its wire.

The driver ends its requests itself after the channel's timeout. The guard is for the driver that does not: it cancels
the call, and the channel starts anew with a fresh driver, as nobody knows what is still on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.clock import Clock, Timer
from gateway.errors import LinkLost

T = TypeVar("T")


class DriverStalled(LinkLost):
    """A driver's call did not end by itself. The channel is started anew."""


class CallGuard:
    """Limits the calls of the task that made it. One timer that is moved lazily, none per call."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a CallGuard belongs to a task")
        self._task = task
        self._clock = clock
        self._limit_s = limit_s
        self._since: float | None = None
        self._timer: Timer | None = None
        self._fired = False

    async def call(self, what: Awaitable[T]) -> T:
        """Await `what`. Raises DriverStalled when it takes longer than the limit."""
        self._since = self._clock.mono()
        if self._timer is None:
            self._timer = self._clock.call_later(self._limit_s, self._look)
        try:
            return await what
        except BaseException as error:
            if self._fired and self._settle() and isinstance(error, asyncio.CancelledError):
                raise DriverStalled(f"the driver did not end a call within {self._limit_s:g} s") from error
            raise
        finally:
            self._since = None
            if self._fired:  # it swallowed the cancellation and returned after all
                self._settle()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._limit_s - self._clock.mono()
        if left > 0.0005:
            self._timer = self._clock.call_later(left, self._look)
            return
        self._fired = True
        self._task.cancel()

    def _settle(self) -> bool:
        """Take our cancellation back. False when somebody else has cancelled the task too."""
        self._fired = False
        return self._task.uncancel() == 0
