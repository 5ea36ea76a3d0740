"""Raw values of devices that answer in text: the number in a line, as its tag's type has it."""

from __future__ import annotations

from gateway.errors import BadFrame
from gateway.model import TagSpec, Value, ValueType
from gateway.transform import RAW

LONGEST = 40
"""Characters of a number, and of a text that is shown in an error."""
_TRUE, _FALSE = {"1", "true", "on"}, {"0", "false", "off"}


def raw_of(spec: TagSpec, text: str) -> Value:
    """The raw value that `text` says, for `gateway.transform.column`. Raises BadFrame when it says none of this type.

    Whole numbers may be written as `12`, `+12` or `12.0`; a bool as 1, 0, on, off, true, false.
    """
    raw, word = RAW[spec.type], text.strip()
    if spec.type is ValueType.BYTES:
        return word.encode()
    if raw.bits == 0:
        return word
    if raw.bits == 1 and word.lower() in _TRUE | _FALSE:
        return word.lower() in _TRUE
    if raw.bits > 1 and len(word) <= LONGEST and word.isascii() and "_" not in word:
        try:
            number = float(word)
            if raw.is_float:
                return number
            whole = int(word) if word.lstrip("+-").isdecimal() else int(number) if number.is_integer() else None
            if whole is not None and raw.low <= whole <= raw.high:
                return whole
        except (ValueError, OverflowError):  # no number; `inf` as a whole one
            pass
    raise BadFrame(f"{spec.path}: {word[:LONGEST]!r} is no {spec.type.value}")
