"""Messages beside the journal: what rules and notifications publish over an uplink, on topics of their own.

Nothing of it is numbered or kept over a restart. A message waits for a connection until it expires, goes again on the
next connection when one was lost before the broker answered, and ends exactly once.
"""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.mqttclient.connection import REFUSED, Connection, Outgoing

WAITING = 100
"""Messages that may wait per uplink. Overflow: the newest is refused."""
EXPIRY_S = 60.0
MAX_TOPIC = 256
"""Bytes, as for every topic of ours."""
TRIES = 3
"""Connections that may be lost with one message in flight: a broker may hang up on one that it does not allow."""
_PACKET_OVERHEAD = 64
_RESERVED = "fp"
"""The root of our own topic trees: a message there would look like another gateway's, or like a command to one."""


class NotPublished(GatewayError):
    """A message that the broker does not have, for all that is known; `code` as in protocol.md 1.3."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


def check_topic(topic: str) -> None:
    """Raises NotPublished 400 for a topic that is none of a message, too long, or not free to be used."""
    if not topic or not {"+", "#", "\0"}.isdisjoint(topic):
        raise NotPublished("the topic is empty or has +, # or NUL in it", code=400)
    if topic.startswith("$") or topic.split("/", 1)[0] == _RESERVED:
        raise NotPublished("topics that begin with $ or fp/ are not free to be used", code=400)
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        raise NotPublished("the topic is no text that MQTT can carry", code=400) from None
    if size > MAX_TOPIC:
        raise NotPublished(f"the topic has {size} bytes; at most {MAX_TOPIC}", code=400)


class _Message:
    """One that waits. `tries`: connections that it was handed to; after one the broker may have it."""

    __slots__ = ("done", "outgoing", "tries")

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.tries = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, text: str, code: int) -> None:
        if not self.done.done():
            self.done.set_exception(NotPublished(text, code=code))


class SideMessages:
    """The queue of one uplink; lives as long as the uplink."""

    def __init__(self, uplink: str, max_payload: int, clock: Clock) -> None:
        self._uplink = uplink
        self._max_payload = max_payload
        self._clock = clock
        self._waiting: deque[_Message] = deque()
        self._bell = asyncio.Event()
        self._closed = False

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: float = EXPIRY_S
    ) -> None:
        """Returns when the broker has taken it. Raises NotPublished: 400 for what cannot be published, 413 too large,
        429 too many wait, 403 refused by the broker, 408 not taken in time, 503 the uplink has ended, 504 the broker
        hangs up each time.
        """
        check_topic(topic)
        if len(payload) > self._max_payload:
            raise NotPublished(f"the message has {len(payload)} bytes; at most {self._max_payload}", code=413)
        if self._closed:
            raise NotPublished(f"the uplink {self._uplink} has ended", code=503)
        if len(self._waiting) >= WAITING:
            raise NotPublished(f"{WAITING} messages wait for {self._uplink}", code=429)
        message = _Message(Outgoing(topic, payload, qos=qos, retain=retain))
        self._waiting.append(message)
        self._bell.set()
        timer = self._clock.call_later(expiry_s, lambda: self._expire(message, expiry_s))
        try:
            await message.done
        finally:
            timer.cancel()
            message.done.cancel()
            if message in self._waiting:
                self._waiting.remove(message)

    async def run(self, connection: Connection) -> None:
        """Serve one connection. Raises ConnectionLost; what was not answered stays for the next one."""
        while True:
            self._bell.clear()
            while self._waiting:
                await self._send(connection, self._waiting[0])
            await self._bell.wait()

    def close(self) -> None:
        """Nothing is published any more; whoever waits is told."""
        self._closed = True
        for message in self._waiting:
            message.fail(f"the uplink {self._uplink} has ended", 503)

    async def _send(self, connection: Connection, message: _Message) -> None:
        room = connection.max_packet
        size = len(message.outgoing.payload) + len(message.outgoing.topic.encode()) + _PACKET_OVERHEAD
        if room is not None and size > room:
            message.fail(f"the message has {size} bytes with its topic; the broker takes {room}", 413)
        elif message.tries >= TRIES:
            message.fail(f"the connection was lost each time that {message.outgoing.topic} was published", 504)
        elif not message.done.done():
            message.tries += 1
            self._answered(message, await connection.publish(message.outgoing))
        if self._waiting and self._waiting[0] is message:  # it may have expired meanwhile
            self._waiting.popleft()

    def _answered(self, message: _Message, code: int) -> None:
        if code >= REFUSED:
            message.fail(f"the broker refuses {message.outgoing.topic} with code 0x{code:02x}", 403)
        elif not message.done.done():
            message.done.set_result(None)

    def _expire(self, message: _Message, seconds: float) -> None:
        why = "the broker has not acknowledged it" if message.tries else "there was no connection"
        message.fail(f"not published over {self._uplink} within {seconds:g} s: {why}", 408)
