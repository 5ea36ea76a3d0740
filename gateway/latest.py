"""Latest values of all tags: what the gateway believes now, column by slot.

Fed by the bus, so it shows what passed report by exception. A good poll that changed nothing only renews the
device's `polled` time: the age of a value is the time since it was last confirmed, and an old value never gets a new
time stamp. Values restored after a restart keep their own time and are uncertain/last-known until read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from gateway.clock import Clock
from gateway.model import Access, Batch, Quality, Tag, Value

_NEVER = -1.0


class Current(Struct, frozen=True):
    """One tag's latest value. `ts` in UTC ms; `age_ms` None when it was not read since the start.

    While there is no value (the device is away), `last` is the last one there was, (value, UTC ms), for people only.
    """

    tag: Tag
    value: Value
    quality: Quality
    ts: int | None
    age_ms: int | None
    last: tuple[Value, int] | None = None


class LatestValues:
    """Columns by slot: value, quality, time, arrival."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: list[Value] = []
        self._quality: list[int] = []
        self._ts: list[int] = []
        self._mono: list[float] = []
        self._polled: dict[str, float] = {}
        self._confirmed: dict[str, dict[int, float]] = {}
        """Device -> slot -> when: devices whose tags are confirmed one by one (a sensor tells some at a time)."""
        self._kept: dict[str, dict[int, tuple[Value, int, int]]] = {}
        """Device -> slot -> (value, ts, quality) from before its value turned to null."""

    def grow(self, size: int) -> None:
        """Make room for `size` slots; new ones are bad/comm with no value: never heard."""
        more = size - len(self._values)
        if more > 0:
            self._values.extend([None] * more)
            self._quality.extend([Quality.BAD_COMM] * more)
            self._ts.extend([0] * more)
            self._mono.extend([_NEVER] * more)

    def on_batch(self, batch: Batch) -> None:
        """Bus subscriber. Whole blocks with consecutive slots are copied as slices."""
        n = len(batch.values)
        if batch.quality is not None or batch.block.device in self._kept:
            self._keep(batch)
        if batch.index is None and batch.block.start >= 0:
            start = batch.block.start
            stop = start + n
            self._values[start:stop] = batch.values
            self._quality[start:stop] = batch.quality if batch.quality is not None else [0] * n
            self._ts[start:stop] = [batch.ts] * n
            self._mono[start:stop] = [batch.mono] * n
        else:
            self._scatter(batch)
        self._polled[batch.block.device] = batch.mono

    def _keep(self, batch: Batch) -> None:
        """Remember values that turn to null, forget those that are back."""
        kept = self._kept.setdefault(batch.block.device, {})
        for slot, value in zip(batch.slots, batch.values, strict=True):
            if value is not None:
                kept.pop(slot, None)
            elif self._values[slot] is not None:
                kept[slot] = (self._values[slot], self._ts[slot], self._quality[slot])
        if not kept:
            del self._kept[batch.block.device]

    def _scatter(self, batch: Batch) -> None:
        values, quality, ts, mono = self._values, self._quality, self._ts, self._mono
        for slot, value in zip(batch.slots, batch.values, strict=True):
            values[slot] = value
            quality[slot] = 0
            ts[slot] = batch.ts
            mono[slot] = batch.mono
        if batch.quality is not None:
            for slot, code in zip(batch.slots, batch.quality, strict=True):
                quality[slot] = code

    def differing(self, batch: Batch) -> list[int]:
        """Slots whose value or quality the batch would change."""
        quality = batch.quality or [0] * len(batch.values)
        return [
            slot
            for slot, value, code in zip(batch.slots, batch.values, quality, strict=True)
            if self._values[slot] != value or self._quality[slot] != code or self._mono[slot] == _NEVER
        ]

    def polled(self, device: str, mono: float, tags: Iterable[Tag] | None = None) -> None:
        """A good poll came that report by exception held back. `tags`: it speaks of these alone; from now on nothing
        that the device tells of one tag renews the age of another.
        """
        self._polled[device] = mono
        if tags is not None:
            self._confirmed.setdefault(device, {}).update((tag.slot, mono) for tag in tags)

    def polled_at(self, device: str) -> int | None:
        """UTC ms of the device's last good poll; None before the first."""
        at = self._polled.get(device)
        return None if at is None else self._clock.wall_ms() - round((self._clock.mono() - at) * 1000)

    def restore(self, tags: Iterable[Tag], rows: Mapping[tuple[str, str], tuple[Value, int, int]]) -> int:
        """Take checkpointed (value, ts, quality) rows as uncertain/last-known. Returns how many were used."""
        used = 0
        for tag in tags:
            row = rows.get((tag.device, tag.path))
            if row is None or row[0] is None or self._mono[tag.slot] != _NEVER:
                continue
            self._values[tag.slot], self._ts[tag.slot] = row[0], row[1]
            self._quality[tag.slot] = Quality.LAST_KNOWN
            used += 1
        return used

    def forget(self, tags: Iterable[Tag]) -> None:
        """What was known under these names was another thing: as if it had never been heard."""
        for tag in tags:
            slot = tag.slot
            self._values[slot], self._quality[slot] = None, int(Quality.BAD_COMM)
            self._ts[slot], self._mono[slot] = 0, _NEVER
            self._kept.get(tag.device, {}).pop(slot, None)
            self._confirmed.pop(tag.device, None)

    def checkpoint(self, tags: Iterable[Tag]) -> dict[tuple[str, str], tuple[Value, int, int]]:
        """Rows to keep over a restart: the last real value of each tag with its own time."""
        rows: dict[tuple[str, str], tuple[Value, int, int]] = {}
        for tag in tags:
            slot = tag.slot
            if self._values[slot] is not None:
                rows[tag.device, tag.path] = (self._values[slot], self._ts[slot], int(self._quality[slot]))
            elif (kept := self._kept.get(tag.device, {}).get(slot)) is not None:
                rows[tag.device, tag.path] = kept
        return rows

    def heard(self, tag: Tag) -> float:
        """When the value arrived, in seconds of the boot clock; negative for one that never did since the start."""
        return self._mono[tag.slot]

    def value(self, tag: Tag) -> Value:
        return self._values[tag.slot]

    def _confirmed_at(self, tag: Tag, heard: float) -> float:
        single = self._confirmed.get(tag.device)
        return self._polled.get(tag.device, heard) if single is None else single.get(tag.slot, heard)

    def current(self, tag: Tag) -> Current:
        quality = Quality(self._quality[tag.slot])
        heard = self._mono[tag.slot]
        age: int | None = None
        if heard == _NEVER and tag.spec.access is Access.WRITE:
            quality = Quality.UNCERTAIN  # nobody ever asks for it: that nothing was heard is no fault
        if heard != _NEVER:
            if quality < Quality.UNCERTAIN and not _is_total(tag):  # polls say nothing of it
                heard = max(heard, self._confirmed_at(tag, heard))
            age = max(0, round((self._clock.mono() - heard) * 1000))
        ts = self._ts[tag.slot] or None
        kept = self._kept.get(tag.device, {}).get(tag.slot)
        return Current(tag, self._values[tag.slot], quality, ts, age, kept and kept[:2])


def _is_total(tag: Tag) -> bool:
    """Whether its value is what has added up until it was told last."""
    return tag.spec.virtual is not None and tag.spec.virtual.kind != "value"
