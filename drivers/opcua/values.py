"""Values of OPC UA as values of a tag."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import math
import uuid
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.address import Selector, show_selectors
from gateway.model import Quality, TagSpec, Value, ValueType
from gateway.objects import to_text
from gateway.transform import RAW, is_plain, scalar

_CONFIG = int(Quality.BAD_CONFIG)
_RANGE = int(Quality.BAD_RANGE)
_BAD = int(Quality.BAD)
_GOOD = int(Quality.GOOD)
_MOST_DEPTH = 32

SPANS = {
    2: (-(1 << 7), (1 << 7) - 1), 3: (0, (1 << 8) - 1), 4: (-(1 << 15), (1 << 15) - 1), 5: (0, (1 << 16) - 1),
    6: (-(1 << 31), (1 << 31) - 1), 7: (0, (1 << 32) - 1), 8: (-(1 << 63), (1 << 63) - 1), 9: (0, (1 << 64) - 1),
}  # fmt: skip
"""Numbers that an integer type of OPC UA holds, by its built-in id (OPC 10000-6, 5.1.2)."""
BOOLEAN, FLOAT, DOUBLE, STRING = 1, 10, 11, 12


class Mismatch(Exception):
    """A value that the tag's type cannot show. The text says what came."""


Convert = Callable[[int, Any], tuple[Value, int, str]]
"""(built-in type id, value) to (value, quality code, why it is bad)."""


def plain_types(spec: TagSpec, selectors: Sequence[Selector]) -> frozenset[int]:
    """Built-in types whose finite values are the tag's values as they come."""
    raw = RAW[spec.type]
    numeric = raw.bits > 1
    if selectors or not spec.transform.is_identity or spec.scale_from is not None:
        return frozenset()
    if numeric and (spec.range is not None or raw.most is not None):
        return frozenset()
    if spec.type is ValueType.BOOL:
        return frozenset({BOOLEAN})
    if raw.is_float:
        return frozenset({FLOAT, DOUBLE} if raw.bits == 64 else {FLOAT})
    if numeric and is_plain(spec):
        return frozenset(t for t, (low, high) in SPANS.items() if raw.low <= low and high <= raw.high)
    return frozenset()


def converter(spec: TagSpec, selectors: Sequence[Selector]) -> Convert:
    """The way of one tag's values, for whatever is not plain."""
    take = _TAKERS.get(spec.type, _number(spec))
    transform = scalar(RAW[spec.type], spec.transform, spec.range if RAW[spec.type].bits > 1 else None)
    numeric = spec.type is ValueType.BOOL or RAW[spec.type].bits > 1

    def convert(kind: int, value: Any) -> tuple[Value, int, str]:
        try:
            if selectors:
                value, kind = pick(value, selectors), 0
            if value is None:
                return None, _BAD, "the server has no value (null)"
            found = take(kind, value)
        except Mismatch as error:
            return None, _CONFIG, str(error)
        if not numeric:
            return found, _GOOD, ""
        shown, code = transform(found)
        return shown, code, ""

    return convert


def pick(value: Any, selectors: Sequence[Selector]) -> Any:
    """The part of an array or structure. Raises Mismatch."""
    for place, selector in enumerate(selectors):
        done = show_selectors(tuple(selectors[:place])) or "the value"
        if isinstance(selector, int):
            if not isinstance(value, list | tuple):
                raise Mismatch(f"{done} is no array")
            if selector >= len(value):
                raise Mismatch(f"{done} has {len(value)} elements, [{selector}] is beyond")
            value = value[selector]
        else:
            names = fields_of(value)
            if selector not in names:
                known = ", ".join(names[:12])
                raise Mismatch(f"{done} has no field {selector}" + (f"; it has {known}" if known else ""))
            value = value.get(selector) if isinstance(value, dict) else getattr(value, selector)
        if isinstance(value, ua.Variant):
            value = value.Value
    return value


def fields_of(value: Any) -> list[str]:
    """Names of the fields of a structure."""
    if isinstance(value, dict):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | ua.Variant | ua.NodeId | ua.ExtensionObject):
        return [field.name for field in dataclasses.fields(value) if field.name not in {"Encoding", "TypeId"}]
    return []


