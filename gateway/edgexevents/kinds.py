"""Value types of EdgeX, and which one a tag has there."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model import TagSpec, ValueType
from gateway.transform import RAW, engineering_kind

BOOL, STRING, BINARY, OBJECT, OBJECT_ARRAY = "Bool", "String", "Binary", "Object", "ObjectArray"
FLOAT32, FLOAT64 = "Float32", "Float64"
INTEGERS: Mapping[str, tuple[int, int]] = {
    f"{'Int' if signed else 'Uint'}{bits}": (-(1 << (bits - 1)) if signed else 0, (1 << (bits - signed)) - 1)
    for signed in (True, False)
    for bits in (8, 16, 32, 64)
}
"""Lowest and highest value."""
SIMPLE = (BOOL, STRING, *INTEGERS, FLOAT32, FLOAT64)
ARRAYS: Mapping[str, str] = {f"{kind}Array": kind for kind in SIMPLE}
"""Array -> type of its elements."""
VALUE_TYPES = (*SIMPLE, *ARRAYS, BINARY, OBJECT, OBJECT_ARRAY)
_BY_FOLDED = {kind.lower(): kind for kind in VALUE_TYPES}

_OF_TYPE: Mapping[ValueType, str] = {
    ValueType.BOOL: BOOL,
    ValueType.INT8: "Int8",
    ValueType.UINT8: "Uint8",
    ValueType.INT16: "Int16",
    ValueType.UINT16: "Uint16",
    ValueType.INT24: "Int32",
    ValueType.UINT24: "Uint32",
    ValueType.INT32: "Int32",
    ValueType.UINT32: "Uint32",
    ValueType.INT48: "Int64",
    ValueType.UINT48: "Uint64",
    ValueType.INT64: "Int64",
    ValueType.UINT64: "Uint64",
    ValueType.FLOAT32: FLOAT32,
    ValueType.FLOAT64: FLOAT64,
    ValueType.BCD16: "Uint16",
    ValueType.BCD32: "Uint32",
    ValueType.MOD10K32: "Uint32",
    ValueType.MOD10K64: "Uint64",
    ValueType.STRING: STRING,
    ValueType.BYTES: BINARY,
    ValueType.OBJECT: OBJECT,
}


def known(word: str) -> str:
    """The value type written as `word` in any case, as EdgeX takes it; empty for none."""
    return _BY_FOLDED.get(word.lower(), "")


def kind_of(spec: TagSpec, meta: Mapping[str, str]) -> str:
    """The value type of a tag: the one that an import noted in `meta.valueType`, else that of its values."""
    noted = known(meta.get("valueType", ""))
    if noted:
        return noted
    if spec.transform.edgex is not None:  # EdgeX computes in the resource's own type
        return _OF_TYPE[spec.transform.edgex]
    kind = _OF_TYPE[spec.type]
    if kind not in INTEGERS or spec.transform.is_identity:
        return kind
    engineering = engineering_kind(RAW[spec.type], spec.transform)
    if engineering == "float":
        return FLOAT64
    # a scale or an offset may lead out of the wire's type
    moved = spec.transform.scale is not None or spec.transform.offset is not None
    return "Int64" if moved else kind


def kind_of_value(value: object) -> str:
    """The value type of a value whose tag says nothing, or something else."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return "Uint64" if value > INTEGERS["Int64"][1] else "Int64"
    if isinstance(value, float):
        return FLOAT64
    return BINARY if isinstance(value, bytes) else STRING
