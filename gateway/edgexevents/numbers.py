"""Floats as EdgeX writes them: Go's `strconv.FormatFloat(v, 'e', -1, width)`, the fewest digits that name the value
among all values of its width. Of two such texts the nearer one.
"""

from __future__ import annotations

import math
import struct

_SINGLE = struct.Struct("<f")
_HIDDEN = 1 << 23
_LOWEST = -149
"""The exponent of the smallest float32 above zero."""
_MOST_DIGITS = 9
"""So many digits always name a float32."""


def float64_text(value: float) -> str:
    """A finite float in e-form: 0.1 is `1e-01`."""
    if value == 0.0:
        return _zero(value)
    # repr has the fewest digits, in one of two forms
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    exponent = len(whole) - 1 - leading + int(power or 0)
    return _e_form(value < 0.0, digits.rstrip("0"), exponent)


def float32_text(value: float) -> str:
    """The same for the float32 next to `value`. Raises OverflowError beyond its range."""
    (single,) = _SINGLE.unpack(_SINGLE.pack(value))
    if single == 0.0:
        return _zero(single)
    digits, exponent = _shortest(abs(single))
    return _e_form(single < 0.0, digits, exponent)


def _zero(value: float) -> str:
    return "-0e+00" if math.copysign(1.0, value) < 0 else "0e+00"


def _e_form(negative: bool, digits: str, exponent: int) -> str:  # noqa: FBT001 - a part of a number
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    sign = "-" if exponent < 0 else "+"
    return f"{'-' if negative else ''}{digits[0]}{point}e{sign}{abs(exponent):02d}"


def _shortest(single: float) -> tuple[str, int]:
    """Digits and decimal exponent of a float32 above zero, by integers alone: nothing is rounded on the way."""
    bits = int.from_bytes(_SINGLE.pack(single), "little")
    fraction, power = bits & (_HIDDEN - 1), bits >> 23
    mantissa, power = (fraction | _HIDDEN, power - 150) if power else (fraction, _LOWEST)
    # the value and the borders of what is rounded to it, all in quarters of a unit; below a power of two units are half
    middle, below = 4 * mantissa, 1 if fraction == 0 and power > _LOWEST else 2
    even = mantissa % 2 == 0
    exponent = int(f"{single:.16e}".partition("e")[2])
    for count in range(1, _MOST_DIGITS + 1):
        scale = count - 1 - exponent
        up, down = (10 ** max(scale, 0)) << max(power, 0), (10 ** max(-scale, 0)) << max(-power, 0)
        low, rest = divmod(middle * up, 4 * down)
        near = low + (2 * rest > 4 * down or (2 * rest == 4 * down and low % 2))
        for digits in (near, low if near != low else low + 1):
            off = 4 * digits * down - middle * up
            border = (below if off < 0 else 2) * up
            if abs(off) < border or (even and abs(off) == border):
                return _normal(digits, exponent, count)
    raise AssertionError(f"{single!r} has no name")


def _normal(digits: int, exponent: int, count: int) -> tuple[str, int]:
    text = str(digits)
    return text.rstrip("0"), exponent + len(text) - count
