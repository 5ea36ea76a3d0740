"""One configured device as the radio hears it: its decoder, its parser, when it was heard, when it is away."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from drivers.ble.advert import Advert, changed, mac_of
from drivers.ble.decoding import Decoder, Reading, names
from drivers.ble.hearing import Hearing
from drivers.ble.match import Matcher, matcher_of
from drivers.ble.parsers import Measured, Parser, belongs, may_repeat, parser_of
from drivers.ble.reporting import Reporter
from drivers.ble.settings import AWAY_AFTER_GATT_S, AWAY_AFTER_S, ChannelSettings, DeviceSettings
from gateway.clock import Timer
from gateway.driver import DriverContext
from gateway.model import Device

_NEW_MESSAGE_S = 4.0
"""The same BTHome data after so much silence is a new message (the rule of `bthome-ble`)."""
_NO_KEY = "ble_key"


class Station:
    """State of one device over all sessions of a channel."""

    def __init__(self, ctx: DriverContext, device: Device, counts: dict[str, int]) -> None:
        settings: DeviceSettings = device.spec.settings
        self.device = device
        self.settings = settings
        self.decoder = Decoder(device)
        self.reporter = Reporter(ctx, device)
        self.address = mac_of(settings.address) if settings.address else ""
        self.matcher: Matcher | None = None if settings.match is None else matcher_of(settings.match)
        self.last: Advert | None = None
        self.measured: dict[str, tuple[Any, int]] = {}
        self.online = False
        self._ctx = ctx
        self._counts = counts
        self._parser = self._make_parser()
        self._away_after = _away_after(ctx.channel.settings, settings)
        self._timer: Timer | None = None
        self._since = ctx.clock.mono()
        self._inside: set[int] = set()
        self._in_parsed: set[int] = set()
        stale_after = float(settings.stale_after or ctx.channel.settings.stale_after or 0.0)
        self.hearing = Hearing(ctx, device, self.decoder, self.reporter, stale_after, self._away_after)
        self._why_away = "not heard"

    @property
    def by_adverts(self) -> bool:
        """Whether adverts alone decide if the device is there."""
        return self.settings.kind != "gatt"

    # --- adverts

    def heard(self, advert: Advert) -> str:
        """An advert of this device. Returns what it said, for people."""
        last, self.last = self.last, advert
        self.address = self.address or advert.address
        if self.by_adverts:
            self.there()
        silence = advert.mono - last.mono if last is not None else 0.0
        repeated = last is not None and last.content == advert.content
        readings: list[Reading] = list(self.decoder.radio(advert))
        said = "again"
        if not repeated or (self._parser is not None and silence > _NEW_MESSAGE_S and may_repeat(advert)):
            part = advert if repeated else changed(advert, last)
            more, said = self._decode(part)
            readings += more
            self._inside = self._in_parsed | {reading[0] for reading in self.decoder.data(advert)}
        else:
            self._counts["repeats"] += 1
            self.reporter.again(advert.ts, self._inside)
        self.reporter.put(readings, advert.ts)
        if self.by_adverts:
            heard = {reading[0] for reading in readings}
            self.hearing.put(heard | self._inside if said == "again" else heard, advert)
            self.hearing.missing(advert, self.measured)
        return said

    def _decode(self, advert: Advert) -> tuple[list[Reading], str]:
        readings = list(self.decoder.data(advert))
        said = ""
        if self._parser is not None and belongs(self.settings.kind, advert):
            found = self._parser.measure(advert)
            parsed = list(self.decoder.measured(found))
            readings += parsed
            self._in_parsed = {reading[0] for reading in parsed}
            self.measured.update({key: (value, advert.ts) for key, value in found.values.items()})
            self._tell(advert, found)
            said = found.refused or ", ".join(f"{key} {value}" for key, value in found.values.items())
            said += "".join(f" {what}: {fields['event']}" for what, fields in found.events)
        elif readings:
            said = names(self.device, readings)
        return readings, said or "nothing for a tag"

    def _tell(self, advert: Advert, found: Measured) -> None:
        for what, fields in found.events:
            self._counts["events"] += 1
            self._ctx.event(self.device.id, what, {**fields, "ts": advert.ts})
        if found.refused:
            self._counts["refused"] += 1
            if "key" in found.refused:
                text = f"adverts cannot be used: {found.refused}"
                self._ctx.issue(_NO_KEY, text, "set the device's bind key as `key`", self.device.id)
            return
        self._ctx.clear(_NO_KEY, self.device.id)
        if self._parser is not None and self._parser.counter and self.settings.key:
            row = {"key": _mark(self.settings.key), "n": self._parser.counter}
            self._ctx.memory.put(f"counter/{self.address}", row)

    def _make_parser(self) -> Parser | None:
        settings = self.settings
        if settings.kind not in {"bthome", "ruuvi"}:
            return None
        row = self._ctx.memory.get(f"counter/{self.address}") if settings.key else None
        known = row if isinstance(row, Mapping) and row.get("key") == _mark(settings.key) else {}
        return parser_of(settings.kind, settings.key, int(known.get("n", 0)))

    # --- there or away

    def there(self) -> None:
        """The device was heard, or answered."""
        self._since = self._ctx.clock.mono()
        if not self.online:
            self.online = True
            self._ctx.online(self.device.id)
        if self._timer is None and self.by_adverts:
            self._watch()

    def watch(self) -> None:
        """Begin to count silence: the device is away when it has not been there for `away_after`."""
        self._since = self._ctx.clock.mono()
        if self._timer is None:
            self._watch()

    def failing(self, why: str) -> None:
        """A device that is connected to does not answer: it is away after a while."""
        self._why_away = why
        if self._timer is None:
            self.watch()

    def deaf(self, why: str, *, at_once: bool) -> None:
        """Bluetooth is away. `at_once`: nothing can come, so the device is away now; else after its `away_after`."""
        self._why_away = why
        if at_once:
            self._stop()
            self._gone(why)
        elif self._timer is None:
            self.watch()

    def hears(self) -> None:
        """Bluetooth is there again: silence is the device's own from now on."""
        self._why_away = "not heard"
        if self.by_adverts:
            self._stop()
            self.watch()

    def answered(self) -> None:
        """The opposite of `failing`."""
        self._stop()
        self.there()

    def close(self) -> None:
        self._stop()
        self.hearing.close()
        self.reporter.close()

    def _watch(self) -> None:
        left = self._since + self._away_after - self._ctx.clock.mono()
        self._timer = self._ctx.clock.call_later(max(left, 0.01), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._ctx.clock.mono() - self._since < self._away_after - 0.005:
            self._watch()
            return
        self._gone(f"{self._why_away} for {self._away_after:g} s")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _gone(self, why: str) -> None:
        self.online = False
        self.reporter.reset()
        self.hearing.reset()
        self._inside, self._in_parsed = set(), set()
        self.last = None
        self._ctx.offline(self.device.id, why)


def _away_after(channel: ChannelSettings, device: DeviceSettings) -> float:
    given = device.away_after or channel.away_after
    return float(given or (AWAY_AFTER_GATT_S if device.kind == "gatt" else AWAY_AFTER_S))


def _mark(key: str) -> str:
    """Tells keys apart without telling the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def counters() -> dict[str, int]:
    """All counters of a channel at 0, in the order of the README."""
    names = (
        "adverts", "repeats", "refused", "events", "unknown_devices", "faults", "sessions",
        "connects", "connect_failures", "disconnects", "gatt_reads", "gatt_writes", "notifications",
    )  # fmt: skip
    return dict.fromkeys(names, 0)


__all__ = ["Station", "counters"]
