"""The cheap sink of the measurements: notes when which bytes came, and looks into them only afterwards."""

from __future__ import annotations

import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import wire
from tests.support.eventually import wait_until


class Arrivals:
    """Messages of a topic filter with their times. `messages`: (time.time(), topic, payload)."""

    def __init__(self, port: int, topic: str, *, persistent: bool = False) -> None:
        self.messages: list[tuple[float, str, bytes]] = []
        self._port = port
        self._topic = topic
        self._subscribed = threading.Event()
        self._persistent = persistent
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "arrivals", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._subscribed.clear()
        self._client.on_message = self._on_message

    def start(self) -> Arrivals:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600 if self._persistent else 0
        self._client.connect_async("127.0.0.1", self._port, 60, clean_start=not self._persistent, properties=session)
        self._client.loop_start()
        wait_until(self._subscribed.is_set, 20, why="the sink is subscribed")
        return self

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def clear(self) -> None:
        self.messages = []

    def telemetry(self) -> list[tuple[float, dict[str, Any], int]]:
        """(arrival, decoded message, payload bytes) of the telemetry so far."""
        return [
            (at, wire.unpack(payload), len(payload))
            for at, topic, payload in list(self.messages)
            if topic.endswith("/up/telemetry")
        ]

    def numbers(self) -> int:
        """Readings covered by the telemetry so far, each number once (one gateway, one epoch)."""
        ranges = sorted((h.seq, h.seq + h.n) for _, body, _ in self.telemetry() for h in (wire.header(body),))
        covered = reach = 0
        for first, end in ranges:
            covered += max(0, end - max(first, reach))
            reach = max(reach, end)
        return covered

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self._topic, qos=1)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.messages.append((time.time(), message.topic, bytes(message.payload)))
