"""What becomes of a driver's columns before anybody sees them: totals of counters, values that are not as expected."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from gateway.counters import Counters
from gateway.driver import Columns
from gateway.model import Block, Quality, Tag, Value
from gateway.plans import Line
from gateway.remarks import Remarks

_GOOD = int(Quality.GOOD)
_CONFIG = int(Quality.BAD_CONFIG)


class Refiner:
    """Of one channel. Called only for blocks that have something to refine (`Block.refined`). `remarks`: why its tags
    are bad, in words.
    """

    def __init__(self, counters: Counters, lines: Mapping[str, Line]) -> None:
        self._counters = counters
        self._lines = lines
        self.remarks = Remarks()

    def apply(self, block: Block, columns: Columns) -> Columns:
        """The columns as they are published."""
        if block.counters:
            columns = self._counters.apply(block, columns)
        return self.check(block, columns) if block.expects else columns

    def check(self, block: Block, columns: Columns) -> Columns:
        """Values that are not what is expected are taken out, and their device is degraded until they are again."""
        values: list[Value] | None = None
        codes = list(columns.quality) if columns.quality is not None else [_GOOD] * len(columns.values)
        places = range(len(columns.values)) if columns.index is None else columns.index
        for at, (place, value) in enumerate(zip(places, columns.values, strict=True)):
            wanted = block.expects.get(place)
            if wanted is None or value is None or codes[at] != _GOOD:
                continue
            tag = block.tags[place]
            if _is(value, wanted):
                self._tell(tag, "")
                continue
            self._tell(tag, f"{tag.path} reads {value!r}, {wanted!r} is expected")
            values = list(columns.values) if values is None else values
            values[at], codes[at] = None, _CONFIG
        return columns if values is None else Columns(values, codes, columns.index, columns.ts)

    def _tell(self, tag: Tag, why: str) -> None:
        line = self._lines.get(tag.device)
        if line is not None and line.monitor.expected(tag.path, why):
            self.remarks.put(tag, why)


def _is(value: Any, wanted: Any) -> bool:
    """Whether a value is the expected one. A Float32 is the nearest there is to what was written down."""
    if isinstance(value, float) and isinstance(wanted, float) and value != wanted:
        try:
            return bool(value == struct.unpack("<f", struct.pack("<f", wanted))[0])
        except OverflowError:
            return False
    return bool(value == wanted)
