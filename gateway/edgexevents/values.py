"""A value as the members of an EdgeX reading: always text, but for `Binary` and `Object`."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from gateway.edgexevents.kinds import (
    ARRAYS,
    BINARY,
    BOOL,
    FLOAT32,
    FLOAT64,
    INTEGERS,
    OBJECT,
    OBJECT_ARRAY,
    STRING,
    kind_of_value,
)
from gateway.edgexevents.numbers import float32_text, float64_text
from gateway.objects import from_text

DEFAULT_MEDIA = "application/octet-stream"
_STRING_ARRAY = "StringArray"


def members(kind: str, value: Any, media: str = "") -> dict[str, Any]:
    """`valueType` and what holds the value. A value that its type cannot hold goes under the type that it has itself, a
    number that no type holds as text.
    """
    if value is None:
        return {"valueType": kind, "value": None}
    for each in (kind, kind_of_value(value)):
        try:
            return _members(each, value, media)
        except (ValueError, OverflowError, TypeError):
            continue
    return {"valueType": STRING, "value": str(value)}


def _members(kind: str, value: Any, media: str) -> dict[str, Any]:
    if kind == BINARY:
        if not isinstance(value, bytes):
            raise TypeError("no bytes")
        coded = base64.b64encode(value).decode()
        return {"valueType": kind, "binaryValue": coded, "mediaType": media or DEFAULT_MEDIA}
    if kind in {OBJECT, OBJECT_ARRAY}:
        return {"valueType": kind, "objectValue": from_text(value)}
    return {"valueType": kind, "value": _array(kind, value) if kind in ARRAYS else _simple(kind, value)}


def _array(kind: str, value: Any) -> str:
    """All elements in one text. Texts are JSON: EdgeX' own `[a, b]` cannot be taken apart again."""
    elements = list(value) if isinstance(value, bytes) else from_text(value)
    if not isinstance(elements, list):
        raise TypeError("no list")
    if kind == _STRING_ARRAY:
        return json.dumps([_simple(STRING, each) for each in elements], ensure_ascii=False)
    return f"[{', '.join(_simple(ARRAYS[kind], each) for each in elements)}]"


def _simple(kind: str, value: Any) -> str:
    if kind == STRING:
        if not isinstance(value, str):
            raise TypeError("no text")
        return value
    if not isinstance(value, bool | int | float):
        raise TypeError("no number")
    if kind == BOOL:
        if value not in {0, 1}:
            raise ValueError("neither true nor false")
        return "true" if value else "false"
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        if value != int(value) or not low <= value <= high:
            raise ValueError(f"out of range for {kind}")
        return str(int(value))
    number = float(value)
    if not math.isfinite(number) or (kind == FLOAT64 and number != value):
        raise ValueError("no such float")
    return float32_text(number) if kind == FLOAT32 else float64_text(number)
