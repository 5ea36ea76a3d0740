"""aiomqtt's client, made fit. Versions are pinned exactly: hooks are used that no interface promises: `_client`,
`_connected`, `_disconnected`, `_misc_task`, `_on_connect`, `_on_publish`, `_on_disconnect`, `_on_message` of aiomqtt
and `_sock_close` of paho. Each has a test in tests/integration/uplink/test_mqtt_hooks.py that fails when it no longer
fires.

What the hooks are for: aiomqtt drops the reason code of a PUBACK, leaves a publish waiting when the connection goes,
acknowledges inbound messages before they are handled, and waits out its timeout when a broker closes before CONNACK.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.client import DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.mqttclient.connection import ConnectionLost, Inbound


class _LastWords(logging.Handler):
    """Keeps what paho logs last (a TLS alert, for one) for the text of an issue; prints nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def retrieve(future: asyncio.Future[Any]) -> None:
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
        self.listener: Callable[[Inbound], None] = self.inbox.put_nowait
        self.session_present = False
        self.connack: Properties | None = None
        self.connack_code: int | None = None
        self.closed: asyncio.Future[ConnectionLost] = self._loop.create_future()

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self.connack = properties
        self.connack_code = reason_code.value
        self.session_present = bool(flags.session_present)
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
        self.listener(
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
            self._connected.add_done_callback(retrieve)
        if self.closed.done():
            return
        self.closed.set_result(lost)
        self.inbox.put_nowait(None)
        acks, self.acks = self.acks, {}
        for ack in acks.values():
            if not ack.done():
                ack.set_exception(lost)
                retrieve(ack)

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
