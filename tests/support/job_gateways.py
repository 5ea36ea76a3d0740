"""Gateways as a broker sees them when jobs come: each takes what stands on its `job/next`, does it once and tells how it
went (protocol.md 1.3). Played by one small MQTT client that is not ours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

EPOCH = 1794000000


class JobGateways:
    """`ways`: gateway to how it takes jobs: "succeeds" (else), "fails", "rolls back", "rejects", "holds" (until
    `finish`), "commits" (as holds, but can no longer be cancelled), "is deaf". `begun`: what was begun, in order.
    """

    def __init__(self, port: int, names: Sequence[str], tenant: str = "default") -> None:
        self.ways: dict[str, str] = {}
        self.begun: list[tuple[str, str]] = []
        self.taken: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        self.last: dict[tuple[str, str], dict[str, Any]] = {}
        self.retained: dict[str, bytes] = {}
        self.session = 1
        self._root = f"fp/1/{tenant}"
        self._names = list(names)
        self._lock = threading.RLock()
        self._connected: set[str] = set()
        self._port = port
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "job-gateways", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._message
        self._client.on_connect = lambda *_: self._client.subscribe(f"{self._root}/+/job/next", 1)
        self._client.on_subscribe = lambda *_: self._subscribed()

    def start(self, *, offline: Sequence[str] = (), version: str = "1.0.0") -> JobGateways:
        self._connected = set(self._names) - set(offline)
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10)
        for name in self._names:
            self.status(name, online=name in self._connected, version=version)
        return self

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def status(self, name: str, *, online: bool, version: str = "1.0.0", release: str = "") -> None:
        """Its retained status; one that comes online takes what waits."""
        with self._lock:
            (self._connected.add if online else self._connected.discard)(name)
            body: dict[str, Any] = {"v": 1, "online": online, "session": self.session, "epoch": EPOCH, "ts": 1}
            more = {"version": version, **({"release": release} if release else {})}
            self._publish(f"{name}/status", body | (more if online else {}), retain=True)
            if online and self.retained.get(name):
                self._take(name, self.retained[name])

    def finish(self, name: str, state: str = "succeeded", text: str = "", **detail: Any) -> None:
        """What it holds ends."""
        with self._lock:
            job = next(id_ for (gateway, id_) in reversed(list(self.last)) if gateway == name)
            self._say(name, job, state, "", text=text, **detail)

    def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(f"{self._root}/{topic}", payload, 1, retain)

    def stands(self) -> set[str]:
        """Gateways whose `job/next` is not empty."""
        with self._lock:
            return {name for name, payload in self.retained.items() if payload}

    def _subscribed(self) -> None:
        self._ready.set()
        with self._lock:  # as after any reconnect: what has not left job/next is told again
            for (name, job), body in self.last.items():
                if name in self._connected and job in self.retained.get(name, b"").decode():
                    self._publish(f"{name}/job/{job}/status", body)

    def _message(self, _client: Any, _userdata: Any, message: Any) -> None:
        with self._lock:
            name = message.topic.split("/")[3]
            self.retained[name] = message.payload
            if name in self._connected:
                self._take(name, message.payload)

    def _take(self, name: str, payload: bytes) -> None:
        way = self.ways.get(name, "succeeds")
        if way == "is deaf":
            return
        if not payload:
            self._withdraw(name)
            return
        job = json.loads(payload)
        id_ = job["id"]
        if (name, id_) in self.last:
            self._publish(f"{name}/job/{id_}/status", self.last[name, id_])
            return
        self._withdraw(name)
        self.begun.append((name, id_))
        self.taken[name].append(job)
        if way == "rejects":
            self._say(name, id_, "rejected", "accepted", text="op: it is not among the jobs", code=403)
            return
        self._say(name, id_, "queued", "accepted")
        self._say(name, id_, "in_progress", "trial" if way == "commits" else "download", percent=40)
        ends = {
            "succeeds": ("succeeded", "", {}),
            "fails": ("failed", "not enough room", {}),
            "rolls back": ("failed", "channel line1 is not up again", {"rolled_back": True}),
        }
        if way in ends:
            state, text, detail = ends[way]
            self._say(name, id_, state, "", text=text, **detail)

    def _withdraw(self, name: str) -> None:
        for (gateway, id_), body in list(self.last.items()):
            if gateway == name and body["state"] in {"queued", "in_progress"}:
                if body["step"] == "trial":
                    self._say(name, id_, "in_progress", "trial", text="past the point", code=409)
                else:
                    self._say(name, id_, "cancelled", "", text="withdrawn")

    def _say(self, name: str, id_: str, state: str, step: str, percent: int | None = None, **detail: Any) -> None:
        body: dict[str, Any] = {"v": 1, "id": id_, "ver": 1, "state": state, "ts": 1795000009000, "detail": detail}
        body |= {"step": step} | ({"percent": percent} if percent is not None else {})
        self.last[name, id_] = body
        self._publish(f"{name}/job/{id_}/status", body)

    def _publish(self, topic: str, body: dict[str, Any], *, retain: bool = False) -> None:
        self._client.publish(f"{self._root}/{topic}", json.dumps(body), 1, retain)
