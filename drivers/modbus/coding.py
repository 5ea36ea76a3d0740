"""Raw values and their bytes, most significant first: what struct knows, and what only Modbus devices use.

- 8 bits: one of the two bytes of a register.
- 24 bits: the three low bytes of two registers. 48 bits: three registers.
- BCD: four decimal digits a register. mod-10k: each register holds 0 to 9999, the first the most significant.
  A digit or register beyond that is no number (NaN), which becomes bad/sensor.
- Texts: UTF-8, else Latin-1; they begin behind NULs at the front and end at the next one, trailing spaces are filling.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from drivers.modbus.words import TEXTS
from gateway.errors import WriteRejected
from gateway.model import Value, ValueType

CODES = {
    ValueType.BOOL: "H",
    ValueType.INT8: "b",
    ValueType.UINT8: "B",
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.FLOAT32: "f",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT64: "d",
    ValueType.BCD16: "H",
    ValueType.BCD32: "I",
    ValueType.INT24: "I",
    ValueType.UINT24: "I",
    ValueType.INT48: "6s",
    ValueType.UINT48: "6s",
    ValueType.MOD10K32: "4s",
    ValueType.MOD10K64: "8s",
}
"""struct's letters of each type of fixed size; FIXES makes the rest of those that struct does not know."""

Fix = Callable[[Any], Any]
_TEN_THOUSAND = 10_000
_WIDE = {ValueType.INT48: 6, ValueType.UINT48: 6, ValueType.MOD10K32: 4, ValueType.MOD10K64: 8}


def code_of(kind: ValueType, registers: int) -> str:
    """The letters of a value for struct."""
    return f"{2 * registers}s" if kind in TEXTS else CODES[kind]


def fix_of(kind: ValueType, length: int) -> Fix | None:
    """What is to be done with what struct gives; None for nothing. `length`: bytes of a text."""
    if kind is ValueType.STRING:
        return lambda data: text_of(data[:length])
    if kind is ValueType.BYTES:
        return lambda data: bytes(data[:length])
    return _FIXES.get(kind)


def text_of(data: bytes) -> str:
    """The text in a device's bytes."""
    data = data.lstrip(b"\0").partition(b"\0")[0].rstrip(b" ")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _int24(value: int) -> int:
    return ((value & 0xFFFFFF) ^ 0x800000) - 0x800000


def _bcd(value: int) -> float:
    """The number whose decimal digits are the hexadecimal ones."""
    digits = f"{value:x}"
    return int(digits) if digits.isdecimal() else math.nan


def _mod10k(data: bytes) -> float:
    total = 0
    for word in struct.unpack(f">{len(data) // 2}H", data):
        if word >= _TEN_THOUSAND:
            return math.nan
        total = total * _TEN_THOUSAND + word
    return total


_FIXES: dict[ValueType, Fix] = {
    ValueType.INT24: _int24,
    ValueType.UINT24: lambda value: value & 0xFFFFFF,
    ValueType.INT48: lambda data: int.from_bytes(data, "big", signed=True),
    ValueType.UINT48: lambda data: int.from_bytes(data, "big"),
    ValueType.BCD16: _bcd,
    ValueType.BCD32: _bcd,
    ValueType.MOD10K32: _mod10k,
    ValueType.MOD10K64: _mod10k,
}


def encode(kind: ValueType, raw: Any, registers: int) -> bytes:
    """The bytes of a raw value, most significant first. The caller has checked that it fits."""
    if kind in TEXTS:
        return bytes(raw).ljust(2 * registers, b"\0")
    if kind in {ValueType.BCD16, ValueType.BCD32}:
        return int(f"{raw}", 16).to_bytes(2 * registers, "big")
    if kind in {ValueType.MOD10K32, ValueType.MOD10K64}:
        words = [raw // _TEN_THOUSAND**place % _TEN_THOUSAND for place in range(registers)]
        return struct.pack(f">{registers}H", *words[::-1])
    if kind in {ValueType.INT24, ValueType.UINT24, ValueType.INT48, ValueType.UINT48}:
        return int(raw).to_bytes(2 * registers, "big", signed=raw < 0)
    return struct.pack(">" + CODES[kind], raw)


def text_bytes(path: str, kind: ValueType, value: Value, length: int) -> bytes:
    """A text as it is written: strings filled with NUL, bytes as they are. Raises WriteRejected if it does not fit."""
    try:
        data = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError as error:
        raise WriteRejected(f"{path}: {error.reason}", code=400) from None
    if not isinstance(data, bytes):
        raise WriteRejected(f"{path}: {value!r} is no text", code=400)
    if len(data) > length:
        raise WriteRejected(f"{path}: {len(data)} bytes do not fit into {length}", code=422)
    if kind is ValueType.BYTES and len(data) < length:
        raise WriteRejected(f"{path}: {len(data)} bytes do not fill {length}", code=422)
    return data.ljust(length, b"\0")
