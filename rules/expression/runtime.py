"""What generated functions call. Each raises one of FAULTS where there is no value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gateway.model import Quality, Value
from rules.expression.columns import Columns
from rules.values import NoValue

FAULTS = (NoValue, ZeroDivisionError, OverflowError, TypeError, ValueError)
"""No value, not a fault of the rule: divided by zero, too large, root of a negative number, an empty window."""
_LEAST, _MOST = -(2**63), 2**64 - 1
_MS = 1000.0
_TEXTS = {int(quality): quality.text for quality in Quality}


class Latch:
    """One `hysteresis(x, low, high)`: true above `high` until below `low`."""

    __slots__ = ("is_on",)

    def __init__(self) -> None:
        self.is_on = False

    def see(self, x: float, low: float, high: float) -> bool:
        """The state after `x`. A range that is none leaves it as it was and raises ValueError."""
        if not low < high:
            raise ValueError("low is not below high")
        if x > high:
            self.is_on = True
        elif x < low:
            self.is_on = False
        return self.is_on


def given(value: Any) -> Any:
    """`value`, unless there is none."""
    if value is None:
        raise NoValue
    return value


def number(value: Any) -> int | float:
    """A result that can be stored: finite, and no more than 64 bits."""
    if value.__class__ is float:
        if not math.isfinite(value):
            raise OverflowError
        return float(value)
    if not isinstance(value, int):
        raise TypeError
    whole = int(value)
    if not _LEAST <= whole <= _MOST:
        raise OverflowError
    return whole


def text(value: Any) -> str:
    """A result that is a text, whatever a tag shows that should show texts."""
    if not isinstance(value, str):
        raise TypeError
    return value


def scale(x: float, in_low: float, in_high: float, out_low: float, out_high: float) -> float:
    """The line through (in_low, out_low) and (in_high, out_high); it goes on outside of them."""
    return out_low + (x - in_low) * (out_high - out_low) / (in_high - in_low)


def clamp(x: float, low: float, high: float) -> float:
    if low > high:
        raise ValueError("low is above high")
    return low if x < low else min(x, high)


def quality_text(code: int) -> str:
    """As on the wire. A code of a later version is told by its class."""
    found = _TEXTS.get(code)
    return found if found is not None else "good" if code < 64 else "uncertain" if code < 128 else "bad"


def previous(columns: Columns, slot: int) -> Value:
    return given(columns.previous[slot])  # type: ignore[no-any-return]


def age(columns: Columns, slot: int, at: int) -> float:
    """Seconds since the value was last known to be so."""
    return (at - columns.polled(slot)) / _MS


def rate(columns: Columns, slot: int, value: Any) -> float:
    """Change per second between the last two readings."""
    elapsed = columns.arrived[slot] - columns.before_at[slot]
    if elapsed <= 0:
        raise NoValue
    return (value - given(columns.previous[slot])) * _MS / elapsed  # type: ignore[no-any-return]


HELPERS: dict[str, Callable[..., Any] | tuple[type[Exception], ...]] = {
    "FAULTS": FAULTS,
    "given": given,
    "number": number,
    "text": text,
    "scale": scale,
    "clamp": clamp,
    "quality_text": quality_text,
    "previous": previous,
    "age": age,
    "rate": rate,
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "sqrt": math.sqrt,
}
"""All names that a generated function can use. It has no builtins."""
