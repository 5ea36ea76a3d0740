"""The four tables of a simulated unit, filled from the tags of a device.

Values move by themselves: measurements swing around a plausible middle, counters grow, states go through their
labels. What lies further than a bridged gap from every tag does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from drivers.modbus.address import Table
from drivers.modbus.coding import text_bytes
from drivers.modbus.point import Point, point_of
from drivers.modbus.settings import ChannelSettings
from drivers.modbus.words import HALVES, TEXTS
from drivers.modbus.writing import half_mask, wire_bit, wire_bytes
from gateway.errors import WriteRejected
from gateway.model import Access, ChannelSpec, DeviceSpec, TagSpec, Value, ValueType
from gateway.transform import RAW, to_raw, with_exponent

_MIDDLES = {
    "V": 230.0, "A": 4.2, "Hz": 50.0, "W": 980.0, "kW": 3.4, "var": 120.0, "VA": 1000.0, "°C": 21.5, "bar": 2.4,
    "%": 42.0, "rpm": 1450.0, "l/min": 18.0, "m³/h": 1.2, "kWh": 1234.5, "Wh": 1_234_567.0, "mm": 640.0,
}  # fmt: skip
"""Where a measurement swings by its unit, unless its range says it."""
_COUNTING = {"kWh", "Wh", "MWh", "m³", "h", "kvarh"}
_EXPONENT = -1
_SWING, _PERIOD_S = 0.03, 37.0


class Image:
    """A unit's cells. `set` fixes a tag's value; `move` brings all others to a moment in seconds."""

    def __init__(self, channel: ChannelSpec, device: DeviceSpec, *, static: bool = False) -> None:
        settings: ChannelSettings = channel.settings
        self._tags = {spec.path: spec for spec in device.tags}
        self._points = {spec.path: point_of(settings, device, spec) for spec in device.tags}
        self._fixed: set[str] = set()
        self._factors = {spec.scale_from for spec in device.tags if spec.scale_from is not None}
        self._static = static
        self.cells: dict[Table, dict[int, int]] = {table: {} for table in Table}
        self.writable: dict[Table, set[int]] = {table: set() for table in Table}
        for path, point in self._points.items():
            places = range(point.address.offset, point.end)
            for place in places:
                self.cells[point.address.table].setdefault(place, 0)
            if self._tags[path].access is not Access.READ:
                self.writable[point.address.table].update(places)
        self._fill_gaps(settings.max_gap)
        self._start()

    def _fill_gaps(self, most: int) -> None:
        """Most devices have something between what a profile names: gaps that a reader may bridge can be read."""
        for table, cells in self.cells.items():
            places = sorted(cells)
            for low, high in pairwise(places):
                if 1 < high - low <= most * (16 if table.is_bits else 1) + 1:
                    cells.update(dict.fromkeys(range(low + 1, high), 0))

    def _start(self) -> None:
        for path in self._factors:
            self.put(path, _EXPONENT)
        self.move(0.0, first=True)

    def move(self, seconds: float, *, first: bool = False) -> None:
        """Bring every tag that nobody fixed or wrote to where it is at that time."""
        if self._static and not first:
            return
        for number, (path, spec) in enumerate(self._tags.items()):
            if path in self._fixed or path in self._factors or (spec.access is not Access.READ and not first):
                continue
            self.put(path, _signal(spec, seconds, number))

    def set(self, path: str, value: Value) -> None:
        """Give a tag a value that stays. Raises KeyError for an unknown tag, WriteRejected for what does not fit."""
        self.put(path, value, strict=True)
        self._fixed.add(path)

    def put(self, path: str, value: Value, *, strict: bool = False) -> None:
        """Write a tag's value into its cells."""
        spec, point = self._tags[path], self._points[path]
        try:
            raw = self._raw(spec, point, value)
        except WriteRejected:
            if strict:
                raise
            raw = b"" if spec.type in TEXTS else 0
        cells = self.cells[point.address.table]
        place = point.address.offset
        if point.is_packed:
            whole = int.from_bytes(wire_bytes(point, spec.type, raw), "little")
            for i in range(point.count):
                cells[place + i] = whole >> i & 1
        elif point.address.table.is_bits:
            cells[place] = int(bool(raw))
        elif point.address.bit is not None:
            mask = 1 << wire_bit(point)
            cells[place] = cells[place] | mask if raw else cells[place] & ~mask & 0xFFFF
        elif spec.type in HALVES:
            mask = half_mask(point)
            cells[place] = cells[place] & ~mask & 0xFFFF | wire_bytes(point, spec.type, raw)[0] * 0x0101 & mask
        else:
            data = wire_bytes(point, spec.type, raw)
            for i in range(point.count):
                cells[place + i] = int.from_bytes(data[2 * i : 2 * i + 2], "big")

    def _raw(self, spec: TagSpec, point: Point, value: Value) -> Any:
        if spec.type in TEXTS:
            return text_bytes(spec.path, spec.type, value, point.length)
        if spec.scale_from is not None:
            spec = with_exponent(spec, _EXPONENT)
        if not RAW[spec.type].is_float and (spec.transform.mask or spec.transform.shift or spec.transform.base):
            return 0
        if spec.transform.edgex is not None:  # a device does not know how it will be computed
            spec = replace(spec, transform=replace(spec.transform, edgex=None))
        return to_raw(spec, value)

    def tags(self) -> Mapping[str, Point]:
        return self._points


def _signal(spec: TagSpec, seconds: float, number: int) -> Value:
    """A plausible value at a moment; `number` keeps tags apart."""
    if spec.labels:
        keys = [key for key, _ in spec.labels]
        key = keys[int(seconds / 20 + number) % len(keys)]
        return bool(key) if spec.type is ValueType.BOOL else key
    if spec.type is ValueType.BOOL:
        return int(seconds / 15 + number) % 2 == 0
    if spec.type in TEXTS:
        return spec.path.upper() if spec.type is ValueType.STRING else bytes(range(1, spec.source.length + 1))
    if spec.wrap is not None or spec.unit in _COUNTING:
        grown = math.floor(_middle(spec) + number + seconds * 0.1)
        return grown if spec.wrap is None else grown % max(1, spec.wrap)
    wave = 1.0 + _SWING * math.sin(2 * math.pi * seconds / _PERIOD_S + number)
    return _whole(spec, _middle(spec) * wave + number * 0.1)


def _middle(spec: TagSpec) -> float:
    if spec.range is not None:
        return (spec.range[0] + spec.range[1]) / 2
    return _MIDDLES.get(spec.unit, 100.0)


def _whole(spec: TagSpec, value: float) -> Value:
    if spec.range is not None:
        value = min(max(value, spec.range[0]), spec.range[1])
    plain = spec.transform.scale is None and spec.transform.offset is None and spec.scale_from is None
    return round(value) if plain and not RAW[spec.type].is_float else round(value, 3)
