"""Static types: what a tag, a constant or a part of an expression is."""

from __future__ import annotations

import enum
from typing import Any

from gateway.model import TagSpec, ValueType


class Type(enum.StrEnum):
    """`BYTES` can only be compared for equality; an expression never results in it."""

    NUMBER = "number"
    BOOL = "bool"
    TEXT = "text"
    BYTES = "bytes"

    @property
    def noun(self) -> str:
        """For people: `a number`."""
        return self.value if self is Type.BYTES else f"a {self.value}"

    @property
    def is_numeric(self) -> bool:
        """Whether it can be calculated with: true counts as 1, false as 0."""
        return self in {Type.NUMBER, Type.BOOL}


_BY_VALUE_TYPE = {
    ValueType.BOOL: Type.BOOL,
    ValueType.STRING: Type.TEXT,
    ValueType.BYTES: Type.BYTES,
    ValueType.OBJECT: Type.TEXT,
}
_FLOATS = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})


def type_of_tag(spec: TagSpec) -> Type:
    return _BY_VALUE_TYPE.get(spec.type, Type.NUMBER)


def type_of_constant(value: Any) -> Type:
    if isinstance(value, bool):
        return Type.BOOL
    return Type.TEXT if isinstance(value, str) else Type.NUMBER


def has_floats(spec: TagSpec) -> bool:
    """Whether the tag's values are floats, so that a comparison with a float constant is the quickest."""
    transform = spec.transform
    parts = (transform.scale, transform.offset)
    if transform.edgex is not None:
        return transform.edgex in _FLOATS
    whole = transform.base is None and all(part is None or float(part).is_integer() for part in parts)
    return type_of_tag(spec) is Type.NUMBER and (spec.type in _FLOATS or not whole)


def can_compare(left: Type, right: Type) -> bool:
    return left is right or (left.is_numeric and right.is_numeric)
