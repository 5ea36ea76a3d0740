"""The window of unacknowledged publishes: the only queue between the journal and the broker."""

from __future__ import annotations

import asyncio
from collections import deque


class Window:
    """Counts slots. Waiters are served first come, first served, before anyone that takes without waiting."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._used = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def used(self) -> int:
        return self._used

    @property
    def room(self) -> int:
        """Slots free for who does not wait: none while somebody waits."""
        return 0 if self._waiters else self.size - self._used

    def take(self) -> None:
        """Take a slot now. Raises RuntimeError when there is none: the caller did not look at `room`."""
        if self.room <= 0:
            raise RuntimeError("the window is full")
        self._used += 1

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        if self.room > 0:
            self._used += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.done() and not waiter.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Return a slot; it goes to the first waiter."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._used -= 1
