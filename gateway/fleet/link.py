"""The operator's connection to a broker: one for all calls of a Fleet, listeners by topic filter.

A listener is a function that the reader calls for each message, in order; it is short and never raises. Messages are
confirmed at once: nothing here acts on them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from gateway.fleet.faults import BrokerAway, BrokerRefuses, NoAnswer
from gateway.mqttclient.connection import (
    MQTT_311,
    REFUSED,
    ConnectFailed,
    Connection,
    ConnectionLost,
    ConnectOptions,
    Inbound,
    Outgoing,
)
from gateway.uplink.anylevel import connect_any
from gateway.uplink.codecs.base import JSON

_NOBODY = 0x10
_LEAVE_S = 1.0
_AT_ONCE = 8
"""Filters of one SUBSCRIBE: what the narrowest broker takes (protocol.md 1.2)."""
_WHO = {0x85: "the client id", 0x86: "user name or password", 0x87: "this user", 0x8A: "this client"}

Take = Callable[[Inbound], None]


class Listening:
    """One subscription. `settled` and `until` wait for what it brings."""

    def __init__(self, filters: Sequence[str], take: Take, closed: asyncio.Future[ConnectionLost]) -> None:
        self.filters = [name.split("/") for name in filters]
        self._take = take
        self._closed = closed
        self._news = asyncio.Event()
        self._retained = 0
        self.quiet_s = 0.0

    def give(self, message: Inbound) -> None:
        self._take(message)
        self._retained += message.retain
        self._news.set()

    async def settled(self, complete: Callable[[], bool], within_s: float) -> None:
        """Return when all is there, or the retained messages have ended: none for a while. No protocol tells their
        end. Raises BrokerAway.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not complete():
                    seen = self._retained
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.quiet_s):
                            await self.until(lambda: complete() or self._retained != seen)  # noqa: B023
                    if self._retained == seen:
                        return

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait, with a time-out around it, until a message has made it true. Raises BrokerAway."""
        while not true():
            if self._closed.done():
                raise BrokerAway(str(self._closed.result()))
            self._news.clear()
            await self._news.wait()

    def wake(self) -> None:
        """Look again: the connection went."""
        self._news.set()


class Link:
    """One connection. Enter it before anything else; it is not made anew when it is lost."""

    def __init__(self, url: str, options: ConnectOptions, *, settle_s: float, timeout_s: float) -> None:
        self._url = url
        self._options = options
        self._settle_s = settle_s
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._group = asyncio.TaskGroup()
        self._listeners: list[Listening] = []
        self._filters: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        try:
            self._connection = await connect_any(self._url, self._options)
        except ConnectFailed as failed:
            raise _no_connection(self._url, failed) from failed
        await self._group.__aenter__()
        self._group.create_task(self._read(self._connection), name="fleet:read")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()  # the reader ends by it
            await self._group.__aexit__(None, None, None)

    @property
    def limited(self) -> bool:
        """Whether this broker cannot tell that it refuses a publish (MQTT 3.1.1)."""
        return self._open().level == MQTT_311

    @asynccontextmanager
    async def listen(self, filters: Sequence[str], take: Take) -> AsyncIterator[Listening]:
        """Subscribe; retained messages come again for each listener. Raises BrokerRefuses and BrokerAway."""
        connection = self._open()
        listening = Listening(filters, take, connection.closed)
        self._listeners.append(listening)
        self._filters.update(filters)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await self._subscribe(connection, filters)
            # a window of retained messages takes a round trip
            listening.quiet_s = self._settle_s + 2 * (loop.time() - began)
            yield listening
        finally:
            self._listeners.remove(listening)
            self._filters.subtract(filters)
            unused = [name for name in filters if self._filters[name] == 0]
            if unused and not connection.closed.done():
                with suppress(ConnectionLost, TimeoutError):
                    async with asyncio.timeout(_LEAVE_S):
                        await connection.unsubscribe(unused)

    async def _subscribe(self, connection: Connection, filters: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                codes = []
                for at in range(0, len(filters), _AT_ONCE):
                    codes += await connection.subscribe(list(filters[at : at + _AT_ONCE]))
        except ConnectionLost as lost:
            raise BrokerAway(f"{self._url}: {lost}") from lost
        except TimeoutError:
            raise NoAnswer(f"{self._url} does not answer a subscription within {self._timeout_s:g} s") from None
        refused = [name for name, code in zip(filters, codes, strict=False) if code >= REFUSED]
        if refused:
            raise BrokerRefuses(f"the broker does not let this user read {', '.join(refused)}: see its access list")

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str | None = JSON,
    ) -> bool:
        """Publish with QoS 1; False when the broker says that nobody is subscribed. Raises BrokerRefuses and
        BrokerAway.
        """
        message = Outgoing(topic, payload, content_type, retain=retain, expiry_s=expiry_s)
        try:
            async with asyncio.timeout(self._timeout_s):
                code = await self._open().publish(message)
        except ConnectionLost as lost:
            raise BrokerAway(f"{self._url}: {lost}: it is not known whether {topic} was published") from lost
        except TimeoutError:
            raise NoAnswer(f"{self._url} does not acknowledge {topic} within {self._timeout_s:g} s") from None
        if code >= REFUSED:
            raise BrokerRefuses(f"the broker does not let this user publish {topic} (code 0x{code:02x})")
        return code != _NOBODY

    async def _read(self, connection: Connection) -> None:
        try:
            while True:
                message = await connection.receive()
                connection.confirm(message)
                levels = message.topic.split("/")
                for listening in list(self._listeners):
                    if any(_matches(name, levels) for name in listening.filters):
                        listening.give(message)
        except ConnectionLost:
            for listening in self._listeners:
                listening.wake()

    def _open(self) -> Connection:
        if self._connection is None:
            raise BrokerAway("not connected: use `async with`")
        if self._connection.closed.done():
            raise BrokerAway(f"{self._url}: {self._connection.closed.result()}")
        return self._connection


def _matches(pattern: list[str], levels: list[str]) -> bool:
    for number, part in enumerate(pattern):
        if part == "#":
            return True
        if number >= len(levels) or part not in {"+", levels[number]}:
            return False
    return len(pattern) == len(levels)


def _no_connection(url: str, failed: ConnectFailed) -> BrokerAway | BrokerRefuses:
    if failed.code in _WHO:
        return BrokerRefuses(f"{url} refuses {_WHO[failed.code]}: {failed}")
    return BrokerAway(f"no connection to the broker: {failed}")
