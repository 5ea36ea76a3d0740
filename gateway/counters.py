"""Counters that wrap or are reset, as totals that never fall.

The device's count is taken modulo `wrap`. A fall by more than half of that is a wrap, a smaller one a reset: the
device began again at 0, and what it has counted since is added. More than one wrap between two readings cannot be
seen. Totals go on over restarts: offset and last count are kept in the channel's memory, at each wrap and reset at
once, else once a minute; the rule above is what bridges that minute and the time the gateway was away.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from gateway.clock import Clock
from gateway.driver import Columns, Memory
from gateway.model import Block, Quality, Tag, Value
from gateway.transform import RAW, scalar

_KEY = "counter:"
_KEEP_S = 60.0
_GOOD = int(Quality.GOOD)


class Counter:
    """One counter. `offset` is what earlier rounds have brought, `last` the count seen last."""

    def __init__(self, tag: Tag, row: Any) -> None:
        spec = tag.spec
        assert spec.wrap is not None
        self.key = f"{_KEY}{tag.device}.{tag.path}"
        self._wrap = spec.wrap
        self._factor = Fraction(repr(float(spec.transform.scale))) if spec.transform.scale else Fraction(1)
        self._addend = Fraction(repr(float(spec.transform.offset))) if spec.transform.offset else Fraction(0)
        # a total is no raw value any more: nothing of it is masked, and it cannot mean "no value"
        unmasked = replace(spec.transform, mask=None, shift=0, invalid=())
        self._total = scalar(RAW[spec.type], unmasked)
        known = isinstance(row, dict) and row.get("wrap") == self._wrap
        self.offset = int(row["offset"]) if known else 0
        self.last: int | None = int(row["last"]) if known else None
        self.kept_at = 0.0

    def row(self) -> dict[str, int]:
        """What is kept."""
        return {"offset": self.offset, "last": self.last or 0, "wrap": self._wrap}

    def add(self, value: float) -> tuple[Value, bool]:
        """The total for an engineering value just read, and whether a wrap or reset was seen."""
        count = round((Fraction(repr(value)) - self._addend) / self._factor)
        turned = False
        if self.last is not None and count < self.last:
            turned = True
            self.offset += self._wrap if self.last - count > self._wrap // 2 else self.last
        self.last = count
        return self._total(self.offset + count)[0], turned


class Counters:
    """The counters of one channel."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._known: dict[str, Counter] = {}

    def apply(self, block: Block, columns: Columns) -> Columns:
        """`columns` of `block` with totals in place of counts. Bad values pass and change nothing."""
        values = list(columns.values)
        index: Sequence[int] = range(len(values)) if columns.index is None else columns.index
        now = self._clock.mono()
        for place, position in enumerate(index):
            if position not in block.counters:
                continue
            value = values[place]
            good = columns.quality is None or columns.quality[place] == _GOOD
            if good and isinstance(value, int | float):
                values[place] = self._add(block.tags[position], value, now)
        return Columns(values, columns.quality, columns.index, columns.ts)

    def _add(self, tag: Tag, value: float, now: float) -> Value:
        counter = self._known.get(tag.name)
        if counter is None:
            counter = self._known[tag.name] = Counter(tag, self._memory.get(f"{_KEY}{tag.name}"))
        first = counter.last is None
        total, turned = counter.add(value)
        if turned or first or now - counter.kept_at >= _KEEP_S:
            counter.kept_at = now
            self._memory.put(counter.key, counter.row())
        return total
