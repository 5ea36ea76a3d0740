"""Connections of one adapter: so many at once, one being made at a time, whoever waits longest comes next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """An adapter holds few connections, and makes one at a time."""

    def __init__(self, connections: int) -> None:
        self._slots = asyncio.Semaphore(connections)
        self.connecting = asyncio.Lock()
        self.waiting = 0
        self.used = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A connection of the adapter's; waits for a free one, first come, first served."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.used += 1
        try:
            yield
        finally:
            self.used -= 1
            self._slots.release()
