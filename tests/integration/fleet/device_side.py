"""The gateway's part as protocol.md 1.3 and 3 tell it, played by a small MQTT client of its own (not our library):
takes desired documents, "writes" them, and answers with reported and rejected documents.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

EPOCH = 1794000000


class DeviceSide:
    """One gateway with one device. `refuses`: path to (code, text); `clamps`: path to the value that it takes instead.

    `apply`: whether reported documents carry the state of each leaf. `away`: the device does not answer.
    """

    def __init__(
        self, port: int, gateway: str = "gw", device: str = "pump", *, apply: bool = True, level: int = 5
    ) -> None:
        self.root = f"fp/1/default/{gateway}"
        self.device = device
        self.refuses: dict[str, tuple[int, str]] = {}
        self.clamps: dict[str, Any] = {}
        self.local: dict[str, list[Any]] = {}
        self.away = False
        self.desired_ver = 0
        self.ver = 0
        self.values: dict[str, Any] = {}
        self.seen: dict[str, tuple[Any, int]] = {}
        self.applied: dict[str, list[Any]] = {}
        self.writes: list[tuple[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self._apply = apply
        self._lock = threading.RLock()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"{gateway}-side", protocol=paho.MQTTProtocolVersion(level)
        )
        self._client.on_message = self._message
        self._client.on_connect = lambda *_: self._client.subscribe(
            [(f"{self.root}/shadow/+/desired", 1), (f"{self.root}/shadow/+/desired/patch", 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._ready = threading.Event()
        self._port = port

    def start(self) -> DeviceSide:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10)
        self.publish("status", {"online": True, "session": 1, "epoch": EPOCH, "ts": 1795000004000}, retain=True)
        return self

    def stop(self) -> None:
        self.publish("status", {"online": False, "session": 1, "epoch": EPOCH, "reason": "shutdown"}, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, body: dict[str, Any], *, retain: bool = False) -> None:
        self._client.publish(f"{self.root}/{topic}", json.dumps({"v": 1, **body}), 1, retain).wait_for_publish(10)

    def report(self) -> None:
        self.ver += 1
        body: dict[str, Any] = {
            "ver": self.ver,
            "epoch": EPOCH,
            "desired_ver": self.desired_ver,
            "polled": 1795000002000,
            "state": _nested(self.values),
            "meta": {path: [self.ver, 1795000002000] for path in self.values},
        }
        if self.local:
            body["local"] = self.local
        if self._apply:
            body["apply"] = self.applied
        payload = json.dumps({"v": 1, **body})
        self._client.publish(f"{self.root}/shadow/{self.device}/reported", payload, 1, retain=True)

    def reject(self, path: str, state: str, code: int, text: str, ver: int) -> None:
        body = {"v": 1, "path": path, "desired_ver": ver, "state": state, "code": code, "text": text, "ts": 1}
        self._client.publish(f"{self.root}/shadow/{self.device}/rejected", json.dumps(body), 1)

    def come_back(self) -> None:
        """The device answers again: what waits is written."""
        with self._lock:
            self.away = False
            for path, (state, ver, *_) in list(self.applied.items()):
                if state == "pending":
                    self._leaf(path, self.seen[path][0], ver)
            self.report()

    def _message(self, _client: Any, _userdata: Any, message: Any) -> None:
        if not message.payload.startswith(b"{"):  # taken out of the broker by hand, or garbage
            return
        with self._lock:
            body = json.loads(message.payload)
            if message.topic.endswith("/patch"):
                self._patch(body)
            elif body["ver"] >= self.desired_ver:
                self.documents.append(body)
                self._take(body)

    def _patch(self, body: dict[str, Any]) -> None:
        if body.get("if_ver", self.desired_ver) != self.desired_ver:
            self.reject("", "rejected", 409, "if_ver does not hold", self.desired_ver + 1)
            return
        self.desired_ver += 1
        for path, value in _flat(body["state"]):
            if value is not None:
                self._leaf(path, value, self.desired_ver)
        self.report()

    def _take(self, body: dict[str, Any]) -> None:
        self.desired_ver = body["ver"]
        for path, value in _flat(body["state"]):
            ver = body.get("meta", {}).get(path, [body["ver"]])[0]
            if self.seen.get(path, (None, 0))[1] < ver:
                self._leaf(path, value, ver)
        self.report()

    def _leaf(self, path: str, value: Any, ver: int) -> None:
        self.seen[path] = (value, ver)
        if self.away:
            self.applied[path] = ["pending", ver, 504, "the device does not answer"]
            self.reject(path, "pending", 504, "the device does not answer", ver)
        elif path in self.refuses:
            code, text = self.refuses[path]
            self.applied[path] = ["rejected", ver, code, text]
            self.reject(path, "rejected", code, text, ver)
        else:
            self.writes.append((path, value))
            self.values[path] = self.clamps.get(path, value)
            good = self.values[path] == value
            self.applied[path] = ["ok", ver, 200, ""] if good else ["failed", ver, 500, "read back another value"]
            if not good:
                self.reject(path, "failed", 500, "read back another value", ver)


def _flat(state: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in state.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        place = state
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return state
