"""Whether devices are there: what they say, what their availability topics say, and how long they have been silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from drivers.mqtt.jsonpath import MISSING, getter, parse
from drivers.mqtt.settings import Availability, DeviceSettings
from gateway.driver import DriverContext
from gateway.model import Device
from gateway.mqttclient.connection import Inbound

_JSON = msgspec.json.Decoder()


class Word:
    """One availability topic of one device: a taker of the router."""

    def __init__(self, presence: Presence, device: Device, place: int, settings: Availability, topic: str) -> None:
        self.filter = topic
        self.format = "plain"
        self.device = device
        self._presence = presence
        self._place = place
        self._words = {settings.online: True, settings.offline: False}
        self._get = getter(parse(settings.path)) if settings.path else None

    def take(self, message: Inbound, document: Any) -> Sequence[Any]:
        """A retained word counts: it is how a last will reaches those who come later."""
        raw = document if self._get is None else self._get(_json_or_text(document))
        if raw is MISSING and isinstance(document, str):
            raw = document
        if raw is not MISSING:
            text = raw if isinstance(raw, str) else "true" if raw is True else "false" if raw is False else str(raw)
            here = self._words.get(text)
            if here is not None:
                self._presence.told(self.device, self._place, message.topic, here=here)
        return ()


def _json_or_text(text: str) -> Any:
    """Some bridges write the word alone or as JSON, by their settings: a word is its own document."""
    try:
        return _JSON.decode(text)
    except (ValueError, RecursionError):
        return text


class Presence:
    """The states of all devices of a channel."""

    def __init__(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        self._words: dict[str, dict[int, bool]] = {device.id: {} for device in ctx.devices}
        self._limits: Mapping[str, float] = {
            device.id: float(settings.away_after)
            for device in ctx.devices
            if (settings := _settings(device)).away_after is not None
        }
        self._seen: dict[str, float] = {}
        self._away: set[str] = set()
        self.lost = False
        """Every device was given up because the broker was away for too long."""

    def begin(self) -> None:
        """The connection is up: silence is counted from now."""
        now = self._ctx.clock.mono()
        self._seen = dict.fromkeys(self._limits, now)
        self.lost = False

    def heard(self, device: str) -> None:
        """A device sent something that was not kept for us: it is there."""
        self._words[device].clear()
        if device in self._limits:
            self._seen[device] = self._ctx.clock.mono()
        self._here(device)

    def told(self, device: Device, place: int, topic: str, *, here: bool) -> None:
        """An availability topic says that a device is there, or is not."""
        words = self._words[device.id]
        words[place] = here
        if not here:
            self._gone(device.id, f"{topic} says that it is away")
        elif all(words.values()):
            if device.id in self._limits:
                self._seen[device.id] = self._ctx.clock.mono()
            self._here(device.id)

    def all_gone(self, reason: str) -> None:
        self.lost = True
        for device in self._ctx.devices:
            self._gone(device.id, reason)

    def look(self) -> None:
        """Find those that are silent for too long. Call it now and then while the broker is there."""
        now = self._ctx.clock.mono()
        for device, limit in self._limits.items():
            if device not in self._away and now - self._seen.get(device, now) > limit:
                self._gone(device, f"silent for {limit:g} s")

    @property
    def period_s(self) -> float | None:
        """How often to look, None when no device has a limit."""
        return max(0.05, min(self._limits.values()) / 4.0) if self._limits else None

    def _here(self, device: str) -> None:
        self._away.discard(device)
        self._ctx.online(device)

    def _gone(self, device: str, reason: str) -> None:
        self._away.add(device)
        self._ctx.offline(device, reason)


def _settings(device: Device) -> DeviceSettings:
    settings: DeviceSettings = device.spec.settings
    return settings


def words_of(settings: DeviceSettings) -> tuple[Availability, ...]:
    """The availability topics of a device."""
    given = settings.availability
    return given if isinstance(given, tuple) else (given,)
