"""Somebody far away who sends commands and keeps every answer."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.eventually import wait_until

ROOT = "fp/1/default/gw"


class Cloud:
    """`answers`: payloads on `result/{rid}` in order; `responses`: (payload, correlation) on the response topic."""

    def __init__(self, port: int, *, level: int = paho.MQTTv5, name: str = "cloud", root: str = ROOT) -> None:
        self.root = root
        self.answers: dict[str, list[bytes]] = {}
        self.responses: list[tuple[bytes, bytes | None]] = []
        self.order: list[str] = []
        self.response_topic = f"answers/{name}"
        self._level = level
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=level)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{root}/result/#", 1), (self.response_topic, 1)]
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.reconnect_delay_set(0.1, 0.5)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(20)

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        if message.topic == self.response_topic:
            self.responses.append((message.payload, getattr(message.properties, "CorrelationData", None)))
            return
        rid = message.topic.rpartition("/")[2]
        self.answers.setdefault(rid, []).append(message.payload)
        self.order.append(rid)

    def send(
        self,
        op: str,
        device: str | None = None,
        args: dict[str, Any] | None = None,
        *,
        rid: str | None = None,
        correlation: bytes | None = None,
        **more: Any,
    ) -> str:
        """Publish a command; returns its rid when the broker has it."""
        rid = rid or uuid.uuid4().hex
        body = {"v": 1, "rid": rid, "op": op, "device": device, "args": args or {}, "origin": "tester", **more}
        properties = None
        if correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic, properties.CorrelationData = self.response_topic, correlation
        self._client.publish(
            f"{self.root}/down/command/{rid}", json.dumps(body), 1, properties=properties
        ).wait_for_publish(20)
        return rid

    def finals(self, rid: str) -> list[bytes]:
        """Every final result that came for a rid."""
        return [payload for payload in self.answers.get(rid, []) if json.loads(payload)["state"] != "accepted"]

    def result(self, rid: str, within: float = 60) -> dict[str, Any]:
        """The one final result: all that came must be the same bytes."""
        wait_until(lambda: self.finals(rid), within, why=lambda: f"a result of {rid}; there are {list(self.answers)}")
        assert len(set(self.finals(rid))) == 1, self.finals(rid)
        return json.loads(self.finals(rid)[0])

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
