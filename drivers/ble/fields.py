"""Fields of a payload: bytes to a raw value and back. Never raises for what a device sends.

Bluetooth counts in little-endian order unless a maker says otherwise: `int16` is `int16le`.
"""

from __future__ import annotations

import math
import struct
import uuid
from typing import Literal

from msgspec import Struct

from gateway.model import ValueType

NUMBERS = {
    f"{sign}{bits}": (bits // 8, sign == "int") for sign in ("int", "uint") for bits in (8, 16, 24, 32, 40, 48, 56, 64)
}
FLOATS = {"float32": "f", "float64": "d"}
MEDICAL = {"sfloat16": 2, "mfloat32": 4}
"""IEEE 11073-20601 floats of the health profiles: a decimal exponent and a mantissa."""
TEXTS = frozenset({"string", "bytes", "uuid", "url"})
URL_SCHEMES = ("http://www.", "https://www.", "http://", "https://")
_ENDINGS = (".com", ".org", ".edu", ".net", ".info", ".biz", ".gov")
URL_ENDINGS = (*(f"{ending}/" for ending in _ENDINGS), *_ENDINGS)
"""Eddystone-URL, protocol specification, tables "URL Scheme Prefix" and "HTTP URL encoding"."""

Raw = bool | int | float | str | bytes


class FieldError(ValueError):
    """A type that does not exist. `hint` shows those that do."""

    hint = (
        "int8 to int64, uint8 to uint64 (with le or be), float32, float64, sfloat16, mfloat32, bool, "
        "string, bytes, uuid, url"
    )


class Field(Struct, frozen=True):
    """`size` bytes from `offset`; size 0: all that is left. `low` and `high`: bits of the number, 0 the least."""

    offset: int
    kind: str
    size: int
    big: bool = False
    low: int | None = None
    high: int | None = None

    def read(self, data: bytes) -> Raw | None:
        """The raw value, or None when the data is too short or holds no value."""
        part = data[self.offset : self.offset + self.size] if self.size else data[self.offset :]
        if not part or len(part) < self.size:
            return None
        if self.kind in TEXTS:
            return _text(self.kind, part, self.big)
        if self.kind in FLOATS:
            return float(struct.unpack((">" if self.big else "<") + FLOATS[self.kind], part)[0])
        number = int.from_bytes(part, self._order, signed=self._signed)
        if self.kind in MEDICAL:
            return _medical(number, self.size)
        if self.low is not None and self.high is not None:
            number = (number >> self.low) & ((1 << (self.high - self.low + 1)) - 1)
        return bool(number) if self.kind == "bool" else number

    def write(self, value: Raw, data: bytes) -> bytes:
        """`data` with the value in it. Raises ValueError for what cannot be written."""
        if self.kind in TEXTS or self.kind in MEDICAL:
            part = self._text_bytes(value)
        elif self.kind in FLOATS:
            part = struct.pack((">" if self.big else "<") + FLOATS[self.kind], value)
        else:
            part = self._number_bytes(int(value), data)
        end = self.offset + (self.size or len(part))
        if self.offset > len(data):
            raise ValueError(f"the value has {len(data)} bytes and cannot be written at {self.offset}")
        return data[: self.offset] + part + (data[end:] if self.size else b"")

    @property
    def _order(self) -> Literal["big", "little"]:
        return "big" if self.big else "little"

    @property
    def _signed(self) -> bool:
        return self.low is None and self.kind in NUMBERS and NUMBERS[self.kind][1]

    def _number_bytes(self, number: int, data: bytes) -> bytes:
        if self.low is not None and self.high is not None:
            mask = ((1 << (self.high - self.low + 1)) - 1) << self.low
            old = int.from_bytes(data[self.offset : self.offset + self.size], self._order)
            number = (old & ~mask) | ((number << self.low) & mask)
        try:
            return number.to_bytes(self.size, self._order, signed=self._signed)
        except OverflowError:
            raise ValueError(f"{number} does not fit {self.kind}") from None

    def _text_bytes(self, value: Raw) -> bytes:
        if self.kind == "string" and isinstance(value, str):
            part = value.encode()
        elif self.kind == "bytes" and isinstance(value, bytes):
            part = value
        else:
            raise ValueError(f"a field of type {self.kind} cannot be written")
        if self.size and len(part) > self.size:
            raise ValueError(f"{len(part)} bytes do not fit {self.size}")
        return part.ljust(self.size, b"\0")


def field_of(kind: str, offset: int = 0, low: int | None = None, high: int | None = None) -> Field:
    """A field from its type as written (`int16be`, `bytes10`). Raises FieldError."""
    text = kind.lower()
    big = text.endswith("be")
    base = text.removesuffix("le").removesuffix("be") if text.endswith(("le", "be")) else text
    if base in NUMBERS:
        size = NUMBERS[base][0]
        if high is not None and high >= size * 8:
            raise FieldError(f"{base} has no bit {high}")
        return Field(offset, "bool" if low is not None and low == high else base, size, big, low, high)
    if low is not None:
        raise FieldError(f"{kind} has no bits")
    if base in FLOATS:
        return Field(offset, base, int(base[5:]) // 8, big)
    if base in MEDICAL:
        return Field(offset, base, MEDICAL[base], big)
    if base == "bool":
        return Field(offset, base, 1)
    if base == "uuid":
        return Field(offset, base, 16, big=not text.endswith("le"))
    name = base.rstrip("0123456789")
    if name in {"string", "bytes", "url"} and base == text:
        return Field(offset, name, int(base[len(name) :] or 0))
    raise FieldError(f"there is no field type {kind!r}")


def default_field(kind: ValueType) -> str:
    """The field type of a tag whose address names none."""
    return kind.value


def width(field: Field) -> tuple[int, int] | None:
    """Smallest and largest number that a field can hold, None where it holds no whole number."""
    if field.low is not None and field.high is not None:
        return 0, (1 << (field.high - field.low + 1)) - 1
    if field.kind not in NUMBERS:
        return None
    bits, signed = field.size * 8, NUMBERS[field.kind][1]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def _medical(number: int, size: int) -> float:
    """Exponent in the high bits, mantissa below; both signed. The reserved mantissas are no numbers."""
    exponent_bits, bits = (4, 12) if size == 2 else (8, 24)
    mantissa, exponent = number & ((1 << bits) - 1), number >> bits
    if mantissa >= 1 << (bits - 1):
        mantissa -= 1 << bits
    if exponent >= 1 << (exponent_bits - 1):
        exponent -= 1 << exponent_bits
    top = 1 << (bits - 1)
    if mantissa in {top - 1, top - 2, -top, -top + 1, -top + 2}:
        return math.nan
    return float(f"{mantissa}e{exponent}")


def _text(kind: str, part: bytes, big: bool) -> Raw | None:
    if kind == "bytes":
        return part
    if kind == "uuid":
        return str(uuid.UUID(bytes=part if big else part[::-1]))
    if kind == "url":
        return _url(part)
    return part.split(b"\0", 1)[0].decode("utf-8", "replace")


def _url(part: bytes) -> str | None:
    if part[0] >= len(URL_SCHEMES):
        return None
    rest = "".join(URL_ENDINGS[b] if b < len(URL_ENDINGS) else chr(b) for b in part[1:] if b < 0x7F)
    return URL_SCHEMES[part[0]] + rest


__all__ = ["TEXTS", "Field", "FieldError", "Raw", "default_field", "field_of", "width"]
