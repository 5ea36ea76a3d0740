"""Somebody far away who puts jobs on `job/next` and hears what becomes of them."""

from __future__ import annotations

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.eventually import wait_until

ROOT = "fp/1/default/gw"
FINAL = {"succeeded", "failed", "rejected", "timed_out", "cancelled"}


class JobCloud:
    """`statuses`: what came on `job/{id}/status`, by id, in order."""

    def __init__(self, port: int, *, root: str = ROOT, name: str = "job-cloud") -> None:
        self.root = root
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(f"{root}/job/+/status", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.reconnect_delay_set(0.1, 0.5)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 300  # what is told while it is away is kept for it
        self._client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self._client.loop_start()
        assert self._subscribed.wait(20)

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.statuses.setdefault(message.topic.split("/")[-2], []).append(json.loads(message.payload))

    def put(self, id_: str, op: str, doc: dict[str, Any] | None = None, *, ver: int = 1, **more: Any) -> None:
        """Let a job stand on `job/next`, retained; returns when the broker has it."""
        self.put_raw(json.dumps({"v": 1, "id": id_, "ver": ver, "op": op, "doc": doc or {}, **more}).encode())

    def put_raw(self, payload: bytes) -> None:
        self._client.publish(f"{self.root}/job/next", payload, 1, retain=True).wait_for_publish(20)

    def clear(self) -> None:
        """Nothing stands there any more."""
        self.put_raw(b"")

    def states(self, id_: str) -> list[str]:
        """States that were told, repeats left out."""
        told = [status["state"] for status in self.statuses.get(id_, [])]
        return [state for at, state in enumerate(told) if at == 0 or told[at - 1] != state]

    def wait(self, id_: str, state: str, within: float = 30) -> dict[str, Any]:
        """The newest status of a job, as soon as it has a state."""
        wait_until(
            lambda: self.statuses.get(id_, [{}])[-1].get("state") == state,
            within,
            why=lambda: f"job {id_} is {state}; told: {self.statuses.get(id_)}",
        )
        return self.statuses[id_][-1]

    def end(self, id_: str, within: float = 30) -> dict[str, Any]:
        """How a job ended."""
        wait_until(
            lambda: self.statuses.get(id_, [{}])[-1].get("state") in FINAL,
            within,
            why=lambda: f"the end of job {id_}; told: {self.statuses.get(id_)}",
        )
        return self.statuses[id_][-1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
