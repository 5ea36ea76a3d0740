"""A Fleet at a real broker, the gateway's part played by a small client, and raw messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.fleet import Fleet
from tests.integration.fleet.device_side import DeviceSide


def operator(url: str, **options: Any) -> Fleet:
    """A Fleet that does not wait long for retained messages: this broker is near."""
    return Fleet(url, **{"settle_s": 0.2, **options})


class Raw:
    """Publishes whatever a test wants, and reads what is retained."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.messages: dict[str, bytes] = {}
        self.expiry: dict[str, int | None] = {}
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("fp/#", 1)
        self._client.loop_start()

    def _message(self, _client: Any, _userdata: Any, message: Any) -> None:
        self.expiry[message.topic] = getattr(message.properties, "MessageExpiryInterval", None)
        self.messages[message.topic] = message.payload

    def publish(self, topic: str, body: Any, *, retain: bool = True) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def body(self, topic: str) -> Any:
        return json.loads(self.messages[topic]) if self.messages.get(topic) else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def raw(broker: Any) -> Iterator[Raw]:
    made = Raw(broker.port)
    yield made
    made.close()


@pytest.fixture
def make_side(broker: Any) -> Iterator[Callable[..., DeviceSide]]:
    """`make_side(apply=...)` starts the gateway's part."""
    sides: list[DeviceSide] = []

    def make(**options: Any) -> DeviceSide:
        sides.append(DeviceSide(broker.port, **options).start())
        return sides[-1]

    yield make
    for side in sides:
        side.stop()


@pytest.fixture
def side(make_side: Callable[..., DeviceSide]) -> DeviceSide:
    return make_side()
