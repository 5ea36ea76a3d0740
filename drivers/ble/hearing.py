"""Which tags of a device were in its adverts, and when: a sensor may send one measurement and stop sending another.

Only what was in an advert is confirmed by it. What was not in one for long is stale, once; what never was is told with
what the device sends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from drivers.ble.advert import Advert
from drivers.ble.decoding import Decoder
from drivers.ble.reporting import Reporter
from drivers.ble.uuids import short
from gateway.clock import Timer
from gateway.driver import DriverContext
from gateway.model import Device

_CONFIRM_EVERY_S = 1.0
_INTERVALS = 2.0
"""A tag that is reported seldom is not stale before so many of its intervals."""


class Hearing:
    """Of one device. `stale_after`: seconds; 0: by the device's silence and the tag's interval."""

    def __init__(
        self, ctx: DriverContext, device: Device, decoder: Decoder, reporter: Reporter, stale_after: float, away: float
    ) -> None:
        self._ctx = ctx
        self._device = device
        self._decoder = decoder
        self._reporter = reporter
        self._tags = decoder.of_adverts
        every = {i: (device.tags[i].spec.schedule or device.spec.schedule).every_s for i in self._tags}
        self._after = {i: stale_after or max(away, _INTERVALS * every[i]) for i in self._tags}
        self._heard: dict[int, tuple[float, int]] = {}
        self._confirmed: dict[int, float] = {}
        self._ever: set[int] = set()
        self._away = away
        self._spoke = 0.0
        self.stale: set[int] = set()
        self._told = ""
        self._timer: Timer | None = None

    def put(self, tags: Iterable[int], advert: Advert) -> None:
        """These tags were in an advert."""
        due = []
        self._spoke = advert.mono
        for i in tags:
            self._heard[i] = (advert.mono, advert.ts)
            self._ever.add(i)
            self.stale.discard(i)
            if advert.mono - self._confirmed.get(i, float("-inf")) >= _CONFIRM_EVERY_S:
                self._confirmed[i] = advert.mono
                due.append(self._device.tags[i])
        if due:
            self._ctx.fresh(self._device.id, due)
        if self._timer is None and self._heard:
            self._arm()

    def missing(self, advert: Advert, measured: Iterable[str]) -> None:
        """Say of tags that no advert brought yet what the device sends. Cheap when that is said already."""
        if len(self._ever) == len(self._tags):
            return
        there = ", ".join(sorted(measured)) or ", ".join(
            [f"manufacturer/0x{company:04x}" for company in advert.manufacturer]
            + [f"service/{short(service)}" for service in advert.service]
        )
        if there == self._told:
            return
        self._told = there
        for i in self._tags:
            if i not in self._ever:
                text = f"{self._decoder.wants(i)} is not in what the device sends; it sends {there or 'no data'}"
                self._ctx.explain(self._device.tags[i], text)

    def reset(self) -> None:
        """The device is away: all its tags are bad for that already."""
        self.close()
        self._heard.clear()
        self._confirmed.clear()
        self.stale.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        due = min(mono + self._after[i] for i, (mono, _) in self._heard.items())
        self._timer = self._ctx.clock.call_later(max(due - self._ctx.clock.mono(), 0.01), self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._ctx.clock.mono()
        if now - self._spoke >= self._away - 0.005:
            return  # the whole device is away, which its station tells
        gone = {i: ts for i, (mono, ts) in self._heard.items() if now - mono >= self._after[i] - 0.005}
        for i in gone:
            del self._heard[i]
            self._confirmed.pop(i, None)
        if gone:
            self.stale |= gone.keys()
            self._reporter.stale({i: f"not in what the device sends since {_time(ts)}" for i, ts in gone.items()})
        if self._heard:
            self._arm()


def _time(ts: int) -> str:
    return dt.datetime.fromtimestamp(ts / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


__all__ = ["Hearing"]
