"""Numbers of foreign lists, exact: what a cell says, and how a result is written in a file of ours."""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,2})?")


def number_of(text: str) -> Fraction | None:
    """The number that a text is, None where it is none. A comma stands for a point."""
    plain = text.strip().replace(",", ".")
    return Fraction(plain) if _NUMBER.fullmatch(plain) else None


def decimal(number: Fraction) -> int | float:
    """A number for a file: whole where it is whole, else the nearest float."""
    return int(number) if number.denominator == 1 and abs(number) < 10**15 else float(number)


def as_written(number: float) -> Fraction:
    """The number that a file's digits say, as the transform computes with them."""
    return Fraction(repr(number))


def duration(milliseconds: int) -> str:
    """A time for a file: in seconds where it is whole ones."""
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


__all__ = ["as_written", "decimal", "duration", "number_of"]
