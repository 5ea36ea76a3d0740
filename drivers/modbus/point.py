"""A tag's place on the wire, with the options of tag, device and channel resolved."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from drivers.modbus.address import LAST_OFFSET, Address, Range, parse_address, parse_range
from drivers.modbus.settings import ChannelSettings, DeviceSettings, TagSettings, WriteWith
from drivers.modbus.words import REGISTERS, TEXTS, text_order, wire_order
from gateway.model import DeviceSpec, TagSpec

LONGEST_TEXT = 250
"""Bytes of 125 registers, the most that one request brings."""


class PointError(ValueError):
    """A tag cannot be placed. `field` is the setting to blame, `hint` the corrected form."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


class Point(Struct, frozen=True):
    """`count`: registers, or 1 for a coil. `order`: letters written out for the whole value.

    `length`: bytes of a text. `unit`: points with the same name here are brought by one request.
    """

    address: Address
    count: int
    order: str
    write_with: WriteWith
    length: int = 0
    unit: str = ""

    @property
    def end(self) -> int:
        return self.address.offset + self.count


class Limits(Struct, frozen=True):
    """What a request to one device may look like."""

    registers: int
    bits: int
    gap: int
    forbidden: tuple[Range, ...]


def limits_of(channel: ChannelSettings, device: DeviceSettings) -> Limits:
    """Caps, gap and forbidden ranges that hold for a device, each range in the numbers of its own level.

    Raises AddressError for a bad range.
    """
    base = _first(device.address_base, channel.address_base)
    whole = (parse_range(text, channel.address_base) for text in channel.forbidden)
    return Limits(
        registers=_first(device.max_registers, channel.max_registers),
        bits=_first(device.max_bits, channel.max_bits),
        gap=_first(device.max_gap, channel.max_gap),
        forbidden=(*whole, *(parse_range(text, base) for text in device.forbidden)),
    )


def point_of(channel: ChannelSettings, device: DeviceSpec, spec: TagSpec) -> Point:
    """Place a tag. Raises AddressError, OrderError or PointError."""
    unit: DeviceSettings = device.settings
    tag: TagSettings = spec.source
    address = parse_address(
        tag.address,
        _first(tag.address_base, unit.address_base, channel.address_base),
        _first(tag.bit_base, unit.bit_base, channel.bit_base),
    )
    count = _registers(spec)
    order = "" if address.table.is_bits else _first(tag.word_order, unit.word_order, channel.word_order)
    if order:
        order = text_order(order) if spec.type in TEXTS else wire_order(order, count)
    if address.offset + count > LAST_OFFSET + 1:
        raise PointError("address", f"{address} with {count} registers ends beyond the table")
    write_with = _first(tag.write_with, unit.write_with, channel.write_with)
    return Point(address, count, order, write_with, tag.length or 0)


def _registers(spec: TagSpec) -> int:
    length = spec.source.length
    if spec.type in TEXTS:
        if length is None:
            raise PointError("length", f"a {spec.type.value} needs its `length` in bytes", "length: 16")
        if not 1 <= length <= LONGEST_TEXT:
            raise PointError("length", f"length {length} is outside 1 to {LONGEST_TEXT} bytes", "length: 16")
        return int(length + 1) // 2
    if length is not None:
        raise PointError("length", f"length does not apply to type {spec.type.value}", "remove `length`")
    return REGISTERS[spec.type]


def _first(*choices: Any) -> Any:
    return next(choice for choice in choices if choice is not None)
