"""What an uplink has done, for status and metrics. Counts since the process started."""

from __future__ import annotations

from typing import Any

from gateway.uplink.lanes import Parcel
from gateway.uplink.order import BACKLOG
from gateway.uplink.rates import Meter


class Counters:
    """Numbers that only grow, and rates of the last seconds."""

    def __init__(self) -> None:
        self.published = 0
        self.acked = 0
        self.readings_acked = 0
        self.unrouted = 0
        self.refused: dict[str, int] = {}
        self.dead = 0
        self.lost = 0
        self.bad_acks = 0
        self.connections = 0
        self.last_puback: int | None = None
        self._readings = Meter()
        self._bytes = Meter()
        self._messages = Meter()
        self._backlog = Meter()

    def sent(self, now: float, parcel: Parcel) -> None:
        self.published += 1
        self._bytes.add(now, parcel.size)
        self._messages.add(now, 1.0)

    def done(self, now: float, wall_ms: int, parcel: Parcel) -> None:
        self.acked += 1
        self.readings_acked += parcel.readings
        self.last_puback = wall_ms
        self._readings.add(now, parcel.readings)
        if parcel.kind == BACKLOG:
            self._backlog.add(now, parcel.readings)

    def refuse(self, topic: str) -> None:
        self.refused[topic] = self.refused.get(topic, 0) + 1

    def messages_per_s(self, now: float) -> float:
        return self._messages.rate(now)

    def bytes_per_s(self, now: float) -> float:
        return self._bytes.rate(now)

    def snapshot(self, now: float, waiting: int) -> dict[str, Any]:
        """For `status --json`. `eta_s`: until the backlog of `waiting` readings is delivered, None if not known."""
        drain = self._backlog.rate(now)
        return {
            "published": self.published,
            "acked": self.acked,
            "readings": self.readings_acked,
            "unrouted": self.unrouted,
            "refused": dict(self.refused),
            "dead": self.dead,
            "lost": self.lost,
            "bad_acks": self.bad_acks,
            "connections": self.connections,
            "readings_per_s": round(self._readings.rate(now), 1),
            "messages_per_s": round(self._messages.rate(now), 2),
            "bytes_per_s": round(self._bytes.rate(now), 1),
            "eta_s": round(waiting / drain, 1) if waiting and drain > 0 else (0.0 if not waiting else None),
        }
