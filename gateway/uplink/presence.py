"""The retained `status` message and the Will: whether this gateway is connected, and its high-water marks."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from gateway.clock import Clock
from gateway.journal import Consumer
from gateway.mqttclient.connection import MQTT_5, Outgoing
from gateway.settings.types import UplinkSettings
from gateway.uplink.codecs.base import JSON
from gateway.uplink.ports import Identity


class Presence:
    """Makes status messages of one uplink. Without a consumer (codec `flat`) the epoch is the time of its making.
    High-water marks go with a codec that carries numbers only.
    """

    def __init__(self, settings: UplinkSettings, identity: Identity, consumer: Consumer | None, clock: Clock) -> None:
        self._settings = settings
        self._identity = identity
        self._consumer = consumer
        self._clock = clock
        self._made_at = clock.wall_ms() // 1000

    @property
    def topic(self) -> str:
        return f"{self._identity.root}/status"

    @property
    def epoch(self) -> int:
        return self._made_at if self._consumer is None else self._consumer.epoch

    def proof(self, level: int | None) -> str:
        """What an acknowledgement proves on a connection of this MQTT level (protocol.md 1.3, status)."""
        if self._consumer is None:
            return "none"
        if not self._settings.numbered:
            return "puback"
        if self._settings.ack == "consumer":
            return "consumer"
        return "full" if level in {None, MQTT_5} else "limited"

    def will(self, session: int) -> Outgoing:
        body = {"v": 1, "online": False, "session": session, "epoch": self.epoch}
        return Outgoing(self.topic, msgspec.json.encode(body), JSON, retain=True)

    def online(self, session: int, level: int, birth: str | None) -> Outgoing:
        body: dict[str, Any] = {
            "v": 1,
            "online": True,
            "session": session,
            "epoch": self.epoch,
            "boot": self._identity.boot,
            "version": self._identity.version,
            **({"release": self._identity.release} if self._identity.release else {}),
            "codec": self._settings.codec,
            "proof": self.proof(level),
            "birth": birth,
            "clock": "s" if self._clock.synced() else "u",
            "ts": self._clock.wall_ms(),
        }
        return self._message(body)

    def shutdown(self, session: int) -> Outgoing:
        body: dict[str, Any] = {
            "v": 1,
            "online": False,
            "session": session,
            "epoch": self.epoch,
            "reason": "shutdown",
            "ts": self._clock.wall_ms(),
        }
        return self._message(body)

    def _message(self, body: dict[str, Any]) -> Outgoing:
        if self._consumer is not None and self._settings.numbered:
            states = self._consumer.streams()
            carried = self._settings.select.streams
            body["streams"] = {
                name: {"oldest": state.oldest, "last": state.last} for name, state in states.items() if name in carried
            }
        return Outgoing(self.topic, msgspec.json.encode(body), JSON, retain=True)

    def phase(self) -> float:
        """Seconds until the first periodic status: a hash of the gateway's id, so that a fleet does not tick together
        (protocol.md 5.1).
        """
        part = zlib.crc32(self._identity.id.encode()) / 2**32
        return self._settings.status_s * (0.5 + 0.5 * part)
