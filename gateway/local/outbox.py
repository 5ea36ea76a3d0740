"""What waits to be written to one local connection.

Answers are never dropped: their number is bounded by the requests in flight. Items of a stream are bounded per
stream; when its reader is slow the oldest go, and a `dropped` line tells how many before the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from gateway.local.wire import encode


class Stream:
    """Items of one streaming request that are not written yet."""

    __slots__ = ("dropped", "id", "items", "lost")

    def __init__(self, id: int | str) -> None:  # noqa: A002 - the field's word
        self.id = id
        self.items: deque[dict[str, Any]] = deque()
        self.dropped = 0
        self.lost = 0


class Outbox:
    """Lines for one connection, in order. `bound`: items held per stream."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._tokens: deque[tuple[bytes, asyncio.Event] | Stream] = deque()
        self._writing: asyncio.Event | None = None
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    def put(self, line: bytes) -> asyncio.Event:
        """A line that must arrive. The event is set once it has been written (or the peer is gone)."""
        written = asyncio.Event()
        self._append((line, written))
        return written

    def put_item(self, stream: Stream, item: dict[str, Any]) -> None:
        """An item that may go when the reader does not keep up."""
        if len(stream.items) >= self._bound:
            stream.items.popleft()
            stream.dropped += 1
            stream.lost += 1
            self.dropped += 1
            stream.items.append(item)  # takes over the place in line of the one that went
        else:
            stream.items.append(item)
            self._append(stream)

    def _append(self, token: tuple[bytes, asyncio.Event] | Stream) -> None:
        self._tokens.append(token)
        self._idle.clear()
        self._ready.set()

    async def get(self) -> bytes:
        """The next bytes to write; asking again says that the last ones are written. Encodes late: what is dropped
        costs nothing.
        """
        if self._writing is not None:
            self._writing.set()
            self._writing = None
        while not self._tokens:
            self._ready.clear()
            self._idle.set()
            await self._ready.wait()
        token = self._tokens.popleft()
        if isinstance(token, tuple):
            line, self._writing = token
            return line
        line = encode({"id": token.id, "item": token.items.popleft()})
        if token.dropped:
            line = encode({"id": token.id, "dropped": token.dropped}) + line
            token.dropped = 0
        return line

    async def flushed(self) -> None:
        """Wait until all has been taken and written (`get` was called again on an empty box)."""
        await self._idle.wait()
