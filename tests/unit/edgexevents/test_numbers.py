"""Floats as Go writes them ('e' with the fewest digits), against another way to compute them."""

from __future__ import annotations

import math
import re
import struct
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edgexevents.numbers import float32_text, float64_text

FORM = re.compile(r"(-?)(\d)(?:\.(\d*[1-9]))?e([+-])(\d\d\d?)")
SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def bits_of(single: float) -> int:
    return int.from_bytes(struct.pack("<f", single), "little")


def single_of(bits: int) -> float:
    (single,) = struct.unpack("<f", bits.to_bytes(4, "little"))
    return float(single)


def reads_as_single(text: str, single: float) -> bool:
    """Whether the nearest float32 to a decimal text is `single` (above zero), by its neighbours, exactly."""
    number, mine = Fraction(text), Fraction(single)
    below = Fraction(single_of(bits_of(single) - 1))
    above = single_of(bits_of(single) + 1)
    upper = mine + (mine - below) if math.isinf(above) else Fraction(above)
    low, high = (below + mine) / 2, (mine + upper) / 2
    even = bits_of(single) % 2 == 0
    return low <= number <= high if even else low < number < high


def shortest(single: float) -> tuple[int, Fraction]:
    """How many digits a float32 above zero needs, and the nearest number of so many digits that reads back as it."""
    mine = Fraction(single)
    exponent = math.floor(math.log10(single))
    for count in range(1, 11):
        found = []
        for power in (exponent - count, exponent - count + 1, exponent - count + 2):
            unit = Fraction(10) ** power
            down = mine // unit
            found += [digits * unit for digits in (down, down + 1) if 0 < digits < 10**count]
        good = [number for number in found if reads_as_single(str(number), single)]
        if good:
            return count, min(good, key=lambda number: abs(number - mine))
    raise AssertionError(single)


@pytest.mark.parametrize(
    ("value", "single", "double"),
    [
        (25.1, "2.51e+01", "2.51e+01"),
        (0.0, "0e+00", "0e+00"),
        (-0.0, "-0e+00", "-0e+00"),
        (100.0, "1e+02", "1e+02"),
        (-0.5, "-5e-01", "-5e-01"),
        (0.1, "1e-01", "1e-01"),
        (1e22, "1e+22", "1e+22"),
        (16777216.0, "1.6777216e+07", "1.6777216e+07"),
        (8589934592.0, "8.589935e+09", "8.589934592e+09"),
        (3.4028234663852886e38, "3.4028235e+38", "3.4028234663852886e+38"),
        (1.401298464324817e-45, "1e-45", "1.401298464324817e-45"),
        (1.1754943508222875e-38, "1.1754944e-38", "1.1754943508222875e-38"),
    ],
)
def test_known_numbers(value: float, single: str, double: str) -> None:
    """Shortest digits of a float32 are not those of its double."""
    assert (float32_text(value), float64_text(value)) == (single, double)


def test_the_ends_of_doubles() -> None:
    assert float64_text(5e-324) == "5e-324"
    assert float64_text(1.7976931348623157e308) == "1.7976931348623157e+308"
    with pytest.raises(OverflowError):
        float32_text(1e39)


@given(SINGLES.filter(bool))
@example(2.0**-126)
@example(2.0**-100)
@example(2.0**24)
@example(single_of(0x00000001))
@example(single_of(0x007FFFFF))
@example(single_of(0x7F7FFFFF))
@example(9.5)
@example(1000.0)
def test_a_single_has_the_fewest_digits_that_read_back_as_it(value: float) -> None:
    text = float32_text(value)
    match = FORM.fullmatch(text)
    assert match, text
    assert struct.unpack("<f", struct.pack("<f", float(text)))[0] == value
    size = abs(value)
    count, nearest = shortest(size)
    assert len(match[2] + (match[3] or "")) == count
    # another one may be as near: then both are right, and ours must be as near, too
    assert abs(Fraction(text.lstrip("-")) - Fraction(size)) == abs(nearest - Fraction(size))


@given(st.integers(0, 254))
def test_a_power_of_two_has_a_nearer_neighbour_below(power: int) -> None:
    """Its border below is half as far: the fewest digits are asked of the real borders."""
    single = single_of(power << 23) or single_of(1)
    text = float32_text(single)
    count, nearest = shortest(single)
    assert len(text.partition("e")[0].replace(".", "")) == count
    assert abs(Fraction(text) - Fraction(single)) == abs(nearest - Fraction(single))


@given(DOUBLES)
def test_a_double_reads_back_as_it_with_the_digits_of_repr(value: float) -> None:
    text = float64_text(value)
    assert FORM.fullmatch(text), text
    assert math.copysign(1.0, float(text)) == math.copysign(1.0, value)
    assert float(text) == value
    digits = text.lstrip("-").partition("e")[0].replace(".", "")
    assert digits == (repr(abs(value)).partition("e")[0].replace(".", "").strip("0") or "0")
