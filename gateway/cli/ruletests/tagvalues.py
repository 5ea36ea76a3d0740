"""Values in test files: what a tag of a type may be given, and when two are the same."""

from __future__ import annotations

import math
from typing import Any

from gateway.model import Tag, Value, ValueType
from gateway.objects import to_text

_FLOATS = (ValueType.FLOAT32, ValueType.FLOAT64)
_SAME = 1e-6
"""Relative: what people write down of a computed number is rounded."""


def value_fault(tag: Tag, value: Any) -> str:
    """What is wrong with `value` for this tag, to be read after its name; empty when it fits. None always does."""
    kind = tag.spec.type
    if value is None:
        return ""
    if kind is ValueType.BOOL:
        return "" if isinstance(value, bool) else "is true or false"
    if kind is ValueType.STRING:
        return "" if isinstance(value, str) else "is a text"
    if kind is ValueType.OBJECT:
        return "" if isinstance(value, dict | list) else "is a list or a map"
    if kind is ValueType.BYTES:
        return "" if _hex(value) is not None else 'is bytes: {hex: "00ff"}'
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "is a number"
    spec = tag.spec
    scaled = (
        kind in _FLOATS or not spec.transform.is_identity or spec.scale_from is not None or spec.virtual is not None
    )
    return "" if scaled or isinstance(value, int) else "is a whole number"


def value_of(tag: Tag, value: Any) -> Value:
    """A value that fits, as a driver would bring it."""
    if tag.spec.type is ValueType.BYTES:
        return _hex(value)
    if tag.spec.type is ValueType.OBJECT and value is not None:
        return to_text(value)
    if tag.spec.type in _FLOATS and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value  # type: ignore[no-any-return]


def same_value(left: Any, right: Any) -> bool:
    """Numbers are the same when they are near, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=_SAME, abs_tol=1e-9)
    return type(left) is type(right) and bool(left == right)


def _hex(value: Any) -> bytes | None:
    if not isinstance(value, dict) or set(value) != {"hex"} or not isinstance(value["hex"], str):
        return None
    try:
        return bytes.fromhex(value["hex"])
    except ValueError:
        return None
