"""One connection to a broker, as delivery, commands and later shadows and jobs see it. Names no MQTT library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.tls import TlsSettings

MQTT_311 = 4
MQTT_5 = 5

UNKNOWN_LEVEL = 0x84
"""The broker does not know this MQTT version; what 3.1.1 says as CONNACK 0x01 is told so too."""

REFUSED = 0x80
"""From here on a reason code is a refusal: what it answers did not happen."""

NOT_AUTHORIZED = 0x87
"""Reason code used in several tables of protocol.md 2.4."""


class ConnectionLost(GatewayError):
    """The connection is gone: everything in flight counts as not done.

    `code` is the DISCONNECT reason of the broker, None when there was none. `reference`: another server to use.
    """

    def __init__(self, text: str, *, code: int | None = None, reference: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.reference = reference


def leaves(group: BaseExceptionGroup[ConnectionLost]) -> list[BaseException]:
    """The errors of a group and of the groups in it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def most_telling(lost: list[BaseException]) -> ConnectionLost | None:
    """Of several, the one with the broker's own reason."""
    ends = [error for error in lost if isinstance(error, ConnectionLost)]
    return next((error for error in ends if error.code is not None), ends[0] if ends else None)


class ConnectFailed(GatewayError):
    """No connection came about. `code` is the CONNACK reason, None when no CONNACK came.

    `closed`: the transport was up and was closed before a CONNACK, as brokers do that do not know this MQTT level;
    `silent`: it was up and no CONNACK came in time.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int | None = None,
        reference: str | None = None,
        closed: bool = False,
        silent: bool = False,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.reference = reference
        self.closed = closed
        self.silent = silent


class Outgoing(Struct, frozen=True):
    """A message to publish. `encoding` is `zlib` or None.

    `content_type`, `encoding` and `expiry_s` (after which the broker drops what it could not hand over) travel with
    MQTT 5 only.
    """

    topic: str
    payload: bytes
    content_type: str | None = None
    encoding: str | None = None
    retain: bool = False
    qos: int = 1
    correlation: bytes | None = None
    expiry_s: int | None = None


class Inbound(Struct, frozen=True):
    """A message that came in. `ticket` belongs to the connection; give the message back to `confirm`."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    ticket: int
    encoding: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


class ConnectOptions(Struct, frozen=True):
    """How to connect. Times in seconds. `level` is MQTT_5 or MQTT_311.

    `window` bounds our unacknowledged publishes, `receive_maximum` the broker's towards us, `max_packet` the bytes of
    what it may send. A publish that is not acknowledged within `ack_s` ends the connection, whoever sent it.
    """

    client_id: str
    username: str | None = None
    password: str | None = None
    tls: TlsSettings | None = None
    keepalive_s: float = 60.0
    connect_s: float = 5.0
    connack_s: float = 10.0
    level: int = MQTT_5
    clean_start: bool = False
    session_expiry_s: int = 3600
    will: Outgoing | None = None
    will_delay_s: int = 10
    window: int = 16
    receive_maximum: int = 16
    max_packet: int | None = None
    ack_s: float = 30.0


class Connection(Protocol):
    """A connection that is up. A new one is made for each attempt; nothing survives in it."""

    @property
    def url(self) -> str: ...

    @property
    def level(self) -> int:
        """MQTT_5 or MQTT_311. With 3.1.1 a refused publish looks like an accepted one."""
        ...

    @property
    def room(self) -> int:
        """How many publishes may be sent now without waiting."""
        ...

    @property
    def window(self) -> int:
        """Unacknowledged publishes allowed: min(ours, the server's Receive Maximum)."""
        ...

    @property
    def max_packet(self) -> int | None:
        """The server's Maximum Packet Size in bytes, None when it named none."""
        ...

    @property
    def closed(self) -> asyncio.Future[ConnectionLost]:
        """Done when the connection is gone, with why."""
        ...

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever a slot of the window is given back, by whoever used it."""
        ...

    def on_sent(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the size of each PUBLISH packet in bytes, whoever sends it."""
        ...

    def send(self, message: Outgoing) -> asyncio.Future[int]:
        """Publish at once; there must be `room`. The result is the PUBACK's reason code (0 when the level has none,
        or when a QoS 0 message was written). The future raises ConnectionLost. Raises ConnectionLost too.
        """
        ...

    async def publish(self, message: Outgoing) -> int:
        """Wait for room in the window, before `send`s that come later; then as `send`."""
        ...

    @property
    def session_present(self) -> bool:
        """Whether the broker had kept our session: its subscriptions, and what came for them meanwhile."""
        ...

    async def subscribe(self, filters: list[str], *, qos: int = 1, retained: int = 0) -> list[int]:
        """One SUBSCRIBE; the SUBACK's codes in order. `retained` (MQTT 5.0 section 3.8.3.1, Retain Handling): 0 brings
        retained messages, 1 only for filters that the session does not have, 2 none.
        """
        ...

    async def unsubscribe(self, filters: list[str]) -> None:
        """One UNSUBSCRIBE; a broker's refusal is no error. Raises ConnectionLost."""
        ...

    def on_message(self, callback: Callable[[Inbound], None]) -> None:
        """Hand every message to `callback` as it comes, those that wait first, instead of to `receive`. It must not
        raise.
        """
        ...

    async def receive(self) -> Inbound:
        """The next message. Raises ConnectionLost. The queue is bounded by the Receive Maximum."""
        ...

    def confirm(self, message: Inbound) -> None:
        """Acknowledge an inbound QoS 1 message, after what it asked for is durable, in order of arrival."""
        ...

    async def close(self) -> None:
        """DISCONNECT, then close; a Will is not sent. Never raises."""
        ...

    def abort(self) -> None:
        """Close the transport at once, without a DISCONNECT."""
        ...
