"""Texts of whole numbers and bools: `labels` of a tag, and of a tag in a command."""

from __future__ import annotations

import re
from typing import Any

from gateway.model import ValueType
from gateway.settings.positions import Origin, Problems

_LABEL = re.compile(r"-?\d+|0x[0-9a-fA-F]+")
_NOT_WHOLE = {ValueType.FLOAT32, ValueType.FLOAT64, ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}


def read_labels(
    written: dict[str, Any], kind: ValueType, origin: Origin, problems: Problems
) -> tuple[tuple[int, str], ...]:
    """The labels of a tag of type `kind`; what is wrong is reported and left out."""
    labels: dict[int, str] = {}
    for key, text in written.items():
        place = origin.child(key)
        if not _LABEL.fullmatch(key):
            problems.at_key(place, f"`{key}` is not a whole number", "write {0: stopped, 1: running}")
            continue
        if not isinstance(text, str):
            shown = str(text).lower() if isinstance(text, bool) else str(text)
            problems.at(place, "a label is a text", f'put it in quotes: "{shown}"')
            continue
        number = int(key, 0)
        if number in labels:
            problems.at_key(place, f"the value {number} has two labels", "keep one of them")
        labels[number] = text
    if labels and kind in _NOT_WHOLE:
        problems.at_key(origin, "labels are for whole numbers and bools", "remove `labels`")
    return tuple(labels.items())
