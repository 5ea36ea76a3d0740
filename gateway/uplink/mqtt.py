"""The one file that knows aiomqtt and paho. Versions are pinned exactly, because hooks of theirs are used that no
interface promises: `_client`, `_connected`, `_disconnected`, `_misc_task`, `_on_connect`, `_on_publish`,
`_on_disconnect`, `_on_message` of aiomqtt and `_sock_close` of paho. Each has a test in
tests/integration/uplink/test_mqtt_hooks.py that fails when it no longer fires.

What the hooks are for: aiomqtt drops the reason code of a PUBACK, leaves a publish waiting when the connection goes,
acknowledges inbound messages before they are handled, and waits out its timeout when a broker closes before CONNACK.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.settings.types import TlsSettings
from gateway.uplink.address import Address, parse_address
from gateway.uplink.connection import (
    MQTT_5,
    MQTT_311,
    ConnectFailed,
    ConnectionLost,
    ConnectOptions,
    Inbound,
    Outgoing,
)
from gateway.uplink.window import Window

_CLOSE_S = 2.0
_SUBSCRIBE_S = 30.0
_LIVENESS = 0.7
"""paho notices a dead peer after twice its keep-alive; asked for 0.7 of ours it notices within 1.5 of ours."""


class _LastWords(logging.Handler):
    """Keeps what paho logs last (a TLS alert, for one) for the text of an issue; prints nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark an exception as seen: whoever waits gets it, and the log stays clean when nobody does."""
    if not future.cancelled():
        future.exception()


class AckClient(aiomqtt.Client):
    """aiomqtt's client, with reason codes, a wake-up of all waiters at once, and acknowledgement by hand."""

    def __init__(self, **options: Any) -> None:
        self.words = _LastWords()
        logger = logging.Logger("paho", logging.WARNING)  # noqa: LOG001 - private to this client, never in the tree
        logger.addHandler(self.words)
        super().__init__(logger=logger, **options)
        self._client.manual_ack_set(True)
        self._client.max_queued_messages_set(0)
        self.acks: dict[int, asyncio.Future[int]] = {}
        self.inbox: asyncio.Queue[Inbound | None] = asyncio.Queue()
        self.connack: Properties | None = None
        self.connack_code: int | None = None
        self.closed: asyncio.Future[ConnectionLost] = self._loop.create_future()

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self.connack = properties
        self.connack_code = reason_code.value
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        ack = self.acks.pop(mid, None)
        if ack is not None and not ack.done():
            ack.set_result(reason_code.value)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:  # noqa: ARG002 - paho's form
        properties = message.properties
        self.inbox.put_nowait(
            Inbound(
                message.topic,
                bytes(message.payload),
                message.retain,
                message.qos,
                message.mid,
                dict(getattr(properties, "UserProperty", ())).get("enc"),
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
            )
        )

    def _on_disconnect(
        self,
        client: Any,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        code = reason_code.value if flags.is_disconnect_packet_from_server else None
        text = f"the broker disconnected: {reason_code}" if code is not None else f"connection lost: {reason_code}"
        if detail := getattr(properties, "ReasonString", "") or self.words.text:
            text += f" ({detail})"
        lost = ConnectionLost(text, code=code, reference=getattr(properties, "ServerReference", None))
        # paho calls this on the connecting thread when the first write already fails
        self._loop.call_soon_threadsafe(self.ended, lost)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's form
        """As in the library, but the socket is looked at when the loop comes to it: it may be closed by then, and its
        number may belong to another connection of this process.
        """

        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def add() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(add)

    def ended(self, lost: ConnectionLost) -> None:
        """Wake everybody who waits on this connection. The first reason stays."""
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
            self._connected.add_done_callback(_retrieve)
        if self.closed.done():
            return
        self.closed.set_result(lost)
        self.inbox.put_nowait(None)
        acks, self.acks = self.acks, {}
        for ack in acks.values():
            if not ack.done():
                ack.set_exception(lost)
                _retrieve(ack)

    def watch(self) -> None:
        """Errors inside the library's socket callbacks end up in `_disconnected` alone: follow it."""
        self._disconnected.add_done_callback(self._followed)

    def _followed(self, future: asyncio.Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        self._loop.call_soon(self.ended, ConnectionLost(f"connection lost: {error or 'closed'}"))

    def drop(self) -> None:
        """Close the socket now; it leaves the event loop in the same step."""
        self._client._sock_close()
        self.ended(ConnectionLost("closed by us"))


class Overdue:
    """Ends a connection whose broker leaves a publish without PUBACK: MQTT 5.0 section 4.4 forbids to send it again
    on the same one.
    """

    def __init__(self, client: AckClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[int]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, ack: asyncio.Future[int]) -> None:
        self._waiting.append((ack.get_loop().time() + self._seconds, ack))
        if self._timer is None:
            self._timer = ack.get_loop().call_later(self._seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        if not self._waiting or self._client.closed.done():
            return
        loop = asyncio.get_running_loop()
        deadline = self._waiting[0][0]
        if deadline <= loop.time():
            self._client.ended(ConnectionLost(f"no PUBACK for {self._seconds:g} s"))
            self._client.drop()
        else:
            self._timer = loop.call_at(deadline, self._look)


class _Packed(Properties):
    """Properties whose bytes are made once: making and packing them anew costs more than the rest of a publish."""

    packed: bytes | None = None

    def pack(self) -> bytes:
        if self.packed is None:
            object.__setattr__(self, "packed", super().pack())  # type: ignore[no-untyped-call]
        assert self.packed is not None
        return self.packed


def publish_properties(
    content_type: str | None, encoding: str | None, correlation: bytes | None = None, expiry_s: int | None = None
) -> Properties:
    """The properties of one PUBLISH, not to be changed afterwards."""
    properties = _Packed(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type:
        properties.ContentType = content_type
    if encoding:
        properties.UserProperty = ("enc", encoding)
    if correlation is not None:
        properties.CorrelationData = correlation
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return properties


_common_properties = lru_cache(maxsize=64)(publish_properties)
"""Those of messages without correlation and expiry: a handful of kinds."""


def packet_size(message: Outgoing, level: int) -> int:
    """Bytes of the PUBLISH packet, without TCP and TLS."""
    size = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + len(message.payload)
    if level == MQTT_5:
        size += 1 + (3 + len(message.content_type) if message.content_type else 0)
        size += 5 + len("enc") + len(message.encoding) if message.encoding else 0
        size += 3 + len(message.correlation) if message.correlation is not None else 0
        size += 5 if message.expiry_s is not None else 0
    return size + 1 + (1 if size < 128 else 2 if size < 16_384 else 3 if size < 2_097_152 else 4)


class MqttConnection:
    """gateway.uplink.connection.Connection over one AckClient."""

    def __init__(self, client: AckClient, url: str, options: ConnectOptions) -> None:
        self._client = client
        self._url = url
        self._level = options.level
        allowed = getattr(client.connack, "ReceiveMaximum", None) or 65_535
        self._window = Window(max(1, min(options.window, allowed)))
        self._room_listener: Callable[[], None] | None = None
        self._sent_listener: Callable[[int], None] | None = None
        self._overdue = Overdue(client, options.ack_s)
        self._max_packet: int | None = getattr(client.connack, "MaximumPacketSize", None)
        self._retain = getattr(client.connack, "RetainAvailable", 1) != 0
        self._max_qos: int = getattr(client.connack, "MaximumQoS", 2)

    @property
    def url(self) -> str:
        return self._url

    @property
    def level(self) -> int:
        return self._level

    @property
    def room(self) -> int:
        return self._window.room

    @property
    def in_flight(self) -> int:
        return self._window.used

    @property
    def window(self) -> int:
        return self._window.size

    @property
    def max_packet(self) -> int | None:
        return self._max_packet

    @property
    def closed(self) -> asyncio.Future[ConnectionLost]:
        return self._client.closed

    def send(self, message: Outgoing) -> asyncio.Future[int]:
        self._check_open()
        self._window.take()
        return self._send(message)

    async def publish(self, message: Outgoing) -> int:
        self._check_open()
        await self._window.acquire()
        # shielded: a slot is free when the broker has answered, not when the one who waits has given up
        return await asyncio.shield(self._send(message))

    def _check_open(self) -> None:
        if self._client.closed.done():
            raise self._client.closed.result()

    def _send(self, message: Outgoing) -> asyncio.Future[int]:
        ack: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ack.add_done_callback(self._freed)
        try:
            self._check_open()
            info = self._client._client.publish(
                message.topic,
                bytes(message.payload),
                min(message.qos, self._max_qos),
                message.retain and self._retain,
                self._publish_properties(message),
            )
        except BaseException:
            ack.cancel()
            raise
        if info.rc != MQTT_ERR_SUCCESS:
            ack.cancel()
            raise ConnectionLost(f"publish failed with code {info.rc}")
        if info.is_published():  # QoS 0, written at once
            ack.set_result(0)
        else:
            self._client.acks[info.mid] = ack
            self._overdue.watch(ack)
        if self._sent_listener is not None:
            self._sent_listener(packet_size(message, self._level))
        return ack

    def on_sent(self, callback: Callable[[int], None]) -> None:
        self._sent_listener = callback

    def on_room(self, callback: Callable[[], None]) -> None:
        self._room_listener = callback

    def _freed(self, ack: asyncio.Future[int]) -> None:
        self._window.give()
        _retrieve(ack)
        if self._room_listener is not None:
            self._room_listener()

    def _publish_properties(self, message: Outgoing) -> Properties | None:
        if self._level != MQTT_5:
            return None
        if message.correlation is not None or message.expiry_s is not None:
            return publish_properties(message.content_type, message.encoding, message.correlation, message.expiry_s)
        return _common_properties(message.content_type, message.encoding)

    async def subscribe(self, filters: list[str]) -> list[int]:
        self._check_open()
        try:
            answer = await self._client.subscribe([(name, 1) for name in filters], timeout=_SUBSCRIBE_S)
        except aiomqtt.MqttError as error:
            raise ConnectionLost(f"SUBSCRIBE: {error}") from error
        return [code if isinstance(code, int) else code.value for code in answer]

    async def unsubscribe(self, filters: list[str]) -> None:
        self._check_open()
        try:
            await self._client.unsubscribe(filters, timeout=_SUBSCRIBE_S)
        except aiomqtt.MqttError as error:
            raise ConnectionLost(f"UNSUBSCRIBE: {error}") from error

    async def receive(self) -> Inbound:
        message = await self._client.inbox.get()
        if message is None:
            self._client.inbox.put_nowait(None)
            raise self._client.closed.result()
        return message

    def confirm(self, message: Inbound) -> None:
        if message.qos > 0 and not self._client.closed.done():
            self._client._client.ack(message.ticket, message.qos)

    async def close(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError, OSError, ValueError):
            async with asyncio.timeout(_CLOSE_S):
                await self._client.__aexit__(None, None, None)
        self.abort()

    def abort(self) -> None:
        self._client.drop()


def tls_context(tls: TlsSettings | None) -> ssl.SSLContext:
    """The context for a secure address: system authorities, or only `ca`; with our certificate if one is set."""
    context = ssl.create_default_context(cafile=str(tls.ca) if tls and tls.ca else None)
    if tls and tls.cert:
        context.load_cert_chain(str(tls.cert), str(tls.key) if tls.key else None)
    return context


async def connect(url: str, options: ConnectOptions) -> MqttConnection:
    """Open a connection with a new client object. Raises ConnectFailed.

    Cancelled, it still waits until the connecting thread is done (at most twice `connect_s`): a thread cannot be
    interrupted, and the socket it opens must not stay.
    """
    address = parse_address(url)
    try:
        client = _client(address, options)
    except (OSError, ValueError) as error:  # files of certificates
        raise ConnectFailed(f"TLS set-up: {error}") from error
    # a task of its own, so that cancelling us does not leave its thread unattended; it always ends before we return
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        client.ended(ConnectionLost("cancelled"))
        await asyncio.wait({entering})
        _retrieve(entering)
        client.drop()
        raise
    except (aiomqtt.MqttError, ConnectionLost, OSError, ValueError) as error:
        closed, up = client.closed.done(), client._client.socket() is not None
        client.drop()
        raise _connect_failed(client, address, error, closed=closed, silent=up and not closed) from error
    client.watch()
    return MqttConnection(client, url, options)


def _connect_failed(
    client: AckClient, address: Address, error: BaseException, *, closed: bool, silent: bool
) -> ConnectFailed:
    if client.connack_code is not None:
        reference = getattr(client.connack, "ServerReference", None)
        return ConnectFailed(f"{address}: {error}", code=client.connack_code, reference=reference)
    detail = f" ({client.words.text})" if client.words.text else ""
    return ConnectFailed(f"{address}: {error}{detail}", closed=closed, silent=silent)


def _client(address: Address, options: ConnectOptions) -> AckClient:
    if options.level == MQTT_5:
        level: dict[str, Any] = {
            "protocol": aiomqtt.ProtocolVersion.V5,
            "clean_start": options.clean_start,
            "properties": _connect_properties(options),
        }
    else:
        level = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": options.clean_start}
    if address.websocket:
        level |= {"transport": "websockets", "websocket_path": address.path}
    client = AckClient(
        hostname=address.host,
        port=address.port,
        identifier=options.client_id,
        username=options.username,
        password=options.password,
        keepalive=max(1, int(options.keepalive_s * _LIVENESS)),
        timeout=options.connack_s,
        tls_context=tls_context(options.tls) if address.secure else None,
        max_inflight_messages=0,  # paho's own queue: never used, the window is ours
        will=_will(options),
        **level,
    )
    client._client.connect_timeout = options.connect_s
    return client


def _connect_properties(options: ConnectOptions) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = options.session_expiry_s
    properties.ReceiveMaximum = options.receive_maximum
    return properties


def _will(options: ConnectOptions) -> aiomqtt.Will | None:
    will = options.will
    if will is None:
        return None
    properties = None
    if options.level != MQTT_311:
        properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        properties.WillDelayInterval = options.will_delay_s
    return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, properties)
