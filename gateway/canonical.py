"""Canonical JSON (RFC 8785): equal values give equal bytes, so that a hash names content.

Covers what the gateway hashes: objects with text keys, lists, texts, booleans, null, integers within +-2^53 and finite
floats, written as ECMAScript writes numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any


def canonical(value: Any) -> bytes:
    """The canonical bytes of `value`. Raises ValueError for NaN and infinities, TypeError for what is not JSON."""
    return _text(value).encode("utf-8")


def digest(value: Any, digits: int) -> str:
    """The first `digits` hex digits of SHA-256 over the canonical bytes."""
    return hashlib.sha256(canonical(value)).hexdigest()[:digits]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        # RFC 8785 3.2.3 sorts keys by UTF-16 code units
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_string(key)}:{_text(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """A float as ECMA-262 Number::toString writes it."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no canonical form")
    if value == int(value) and abs(value) < 1e16:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    power = int(exponent)
    if -7 < power < 0:  # ECMAScript writes these without an exponent, Python with one
        sign, digits = ("-", mantissa[1:]) if mantissa[0] == "-" else ("", mantissa)
        return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"
    if 0 < power < 21:
        whole, _, fraction = mantissa.partition(".")
        return whole + fraction + "0" * (power - len(fraction))
    return f"{mantissa.removesuffix('.0')}e{'+' if power > 0 else '-'}{abs(power)}"
