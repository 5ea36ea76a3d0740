"""What a device tells becomes readings, at most one a tag and interval: a beacon that speaks ten times a second does
not flood. Within an interval the newest value waits and goes out at its end with the time at which it was heard.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from drivers.ble.decoding import Reading
from gateway.clock import Timer
from gateway.driver import DriverContext
from gateway.model import Block, Device, Quality

_UNSET = float("-inf")
_CONFIG, _STALE = int(Quality.BAD_CONFIG), int(Quality.BAD_STALE)
_WHY = "the value does not fit the tag's type"


class Reporter:
    """Publishes for one device. `merged`: values that a newer one replaced before they were reported."""

    def __init__(self, ctx: DriverContext, device: Device) -> None:
        self._ctx = ctx
        self._device = device
        self._block = Block(device.id, device.tags)
        self._every = [(tag.spec.schedule or device.spec.schedule).every_s for tag in device.tags]
        self._heartbeat = [tag.spec.report.heartbeat_s for tag in device.tags]
        self._told = [_UNSET] * len(device.tags)
        self._waiting: dict[int, tuple[Reading, int]] = {}
        self._timer: Timer | None = None
        self._last: dict[int, tuple[Reading, int]] = {}
        self.merged = 0

    def put(self, readings: Iterable[Reading], ts: int, *, now: bool = False) -> None:
        """Readings that were true at `ts` (UTC ms). `now`: they were asked for, the interval is theirs already."""
        mono = self._ctx.clock.mono()
        ready: list[Reading] = []
        for reading in readings:
            i = reading[0]
            self._last[i] = (reading, ts)
            if now or mono - self._told[i] >= self._every[i]:
                self._waiting.pop(i, None)
                ready.append(reading)
            else:
                self.merged += i in self._waiting
                self._waiting[i] = (reading, ts)
        self._publish(ready, ts, mono)
        self._arm(mono)

    def again(self, ts: int, heard: Container[int]) -> None:
        """The device said the same as before at `ts`: values of the tags `heard` in it are still true. Those with a
        heartbeat tell that.
        """
        now = self._ctx.clock.mono()
        due = [
            self._last[i][0]
            for i, beat in enumerate(self._heartbeat)
            if beat is not None
            and i in heard
            and i in self._last
            and i not in self._waiting
            and now - self._told[i] >= beat
        ]
        self._publish(due, ts, now)

    def last(self, i: int) -> tuple[Reading, int] | None:
        """The newest reading of a tag and its time."""
        return self._last.get(i)

    def stale(self, why: Mapping[int, str]) -> None:
        """These tags were not heard for long: each is bad/stale once, their next value passes at once."""
        self._flush(everything=True)
        readings: list[Reading] = [(i, None, _STALE) for i in sorted(why)]
        self._publish(readings, self._ctx.clock.wall_ms(), self._ctx.clock.mono())
        for i, text in why.items():
            self._told[i] = _UNSET
            self._last.pop(i, None)
            self._ctx.explain(self._device.tags[i], text)

    def reset(self) -> None:
        """The device is away: what waits is told, and its next values all pass."""
        self._flush(everything=True)
        self._told = [_UNSET] * len(self._told)
        self._last.clear()

    def close(self) -> None:
        """Tell what waits and end."""
        self._flush(everything=True)

    def _arm(self, now: float) -> None:
        if self._waiting and self._timer is None:
            due = min(self._told[i] + self._every[i] for i in self._waiting)
            self._timer = self._ctx.clock.call_later(max(due - now, 0.0), self._flush)

    def _flush(self, *, everything: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._ctx.clock.mono()
        by_time: dict[int, list[Reading]] = {}
        for i, (reading, ts) in list(self._waiting.items()):
            if everything or now - self._told[i] >= self._every[i] - 1e-6:
                del self._waiting[i]
                by_time.setdefault(ts, []).append(reading)
        for ts in sorted(by_time):
            self._publish(by_time[ts], ts, now)
        if not everything:
            self._arm(now)

    def _publish(self, readings: list[Reading], ts: int, now: float) -> None:
        if not readings:
            return
        readings.sort(key=lambda reading: reading[0])
        index = [reading[0] for reading in readings]
        values = [reading[1] for reading in readings]
        codes = [reading[2] for reading in readings]
        for i, code in zip(index, codes, strict=True):
            self._told[i] = now
            self._ctx.explain(self._device.tags[i], _WHY if code == _CONFIG else "")
        whole = len(index) == len(self._block.tags)
        quality = codes if any(codes) else None
        self._ctx.publish(self._block, values, ts=ts, index=None if whole else index, quality=quality)
