"""A scan: what was heard lately, then what is heard now, as findings that a person can pick from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from msgspec import Struct

from drivers.ble.advert import Advert
from drivers.ble.strangers import finding
from gateway.clock import Clock

_MOST_WAITING = 1_000
"""Adverts between two steps; the oldest make room."""
_AGAIN_S = 1.0
"""How often one device is shown again while a scan lasts."""


class Options(Struct, frozen=True):
    """`seconds`: how long. `name`: only devices whose name or address contains this. `rssi`: the
    least strength in dBm. `device`: only this configured one.
    """

    seconds: float = 10.0
    name: str = ""
    rssi: int = -127
    device: str = ""


def options_of(given: Mapping[str, Any]) -> Options:
    """Raises ValueError."""
    if unknown := set(given) - set(Options.__struct_fields__):
        raise ValueError(f"a Bluetooth scan has no option {', '.join(sorted(unknown))}: seconds, name, rssi, device")
    seconds, rssi = given.get("seconds", 10.0), given.get("rssi", -127)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 300:
        raise ValueError("a scan lasts 1 to 300 seconds")
    if not isinstance(rssi, int) or not -127 <= rssi <= 20:
        raise ValueError("rssi is -127 to 20 dBm")
    return Options(float(seconds), str(given.get("name", "")), rssi, str(given.get("device", "")))


class Scan:
    """One scan. `adverts`: heard before; `describe` gives device id and values of a configured one."""

    def __init__(
        self, options: Options, clock: Clock, describe: Callable[[Advert], tuple[str, dict[str, Any] | None]]
    ) -> None:
        self._options = options
        self._clock = clock
        self._describe = describe
        self._heard: dict[str, Advert] = {}

    def hear(self, advert: Advert) -> None:
        """An advert while the scan lasts; of one device only the newest waits."""
        if len(self._heard) < _MOST_WAITING or advert.address in self._heard:
            self._heard[advert.address] = advert

    async def findings(self, before: list[Advert]) -> AsyncIterator[Mapping[str, Any]]:
        """Rows, and progress in seconds."""
        clock, options = self._clock, self._options
        begin = clock.mono()
        shown: dict[str, float] = {}
        for advert in before:
            self.hear(advert)
        done = -1
        while (past := clock.mono() - begin) < options.seconds:
            for advert in list(self._heard.values()):
                if clock.mono() - shown.get(advert.address, -_AGAIN_S) < _AGAIN_S:
                    continue
                del self._heard[advert.address]
                shown[advert.address] = clock.mono()
                device, values = self._describe(advert)
                if self._wanted(advert) and options.device in {"", device}:
                    yield finding(advert, device, values)
            if int(past) != done:
                done = int(past)
                yield {"done": done, "of": round(options.seconds)}
            await clock.sleep(0.2)
        yield {"done": round(options.seconds), "of": round(options.seconds)}

    def _wanted(self, advert: Advert) -> bool:
        text = self._options.name.lower()
        return advert.rssi >= self._options.rssi and (text in advert.name.lower() or text in advert.address.lower())
