"""gateway.mqttclient.connection.Connection over aiomqtt: the window, publishes with their codes, inbound messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.mqttclient.ackclient import AckClient, Overdue, retrieve
from gateway.mqttclient.connection import MQTT_5, ConnectionLost, ConnectOptions, Inbound, Outgoing
from gateway.mqttclient.packets import common_properties, packet_size, publish_properties
from gateway.mqttclient.window import Window

_CLOSE_S = 2.0
_SUBSCRIBE_S = 30.0
T = TypeVar("T")


async def told_cancelled(what: Awaitable[T]) -> T:
    """What `what` gives; or the cancellation that came while it was awaited.

    aiomqtt waits with `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that comes in the same turn
    of the loop as the answer.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    answer = await what
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


class MqttConnection:
    """gateway.mqttclient.connection.Connection over one AckClient."""

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
        retrieve(ack)
        if self._room_listener is not None:
            self._room_listener()

    def _publish_properties(self, message: Outgoing) -> Properties | None:
        if self._level != MQTT_5:
            return None
        if message.correlation is not None or message.expiry_s is not None:
            return publish_properties(message.content_type, message.encoding, message.correlation, message.expiry_s)
        return common_properties(message.content_type, message.encoding)

    @property
    def session_present(self) -> bool:
        return self._client.session_present

    async def subscribe(self, filters: list[str], *, qos: int = 1, retained: int = 0) -> list[int]:
        self._check_open()
        wanted: list[tuple[str, Any]] = [(name, qos) for name in filters]
        if self._level == MQTT_5 and retained:
            options = SubscribeOptions(qos, retainHandling=retained)
            wanted = [(name, options) for name in filters]
        try:
            answer = await told_cancelled(self._client.subscribe(wanted, timeout=_SUBSCRIBE_S))
        except aiomqtt.MqttError as error:
            raise ConnectionLost(f"SUBSCRIBE: {error}") from error
        return [code if isinstance(code, int) else code.value for code in answer]

    async def unsubscribe(self, filters: list[str]) -> None:
        self._check_open()
        try:
            await told_cancelled(self._client.unsubscribe(filters, timeout=_SUBSCRIBE_S))
        except aiomqtt.MqttError as error:
            raise ConnectionLost(f"UNSUBSCRIBE: {error}") from error

    def on_message(self, callback: Callable[[Inbound], None]) -> None:
        client = self._client
        client.listener = callback
        while not client.inbox.empty():
            message = client.inbox.get_nowait()
            if message is not None:
                callback(message)

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
        try:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError, OSError, ValueError):
                async with asyncio.timeout(_CLOSE_S):
                    await told_cancelled(self._client.__aexit__(None, None, None))
        finally:
            self.abort()

    def abort(self) -> None:
        self._client.drop()
