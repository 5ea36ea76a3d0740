"""Files in parts over an uplink, where nothing but its broker can be reached (protocol.md, job/{id}/want and part).

Subscribed only while files are fetched this way. A part says which file it is of and how large that is; what it holds
is not believed here, as it is proven by the signatures of what is fetched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.mqttclient.connection import REFUSED, Connection, ConnectionLost, Outgoing
from gateway.uplink.codecs.base import JSON

PART_BYTES = 1 << 16
WINDOW = 4
"""Parts that are asked for at once."""
NO_FILE = 2**64 - 1
_ANSWER_S = 15.0
_TRIES = 6
_MOST_DIGITS = 16


class PartsUnavailable(GatewayError):
    """Nothing came, or nothing can."""


class Part(Struct, frozen=True):
    """`total`: bytes of the whole file, -1 where there is none of this name."""

    file: str
    total: int
    content: bytes


def parse_part(payload: bytes) -> Part | None:
    """Two bytes length of the name, the name, eight bytes size of the file, the part's own bytes; None for less."""
    length = int.from_bytes(payload[:2], "big")
    head = 2 + length + 8
    if not length or len(payload) < head or len(payload) - head > PART_BYTES:
        return None
    try:
        name = payload[2 : 2 + length].decode()
    except UnicodeDecodeError:
        return None
    total = int.from_bytes(payload[2 + length : head], "big")
    return Part(name, -1 if total == NO_FILE else total, payload[head:])


class PartLink:
    """Of one job and uplink. `connection`: the one that is up, None while there is none."""

    def __init__(self, root: str, job: str, connection: Callable[[], Connection | None]) -> None:
        self._topic = f"{root}/job/{job}"
        self._below = f"job/{job}/part/"
        self._filter = f"{self._topic}/part/+"
        self._connection = connection
        self._subscribed: Connection | None = None
        self._wanted = ""
        self._came: dict[int, Part] = {}
        self._bell = asyncio.Event()

    async def fetch(self, name: str, offset: int, count: int) -> tuple[list[bytes], int]:
        """Parts that follow each other from `offset`, and the size of the file; -1 where there is none. Raises
        PartsUnavailable.
        """
        count = max(1, min(count, WINDOW))
        self._wanted, self._came = name, {}
        try:
            for _ in range(_TRIES):
                await self._ask(name, offset, count)
                found = await self._heard(offset, count)
                if found is not None:
                    return found
        finally:
            self._wanted, self._came = "", {}
        raise PartsUnavailable(f"no part of it came in {_TRIES * _ANSWER_S:.0f} s")

    def handle(self, topic: str, payload: bytes) -> None:
        """What came on a topic below `job/`, given without the root."""
        number = topic.removeprefix(self._below)
        part = parse_part(payload) if number != topic else None
        if part is not None and part.file == self._wanted and number.isdigit() and len(number) < _MOST_DIGITS:
            self._came[int(number)] = part
            self._bell.set()

    async def close(self) -> None:
        """Nothing is heard any more."""
        connection, self._subscribed = self._subscribed, None
        if connection is not None and not connection.closed.done():
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await connection.unsubscribe([self._filter])
            except (ConnectionLost, TimeoutError):
                return  # it is gone, or says nothing: what still comes is passed over

    async def _ask(self, name: str, offset: int, count: int) -> None:
        """Only for what has not come. Raises PartsUnavailable."""
        first, left = offset, count
        while left > 1 and first in self._came:
            first, left = first + PART_BYTES, left - 1
        body = json.dumps({"v": 1, "file": name, "offset": first, "count": left}).encode()
        try:
            connection = await self._ready()
            async with asyncio.timeout(_ANSWER_S):
                code = await connection.publish(Outgoing(f"{self._topic}/want", body, JSON))
        except (ConnectionLost, TimeoutError) as error:
            raise PartsUnavailable(f"the uplink does not carry it: {error}") from None
        if code >= REFUSED:
            raise PartsUnavailable(f"the broker refuses {self._topic}/want (0x{code:02x})")

    async def _ready(self) -> Connection:
        """The connection, subscribed. Raises PartsUnavailable, ConnectionLost."""
        connection = self._connection()
        if connection is None:
            raise PartsUnavailable("the uplink is not connected")
        if connection is not self._subscribed:
            codes = await connection.subscribe([self._filter])
            if any(code >= REFUSED for code in codes):
                raise PartsUnavailable(f"the broker refuses the subscription to {self._filter}")
            self._subscribed = connection
        return connection

    async def _heard(self, offset: int, count: int) -> tuple[list[bytes], int] | None:
        """None when too little came in time; each part that comes gives the next its time."""
        while True:
            found = self._whole(offset, count)
            if found is not None:
                return found
            self._bell.clear()
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await self._bell.wait()
            except TimeoutError:
                return None

    def _whole(self, offset: int, count: int) -> tuple[list[bytes], int] | None:
        """All that can come of what was asked for."""
        first = self._came.get(offset)
        if first is None:
            return None
        if first.total < 0:
            return [], -1
        parts, at = list[bytes](), offset
        while len(parts) < count and at < first.total:
            part = self._came.get(at)
            if part is None or part.total != first.total or len(part.content) != min(PART_BYTES, first.total - at):
                return None
            parts.append(part.content)
            at += PART_BYTES
        return parts, first.total
