"""The cloud's side of shadows and commands, written from protocol.md alone: a plain MQTT client that keeps what came."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.eventually import wait_until


class ShadowCloud:
    """Publishes desired documents, patches and commands; keeps reported documents, rejections and results."""

    def __init__(self, port: int, root: str = "fp/1/default/gw", client_id: str = "cloud") -> None:
        self.root = root
        self.reported: dict[str, dict[str, Any]] = {}
        self.published: list[tuple[str, dict[str, Any]]] = []
        """Every reported document with its device, in order."""
        self.rejected: list[tuple[str, dict[str, Any]]] = []
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.bytes: dict[str, int] = {"shadow": 0, "telemetry": 0}
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
        self._client.on_message = self._take
        self._client.on_connect = lambda *_: self._client.subscribe([(f"{root}/#", 1)])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._subscribed.clear()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self.wait_connected()

    def wait_connected(self) -> None:
        wait_until(self._subscribed.is_set, 30, why="the cloud is connected")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, body: dict[str, Any] | bytes, *, retain: bool = False) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._client.publish(f"{self.root}/{topic}", payload, qos=1, retain=retain).wait_for_publish(20)

    def desired(self, device: str, ver: int, state: dict[str, Any], meta: dict[str, list[int]] | None = None) -> None:
        """A whole document, retained."""
        body: dict[str, Any] = {"v": 1, "ver": ver, "state": state}
        self.publish(f"shadow/{device}/desired", body if meta is None else {**body, "meta": meta}, retain=True)

    def patch(self, device: str, ver: int | None, state: dict[str, Any], **more: Any) -> None:
        body = {"v": 1, "state": state, **more}
        self.publish(f"shadow/{device}/desired/patch", body if ver is None else {**body, "ver": ver})

    def command(self, op: str, device: str | None, args: dict[str, Any], *, rid: str = "", **more: Any) -> str:
        rid = rid or uuid.uuid4().hex
        body = {"v": 1, "rid": rid, "op": op, "args": args, **({"device": device} if device else {}), **more}
        self.publish(f"down/command/{rid}", body)
        return rid

    def result(self, rid: str, within: float = 30) -> dict[str, Any]:
        """The first answer to a rid."""
        wait_until(lambda: self.results.get(rid), within, why=lambda: f"a result of {rid}; there are {self.results}")
        return self.results[rid][0]

    def wait_reported(self, device: str, within: float = 30, **leaves: Any) -> dict[str, Any]:
        """The reported document once it shows these values."""

        def shows() -> bool:
            state = self.reported.get(device, {}).get("state", {})
            return all(state.get(path) == value for path, value in leaves.items())

        wait_until(shows, within, why=lambda: f"{device} reports {leaves}; it reports {self.reported.get(device)}")
        return self.reported[device]

    def wait_applied(self, device: str, path: str, state: str, within: float = 40) -> dict[str, Any]:
        """The reported document once a desired leaf has come that far."""

        def has() -> bool:
            return self.reported.get(device, {}).get("apply", {}).get(path, [None])[0] == state

        wait_until(has, within, why=lambda: f"{device} {path} {state}: {self.reported.get(device)} {self.rejected}")
        return self.reported[device]

    def wait_rejected(self, device: str, path: str, code: int, within: float = 40) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [body for name, body in self.rejected if (name, body["path"], body["code"]) == (device, path, code)]

        return wait_until(found, within, why=lambda: f"{code} for {device} {path}; there are {self.rejected}")[0]

    def _take(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        levels = message.topic[len(self.root) + 1 :].split("/")
        with self._lock:
            if levels[0] == "up":
                self.bytes["telemetry"] += len(message.payload) if levels[1] == "telemetry" else 0
            elif levels[0] == "result":
                self.results.setdefault(levels[1], []).append(json.loads(message.payload))
            elif levels[0] == "shadow" and levels[2:] == ["reported"] and message.payload:
                body = json.loads(message.payload)
                self.bytes["shadow"] += len(message.payload)
                self.reported[levels[1]] = body
                self.published.append((levels[1], body))
            elif levels[0] == "shadow" and levels[2:] == ["rejected"]:
                self.rejected.append((levels[1], json.loads(message.payload)))
