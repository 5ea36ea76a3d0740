"""A tag's place on the wire, with the options of tag, device and channel resolved."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from drivers.modbus.address import LAST_OFFSET, Address, Range, parse_address, parse_range
from drivers.modbus.settings import ChannelSettings, DeviceSettings, TagSettings, WriteWith
from drivers.modbus.words import HALVES, PACKED, REGISTERS, TEXTS, UNSIGNED, text_order, wire_order
from gateway.model import DeviceSpec, TagSpec

_BITS = re.compile(r"\s*(?:coil|discrete)/[^-]*-", re.IGNORECASE)
"""A row of bits that are one number: `coil/0-15`."""
LONGEST_TEXT = 250
"""Bytes of 125 registers, the most that one request brings."""


class PointError(ValueError):
    """A tag cannot be placed. `field` is the setting to blame, `hint` the corrected form."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


class Point(Struct, frozen=True):
    """`count`: registers, or bits of a bit table. `order`: letters written out for the whole value.

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

    @property
    def is_packed(self) -> bool:
        """A number over coils or discrete inputs."""
        return bool(self.order) and self.address.table.is_bits

    @property
    def registers(self) -> int:
        """That the value fills, or would fill."""
        return (self.count + 15) // 16 if self.address.table.is_bits else self.count


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
    base = _first(tag.address_base, unit.address_base, channel.address_base)
    written_order = _first(tag.word_order, unit.word_order, channel.word_order)
    write_with = _first(tag.write_with, unit.write_with, channel.write_with)
    if _BITS.match(str(tag.address)):
        address, count, order = _packed(spec, parse_range(str(tag.address), base), written_order)
        return Point(address, count, order, write_with)
    address = parse_address(tag.address, base, _first(tag.bit_base, unit.bit_base, channel.bit_base))
    count = _registers(spec)
    order = "" if address.table.is_bits else written_order
    if order:
        order = text_order(order) if spec.type in TEXTS else wire_order(order, count)
    if address.offset + count > LAST_OFFSET + 1:
        raise PointError("address", f"{address} with {count} registers ends beyond the table")
    return Point(address, count, order, write_with, tag.length or 0)


def _packed(spec: TagSpec, bits: Range, order: str) -> tuple[Address, int, str]:
    """Address, number of bits and order of a number over the bits of a range: the first is the lowest of its byte, and
    the lowest of all where there are fewer bits than the type has.
    """
    count = bits.last - bits.first + 1
    wanted = 8 if spec.type in HALVES else 16 * REGISTERS.get(spec.type, 0)
    example = f"{bits.table}/{bits.first}-{bits.first + max(wanted, 8) - 1}"
    if spec.type not in PACKED:
        hint = f"type: uint16 with address {bits.table}/{bits.first}-{bits.first + 15}"
        raise PointError("type", f"{bits} is a row of bits and cannot hold a {spec.type.value}", hint)
    if count < wanted and spec.type in UNSIGNED:
        order = "DCBA"
    elif count != wanted:
        raise PointError("address", f"{bits} is {count} bits, a {spec.type.value} has {wanted}", example)
    return Address(bits.table, bits.first), count, "A" if wanted == 8 else wire_order(order, wanted // 16)


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
