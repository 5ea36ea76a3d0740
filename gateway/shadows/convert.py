"""Values between tags and documents: documents carry JSON, so bytes are base64 and great whole numbers are text."""

from __future__ import annotations

import base64
import binascii
import math

from gateway.commands import coerce
from gateway.model import Access, Tag, Value, ValueType
from gateway.shadows.values import ShadowError

_WHOLE = 2**53


def to_document(value: Value) -> bool | int | float | str | None:
    """A tag's value as a document carries it; None for what has no place in one."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not -_WHOLE < value < _WHOLE:
        return str(value)
    return value


def to_tag(tag: Tag, value: object) -> Value:
    """A document's value as the tag's type. Raises WriteRejected 400 or 422."""
    kind = tag.spec.type
    if kind is ValueType.BYTES and isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ShadowError(f"{tag.name} takes bytes as base64; got {value!r}", code=400) from None
    elif isinstance(value, str) and kind in (ValueType.INT64, ValueType.UINT64, ValueType.MOD10K64):
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            value = int(value)
    elif kind is ValueType.BOOL and not isinstance(value, bool):
        raise ShadowError(f"{tag.name} is a bool; got {value!r}", code=400)
    return coerce(tag, value)


def from_person(tag: Tag, value: object) -> object:
    """A value as people write it to the gateway, as a document carries it: bytes are hexadecimal to them."""
    if tag.spec.type is ValueType.BYTES and isinstance(value, str):
        return to_document(coerce(tag, value))
    return value


def is_state(tag: Tag) -> bool:
    """Whether a tag can be desired: written, read back, and not a pulse (protocol.md 3.3, 4)."""
    return tag.spec.access is Access.READ_WRITE and not tag.spec.momentary


def is_reported(tag: Tag) -> bool:
    """Whether a tag belongs to the reported document."""
    return is_state(tag) or (tag.spec.shadow and tag.spec.access is not Access.WRITE)
