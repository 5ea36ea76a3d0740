"""What the engine knows of tags, as columns by slot: only slots that some rule names are ever filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.model import Quality, Value
from rules.values import GOOD_BELOW

NEVER = -(10**15)
"""`at` of a reading that never came."""


class Columns:
    """Values with quality and times. `arrived` and `before_at`: ms on the boot clock of the last reading and of the
    one before; `good_at`: of the last good one, or of the start; `previous`: the value before the last reading; `ts`:
    UTC ms when the value was true; `changed`: slots whose value or quality differs from before, in the event that is
    being worked on.
    """

    def __init__(self, size: int, devices: Mapping[int, str], at: int) -> None:
        self.values: list[Value] = [None] * size
        self.quality: list[int] = [int(Quality.BAD_COMM)] * size
        self.arrived: list[int] = [NEVER] * size
        self.before_at: list[int] = [NEVER] * size
        self.good_at: list[int] = [at] * size
        self.previous: list[Value] = [None] * size
        self.ts: list[int] = [0] * size
        self.changed: set[int] = set()
        self.polled_at: dict[str, int] = {}
        self._devices = devices

    def put(self, slot: int, value: Value, quality: int, ts: int, at: int) -> bool:
        """Take a reading; whether value or quality is another one."""
        old = self.values[slot]
        differs = quality != self.quality[slot] or old != value or type(old) is not type(value)
        self.previous[slot] = old
        self.before_at[slot] = self.arrived[slot]
        self.arrived[slot] = at
        self.ts[slot] = ts
        if quality < GOOD_BELOW or self.quality[slot] < GOOD_BELOW:  # it was good until now
            self.good_at[slot] = at
        if differs:
            self.values[slot] = value
            self.quality[slot] = quality
            self.changed.add(slot)
        return differs

    def polled(self, slot: int) -> int:
        """When the value was last known to be good: its arrival, or a later good poll that brought no change."""
        if self.quality[slot] >= GOOD_BELOW:
            return self.good_at[slot]
        return max(self.good_at[slot], self.polled_at.get(self._devices.get(slot, ""), NEVER))

    def adopt(self, old: Columns, slots: Mapping[int, int]) -> None:
        """Take over what is known of slots: new -> old."""
        for new, before in slots.items():
            for column in ("values", "quality", "arrived", "before_at", "good_at", "previous", "ts"):
                getattr(self, column)[new] = getattr(old, column)[before]
        self.polled_at.update(old.polled_at)

    def row(self, slot: int) -> list[Any]:
        """A slot as it is kept over a restart."""
        return [
            self.values[slot],
            self.quality[slot],
            self.arrived[slot],
            self.before_at[slot],
            self.previous[slot],
            self.ts[slot],
        ]

    def restore(self, slot: int, row: list[Any], shift: int) -> None:
        """The reverse of `row`; `shift` is added to boot-clock times. Raises ValueError or TypeError."""
        value, quality, arrived, before, previous, ts = row
        if not all(isinstance(number, int) for number in (quality, arrived, before, ts)):
            raise TypeError("not a row of columns")
        self.values[slot], self.previous[slot] = value, previous
        self.quality[slot], self.ts[slot] = quality, ts
        self.arrived[slot] = arrived if arrived == NEVER else arrived + shift
        self.before_at[slot] = before if before == NEVER else before + shift

    def black_out(self) -> None:
        """Nobody watched for a while: what is known is from before, and good again only when it is read."""
        for slot, quality in enumerate(self.quality):
            if quality < GOOD_BELOW:
                self.quality[slot] = int(Quality.LAST_KNOWN)
