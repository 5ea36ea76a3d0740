"""What this uplink has learned about its broker's limits: halved when it complains, given back after quiet time."""

from __future__ import annotations

from gateway.settings.types import UplinkSettings
from gateway.uplink.sources import Limits

MIN_PAYLOAD = 1024
_QUIET_S = 600.0
_OVERHEAD = 1024
"""Of a packet: topic, properties and header."""


class Learned:
    """Limits over connections. `limits` is what the next connection uses."""

    def __init__(self, settings: UplinkSettings) -> None:
        self._settings = settings
        self._payload = settings.max_payload
        self._factor = 1.0
        self._base: tuple[float, float] | None = None

    def limits(self, max_packet: int | None) -> Limits:
        """For a connection to a server that names this Maximum Packet Size."""
        payload = self._payload
        if max_packet is not None:
            payload = min(payload, max(max_packet - _OVERHEAD, max_packet // 2))
        if self._base is None:
            return Limits(payload, self._settings.bytes_per_s, self._settings.messages_per_s)
        return Limits(payload, max(self._base[0] * self._factor, 1000.0), max(self._base[1] * self._factor, 1.0))

    def too_large(self, used: int) -> None:
        """DISCONNECT 0x95: half of what was used."""
        self._payload = max(MIN_PAYLOAD, min(self._payload, used) // 2)

    def too_fast(self, bytes_per_s: float, messages_per_s: float) -> None:
        """The broker's rate or quota is exceeded: half of the set or measured rates."""
        if self._base is None:
            self._base = (
                self._settings.bytes_per_s or max(bytes_per_s, 2000.0),
                self._settings.messages_per_s or max(messages_per_s, 2.0),
            )
        self._factor /= 2.0

    def quiet(self, seconds: float) -> None:
        """A connection lasted that long without a complaint."""
        if seconds >= _QUIET_S and self._base is not None:
            self._factor *= 2.0
            if self._factor >= 1.0:
                self._base, self._factor = None, 1.0
