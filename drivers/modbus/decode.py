"""From the bytes of one answer to columns, planned once per request.

Registers: when all values lie in order, high byte first and without overlap, one struct format with pad bytes reads
them. Any other mix (word orders, overlaps, bits, several tags on a register) first gathers bytes by one precompiled
permutation. Bits of coil tables come from a table of 256 tuples.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from drivers.modbus.coding import CODES, Fix, code_of, fix_of
from drivers.modbus.point import Point
from drivers.modbus.words import HALVES, TEXTS, text_positions, value_positions
from gateway.driver import Columns
from gateway.model import Tag, ValueType
from gateway.transform import column

Unpack = Callable[[bytes], Sequence[Any]]
"""Payload of an answer (without the byte count) to raw values, aligned with the request's tags."""

_BITS = [tuple(byte >> n & 1 == 1 for n in range(8)) for byte in range(256)]


def register_unpacker(points: Sequence[Point], types: Sequence[ValueType], start: int) -> Unpack:
    """Reads values out of the registers from `start` on. Bits and bool registers give booleans."""
    fixes = [(i, fix) for i, kind in enumerate(types) if (fix := _fix(points[i], kind)) is not None]
    bools = any(kind is ValueType.BOOL for kind in types)
    unpack = _padded(points, types, start) if not bools and _is_straight(points) else _gathered(points, types, start)
    if not fixes:
        return unpack

    def fixed(payload: bytes) -> Sequence[Any]:
        values = list(unpack(payload))
        for i, fix in fixes:
            values[i] = fix(values[i])
        return values

    return fixed


def _fix(point: Point, kind: ValueType) -> Fix | None:
    if kind is ValueType.BOOL:
        mask = _mask(point.address.bit)
        return lambda value: value & mask != 0
    return fix_of(kind, point.length)


def _mask(bit: int | None) -> int:
    """What of a register makes a boolean true: one bit, or any."""
    return 0xFFFF if bit is None else 1 << bit


def _is_straight(points: Sequence[Point]) -> bool:
    """In order, most significant byte first, none on the registers of another."""
    ends = [point.end for point in points]
    starts = [point.address.offset for point in points[1:]]
    return all(end <= start for end, start in zip(ends, starts, strict=False)) and all(
        point.order == "".join(sorted(point.order)) for point in points
    )


def _padded(points: Sequence[Point], types: Sequence[ValueType], start: int) -> Unpack:
    code, at = ">", start
    for point, kind in zip(points, types, strict=True):
        gap = point.address.offset - at
        code += (f"{2 * gap}x" if gap else "") + _filled(point, kind)
        at = point.end
    return struct.Struct(code).unpack_from


def _filled(point: Point, kind: ValueType) -> str:
    """The letters of a value with the byte of its register that is not its own."""
    code = code_of(kind, point.count)
    if kind not in HALVES:
        return code
    return f"{code}x" if half_place(point) == 0 else f"x{code}"


def _gathered(points: Sequence[Point], types: Sequence[ValueType], start: int) -> Unpack:
    places: list[int] = []
    for point, kind in zip(points, types, strict=True):
        first = 2 * (point.address.offset - start)
        places.extend(first + place for place in byte_places(point, kind))
    code = ">" + "".join(code_of(kind, point.count) for point, kind in zip(points, types, strict=True))
    if len(places) == 1:  # itemgetter gives a tuple for two places and more
        places, code = places * 2, code + "x"
    gather, unpack = itemgetter(*places), struct.Struct(code).unpack

    def gathered(payload: bytes) -> Sequence[Any]:
        return unpack(bytes(gather(payload)))

    return gathered


def byte_places(point: Point, kind: ValueType) -> tuple[int, ...]:
    """Where in the wire's bytes each byte of the value lies, most significant or first one first."""
    if kind in HALVES:
        return (half_place(point),)
    return text_positions(point.order, point.count) if kind in TEXTS else value_positions(point.order)


def half_place(point: Point) -> int:
    """Which byte of its register on the wire a value of one byte is: the low one unless its address says `high`."""
    letter = "A" if point.address.half == "high" else "B"
    return point.order.index(letter)


def bit_unpacker(points: Sequence[Point], start: int) -> Unpack:
    """Reads coils or discrete inputs from `start` on: least significant bit first."""
    places = [point.address.offset - start for point in points]
    whole = places == list(range(len(places)))

    def unpack(payload: bytes) -> Sequence[Any]:
        bits = [bit for byte in payload for bit in _BITS[byte]]
        return bits[: len(places)] if whole else [bits[place] for place in places]

    return unpack


def packed_unpacker(points: Sequence[Point], types: Sequence[ValueType], start: int) -> Unpack:
    """The same where some of them are numbers over a row of bits: each eight bits are a byte, as on the wire."""
    makers = [
        _number(point, kind, point.address.offset - start) if point.is_packed else _bit(point.address.offset - start)
        for point, kind in zip(points, types, strict=True)
    ]

    def unpack(payload: bytes) -> Sequence[Any]:
        whole = int.from_bytes(payload, "little")
        return [make(whole) for make in makers]

    return unpack


def _bit(place: int) -> Callable[[int], bool]:
    return lambda whole: whole >> place & 1 == 1


def _number(point: Point, kind: ValueType, place: int) -> Callable[[int], Any]:
    size, mask = len(point.order), (1 << point.count) - 1
    order = value_positions(point.order)
    unpack = struct.Struct(">" + CODES[kind]).unpack

    def number(whole: int) -> Any:
        wire = (whole >> place & mask).to_bytes(size, "little")
        return unpack(bytes(wire[at] for at in order))[0]

    return number


def decoder(tags: Sequence[Tag], points: Sequence[Point], start: int) -> Callable[[bytes], Columns]:
    """Payload to columns: unpacking and the tags' transforms."""
    if points[0].address.table.is_bits:
        packed = any(point.is_packed for point in points)
        types = [tag.spec.type for tag in tags]
        unpack = packed_unpacker(points, types, start) if packed else bit_unpacker(points, start)
    else:
        unpack = register_unpacker(points, [tag.spec.type for tag in tags], start)
    convert = column([tag.spec for tag in tags])
    if convert is None:
        return lambda payload: Columns(unpack(payload))
    return lambda payload: Columns(*convert(unpack(payload)))
