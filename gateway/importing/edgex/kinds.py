"""EdgeX' value types and what they are here."""

from __future__ import annotations

import json
import math
from typing import Any

from msgspec import Struct

_SIMPLE = {
    "Bool": "bool",
    "String": "string",
    "Uint8": "uint8",
    "Uint16": "uint16",
    "Uint32": "uint32",
    "Uint64": "uint64",
    "Int8": "int8",
    "Int16": "int16",
    "Int32": "int32",
    "Int64": "int64",
    "Float32": "float32",
    "Float64": "float64",
}


class Kind(Struct, frozen=True):
    """A value type: `name` as EdgeX spells it, `type` of ours. `bits` of a number, 0 for all else."""

    name: str
    type: str
    bits: int = 0

    @property
    def is_number(self) -> bool:
        return self.bits > 0

    @property
    def is_float(self) -> bool:
        return self.bits > 0 and self.type.startswith("float")

    @property
    def is_whole(self) -> bool:
        return self.bits > 0 and not self.is_float

    @property
    def limits(self) -> tuple[int, int]:
        """Of a whole number."""
        if self.type.startswith("u"):
            return 0, (1 << self.bits) - 1
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1


def _bits(name: str) -> int:
    digits = "".join(sign for sign in name if sign.isdigit())
    return int(digits) if digits else 0


_KINDS = {
    kind.name.lower(): kind
    for kind in (
        *(Kind(name, mine, _bits(name)) for name, mine in _SIMPLE.items()),
        *(Kind(f"{name}Array", "object") for name in _SIMPLE),
        Kind("Binary", "bytes"),
        Kind("Object", "object"),
        Kind("ObjectArray", "object"),
    )
}
NAMES = tuple(kind.name for kind in _KINDS.values())


def kind_of(text: str) -> Kind | None:
    """The value type of this name, in any case."""
    return _KINDS.get(text.strip().lower())


class Misfit(ValueError):
    """A text that is no value of the type."""


_FLAGS = {"true": True, "false": False, "1": True, "0": False}


def value_of(kind: Kind, text: str) -> Any:
    """What a text (a default, an assertion) is as a value of this type. Raises Misfit."""
    if kind.type == "bool":
        flag = _FLAGS.get(text.strip().lower())
        if flag is None:
            raise Misfit(f"`{text[:40]}` is neither true nor false")
        return flag
    if kind.is_number:
        return _number(kind, text.strip())
    if kind.type == "object":
        return _document(kind, text)
    if kind.type == "bytes":
        raise Misfit("binary values have no text")
    return text


def _number(kind: Kind, text: str) -> int | float:
    try:
        number = int(text, 10) if kind.is_whole and text.lstrip("+-").isdigit() and len(text) < 40 else float(text)
    except ValueError:
        raise Misfit(f"`{text[:40]}` is no number") from None
    if not math.isfinite(number):
        raise Misfit(f"`{text[:40]}` is no number that can be written")
    if kind.is_float:
        return number
    if number != int(number):
        raise Misfit(f"`{text[:40]}` is no whole number")
    low, high = kind.limits
    if not low <= number <= high:
        raise Misfit(f"`{text[:40]}` does not fit into {kind.name}")
    return int(number)


def _document(kind: Kind, text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Misfit(f"`{text[:40]}` is no {'list' if kind.name.endswith('Array') else 'JSON'}") from None
    if not isinstance(value, list if kind.name.endswith("Array") else dict | list):
        raise Misfit(f"`{text[:40]}` is no {'list' if kind.name.endswith('Array') else 'map or list'}")
    return value
