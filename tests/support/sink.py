"""An MQTT consumer for tests: keeps every message and a ledger of numbers, and acknowledges when asked to.

A thread with a plain paho client and a persistent session: what the broker has acknowledged to the gateway reaches
the sink even when one of them is away in between.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support import wire
from tests.support.eventually import wait_until
from tests.support.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Message:
    """As received. `at` is time.time()."""

    topic: str
    payload: bytes
    retain: bool
    at: float
    content_type: str | None
    user: dict[str, str]


class Sink:
    """Consumes `root`/# of the broker on `port`. With `ack` it publishes `down/ack` each `ack_every` seconds."""

    def __init__(
        self,
        port: int,
        root: str = "fp/1/default/gw",
        *,
        client_id: str = "sink",
        ack: bool = False,
        ack_every: float = 0.5,
        topic: str | None = None,
        keep: bool = True,
    ) -> None:
        self.root = root
        self.ledger = Ledger()
        self.messages: list[Message] = []
        self.errors: list[str] = []
        self.status: dict[str, Any] = {}
        self.aliases: wire.Aliases = {}
        self.acking = ack
        self._busy_at = time.monotonic()
        self._ack_every = ack_every
        self._acked: dict[tuple[str, int], int] = {}
        self._keep = keep
        self._topic = topic or f"{root}/#"
        self._port = port
        self._subscribed = threading.Event()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.reconnect_delay_set(1, 1)
        self._acks = threading.Thread(target=self._send_acks, name="sink-acks", daemon=True)

    def start(self) -> Sink:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", self._port, 30, clean_start=False, properties=session)
        self._client.loop_start()
        self._acks.start()
        self.wait_subscribed()
        return self

    def wait_subscribed(self, within: float = 30) -> None:
        wait_until(self._subscribed.is_set, within, why="the sink is subscribed")

    def wait_caught_up(self, within: float = 600, quiet: float = 3.0) -> None:
        """Wait until nothing came for `quiet` seconds: what the broker held for this sink is taken in.

        Millions of readings take this process longer than the gateway needed to deliver them; questions asked
        meanwhile slow it down further.
        """
        wait_until(lambda: time.monotonic() - self._busy_at >= quiet, within, every=0.5, why="the sink has caught up")

    def stop(self) -> None:
        self._stop.set()
        self._client.disconnect()
        self._client.loop_stop()
        if self._acks.is_alive():
            self._acks.join(5)

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Send a control message below the root with QoS 1."""
        self._client.publish(f"{self.root}/{topic}", json.dumps(message), qos=1)

    # Questions; each is answered from one consistent moment

    def snapshot(self) -> Ledger:
        """A copy of the ledger that does not change any more."""
        with self._lock:
            copy = Ledger(duplicates=self.ledger.duplicates, historical=self.ledger.historical)
            copy.numbers.update({key: dict(known) for key, known in self.ledger.numbers.items()})
            copy.gaps.update({key: list(gaps) for key, gaps in self.ledger.gaps.items()})
            copy.last = dict(self.ledger.last)
            copy.conflicts = list(self.ledger.conflicts)
            return copy

    def received(self) -> int:
        """Different telemetry readings so far."""
        with self._lock:
            return sum(len(known) for (stream, _), known in self.ledger.numbers.items() if stream == "telemetry")

    def on(self, topic: str) -> list[Message]:
        """Messages on a topic below the root."""
        with self._lock:
            return [message for message in self.messages if message.topic == f"{self.root}/{topic}"]

    # Callbacks, on paho's thread

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.errors.append(f"connect: {reason}")
            return
        client.subscribe([(self._topic, SubscribeOptions(qos=1))])

    def _on_subscribe(self, *_: Any) -> None:
        self._subscribed.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._subscribed.clear()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        properties = message.properties
        content_type = getattr(properties, "ContentType", None)
        user = dict(getattr(properties, "UserProperty", []))
        self._busy_at = time.monotonic()
        kept = Message(message.topic, bytes(message.payload), message.retain, time.time(), content_type, user)
        with self._lock:
            if self._keep:
                self.messages.append(kept)
            try:
                self._take(kept)
            except Exception as error:
                self.errors.append(f"{message.topic}: {error!r} in {message.payload[:200]!r}")
        self._busy_at = time.monotonic()

    def _take(self, message: Message) -> None:
        if not message.topic.startswith(self.root + "/"):
            return
        topic = message.topic[len(self.root) + 1 :]
        if topic == "status":
            self.status = wire.unpack(message.payload) if message.payload else {}
            self.ledger.add_status(self.status)
        elif topic == "birth" or topic.startswith("birth/"):
            if message.payload:
                self.aliases.update(wire.birth_aliases(wire.unpack(message.payload)))
        elif topic == "up/gap":
            self.ledger.add_gap(wire.unpack(message.payload))
        elif topic.startswith("up/"):
            body = wire.unpack(message.payload)
            header = wire.header(body)
            assert header.stream == topic[3:], f"stream {header.stream} on {topic}"
            if "entries" in body:
                self.ledger.add(header, ((entry["seq"], entry) for entry in body["entries"]))
            else:
                self.ledger.add(header, wire.readings(body, self.aliases))

    # Consumer acknowledgements (protocol.md 2.10)

    def _send_acks(self) -> None:
        while not self._stop.wait(self._ack_every):
            if not self.acking or not self._subscribed.is_set():
                continue
            with self._lock:
                marks = {key: self.ledger.upto(key) for key in self.ledger.numbers}
            for (stream, epoch), upto in marks.items():
                # Sent again even when unchanged: an acknowledgement may be lost with the broker.
                if upto:
                    self._acked[stream, epoch] = upto
                    self.publish("down/ack", {"v": 1, "stream": stream, "epoch": epoch, "upto": upto})
