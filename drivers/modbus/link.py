"""An open connection of a wire, and who hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, cast


class Listener(Protocol):
    """What a connection reports to."""

    def received(self, link: Link, data: bytes) -> None: ...

    def lost(self, link: Link, error: Exception | None) -> None:
        """It ended by itself."""
        ...


class Link(asyncio.Protocol):
    """An open connection. `heard`: whether anything ever came."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.transport: asyncio.Transport | None = None
        self.heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no common class

    def data_received(self, data: bytes) -> None:
        self.heard = True
        self._listener.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._listener.lost(self, exc)


Opener = Callable[[Callable[[], Link]], Awaitable[Link]]
"""Opens a connection with a protocol that the factory makes. Raises OSError."""
