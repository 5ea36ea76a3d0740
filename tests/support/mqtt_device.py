"""A device that publishes to a broker: paho with a thread of its own, as a program written by others would."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.eventually import wait_until


class MqttDevice:
    """Publishes, keeps what the broker acknowledged, and answers what it is subscribed to with `on_command`."""

    def __init__(self, port: int, name: str = "device", *, will: tuple[str, str] | None = None) -> None:
        self.commands: list[tuple[str, bytes]] = []
        self.on_command: Callable[[str, bytes], None] | None = None
        self._subscriptions: list[str] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(100)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.connect("127.0.0.1", port, 30)
        self._client.loop_start()
        wait_until(self._client.is_connected, 20, why="the device is connected")

    def publish(self, topic: str, payload: Any, *, qos: int = 1, retain: bool = False) -> None:
        """Send and wait until the broker has it. A value that is no bytes or text goes as JSON."""
        data = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        self._client.publish(topic, data, qos, retain).wait_for_publish(20)

    def send(self, topic: str, payload: Any, *, qos: int = 0) -> None:
        """Send without waiting."""
        data = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        self._client.publish(topic, data, qos)

    def subscribe(self, topic: str) -> None:
        self._subscriptions.append(topic)
        self._subscribed.clear()
        self._client.subscribe(topic, 1)
        assert self._subscribed.wait(10)

    def vanish(self) -> None:
        """Lose the connection without a word: the broker sends the will."""
        self._client.loop_stop()
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        for topic in self._subscriptions:
            client.subscribe(topic, 1)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.commands.append((message.topic, bytes(message.payload)))
        if self.on_command is not None:
            self.on_command(message.topic, bytes(message.payload))


class Counting:
    """Publishes {"n": 1}, {"n": 2}... QoS 1 at a rate, from a thread; `acked` are the numbers that the broker has."""

    def __init__(self, device: MqttDevice, topic: str, every_s: float) -> None:
        self.acked: set[int] = set()
        self._device = device
        self._topic = topic
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counting device", daemon=True)
        self._thread.start()

    def finish(self) -> set[int]:
        """Stop; the numbers that the broker acknowledged."""
        self._over.set()
        self._thread.join(30)
        return self.acked

    def _run(self) -> None:
        waiting: list[tuple[int, paho.MQTTMessageInfo]] = []
        number = 0
        while not self._over.is_set():
            number += 1
            info = self._device._client.publish(self._topic, json.dumps({"n": number}), 1)
            waiting.append((number, info))
            waiting = self._collect(waiting)
            time.sleep(self._every_s)
        for _ in range(200):
            waiting = self._collect(waiting)
            if not waiting:
                return
            time.sleep(0.05)

    def _collect(self, waiting: list[tuple[int, paho.MQTTMessageInfo]]) -> list[tuple[int, paho.MQTTMessageInfo]]:
        left = []
        for number, info in waiting:
            if info.rc == 0 and info.is_published():
                self.acked.add(number)
            else:
                left.append((number, info))
        return left
