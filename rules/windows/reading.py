"""What of a reading a window can use."""

from __future__ import annotations

import math
from typing import TypeGuard

from gateway.model import Value

_LEAST, _MOST = -(2**63), 2**64 - 1


def usable(value: Value, good: bool) -> Value:
    """The value, or None for a reading that opens a gap: one that is not good, has no value, or is NaN or infinite.

    A whole number that no tag type holds becomes a float.
    """
    if not good:
        return None
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int and not _LEAST <= value <= _MOST:
        try:
            return float(value)
        except OverflowError:
            return None
    return value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it counts in sums and extremes; a bool counts as 0 or 1."""
    return isinstance(value, (int, float))
