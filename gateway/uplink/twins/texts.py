"""Values as twins carry them: texts of few characters and bounded length. What does not fit cannot be told."""

from __future__ import annotations

import math
import re
from typing import Any

MOST_KEY, MOST_VALUE = 128, 512
_KEY = re.compile(rf"[A-Za-z0-9\-_.,:/@#]{{1,{MOST_KEY}}}")
_VALUE = re.compile(rf"[A-Za-z0-9\-_.,:/@#]{{1,{MOST_VALUE}}}")
STRING, INT, FLOAT, BOOLEAN = "string", "int", "float", "boolean"
_PLAIN = 1e15
"""Whole numbers below it are written without a fraction, as KubeEdge's mappers write them."""
_WHOLE = re.compile(r"-?[0-9]{1,40}")
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")


class Unfit(ValueError):
    """A text that is no value of its type."""


def is_key(text: str) -> bool:
    """Whether a twin can be called so."""
    return _KEY.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Whether a twin can have this text."""
    return _VALUE.fullmatch(text) is not None


def text_of(value: Any) -> str | None:
    """A value as a twin's text; None for one that a twin cannot have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        whole = value.is_integer() and abs(value) < _PLAIN
        text = str(int(value)) if whole else repr(value).replace("e+", "e")  # a plus is no sign of these texts
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, int | str):
        text = str(value)
    else:
        return None
    return text if is_value(text) else None


def value_of(text: str, kind: str) -> Any:
    """The value that a text means for a type. Raises Unfit."""
    if not is_value(text):
        raise Unfit(f"a value has 1 to {MOST_VALUE} letters, digits and signs of -_.,:/@#")
    if kind == BOOLEAN:
        if text not in {"true", "false"}:
            raise Unfit(f"{text[:40]!r} is neither true nor false")
        return text == "true"
    if kind == INT:
        if not _WHOLE.fullmatch(text):
            raise Unfit(f"{text[:40]!r} is no whole number")
        return int(text)
    if kind == FLOAT:
        number = float(text) if len(text) <= 60 and _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(number):
            raise Unfit(f"{text[:40]!r} is no number")
        return number
    return text


__all__ = ["BOOLEAN", "FLOAT", "INT", "STRING", "Unfit", "is_key", "is_value", "text_of", "value_of"]