def jsonable(value: Any, depth: int = 0) -> Any:
    """A value made of what JSON knows: structures as maps, bytes as base64, times as ISO text."""
    if depth > _MOST_DEPTH:
        raise Mismatch("nested too deep")
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [jsonable(each, depth + 1) for each in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, ua.Variant):
        return jsonable(value.Value, depth + 1)
    if isinstance(value, ua.DataValue):
        return jsonable(value.Value, depth + 1)
    text = _text_of(value)
    if text is not None:
        return text
    if isinstance(value, ua.ExtensionObject):
        return {"type": value.TypeId.to_string(), "body": jsonable(value.Body)}
    if isinstance(value, ua.StatusCode):
        return value.name
    names = fields_of(value)
    if names or dataclasses.is_dataclass(value):
        return {
            name: jsonable(value[name] if isinstance(value, dict) else getattr(value, name), depth + 1)
            for name in names
        }
    return str(value)


def _text_of(value: Any) -> str | None:
    """What has one text that people know it by."""
    if isinstance(value, str):
        return value
    if isinstance(value, ua.LocalizedText):
        return str(value.Text or "")
    if isinstance(value, ua.QualifiedName):
        return str(value.Name or "")
    if isinstance(value, ua.NodeId):
        return str(value.to_string())
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime):
        return _utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return None


def _utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _number(spec: TagSpec) -> Callable[[int, Any], Any]:
    raw = RAW[spec.type]

    def take(kind: int, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, dt.datetime) and not raw.is_float:
            value = round(_utc(value).timestamp() * 1000)
        if not isinstance(value, bool | int | float):
            raise Mismatch(f"{_kind(kind, value)} is no {spec.type.value}")
        if raw.is_float:
            return array("f", [value])[0] if raw.bits == 32 and kind != FLOAT and _fits_float32(value) else float(value)
        if isinstance(value, float):
            if not value.is_integer():
                raise Mismatch(f"{value!r} is a fraction and no {spec.type.value}")
            value = int(value)
        if not raw.low <= value <= raw.high:
            raise Mismatch(f"{value} does not fit {spec.type.value}")
        return int(value)

    return take


def _fits_float32(value: float) -> bool:
    return abs(value) <= 3.4028234663852886e38


def _take_bool(kind: int, value: Any) -> bool:
    if isinstance(value, bool) or value in {0, 1}:
        return bool(value)
    raise Mismatch(f"{_kind(kind, value)} {value!r} is no bool")


def _take_text(kind: int, value: Any) -> str:
    text = _text_of(value)
    if text is None:
        if isinstance(value, ua.StatusCode):
            return str(value.name)
        raise Mismatch(f"{_kind(kind, value)} is no string")
    return text


def _take_bytes(kind: int, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    raise Mismatch(f"{_kind(kind, value)} is no bytes")


def _take_object(kind: int, value: Any) -> str:
    found = jsonable(value)
    try:
        return to_text(found)
    except ValueError as error:
        raise Mismatch(f"{_kind(kind, value)} is no list and no structure") from error


def _kind(kind: int, value: Any) -> str:
    if isinstance(value, list | tuple):
        return "an array"
    name = KINDS.get(kind) or type(value).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


KINDS = {each.value: each.name for each in ua.VariantType}
"""Names of the built-in types."""

_TAKERS: dict[ValueType, Callable[[int, Any], Any]] = {
    ValueType.BOOL: _take_bool,
    ValueType.STRING: _take_text,
    ValueType.BYTES: _take_bytes,
    ValueType.OBJECT: _take_object,
}

TYPES = {
    1: ValueType.BOOL, 2: ValueType.INT8, 3: ValueType.UINT8, 4: ValueType.INT16, 5: ValueType.UINT16,
    6: ValueType.INT32, 7: ValueType.UINT32, 8: ValueType.INT64, 9: ValueType.UINT64, 10: ValueType.FLOAT32,
    11: ValueType.FLOAT64, 12: ValueType.STRING, 13: ValueType.STRING, 14: ValueType.STRING, 15: ValueType.BYTES,
    16: ValueType.STRING, 17: ValueType.STRING, 18: ValueType.STRING, 19: ValueType.STRING, 20: ValueType.STRING,
    21: ValueType.STRING, 22: ValueType.OBJECT,
}  # fmt: skip
"""The type of a tag that shows a scalar of this built-in type."""
