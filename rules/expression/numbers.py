"""Numbers, times and counts of samples, as they are written."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from gateway.rulebook import ExpressionError
from rules.expression.wording import short
from rules.windows.spec import MAX_SAMPLES, MAX_SIZE_MS

MAX_INT = 2**63
_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TAIL = re.compile(r"\w*")
_REST = re.compile(r"[A-Za-z0-9_./-]*")
_SAMPLES = re.compile(r"[ \t\r\n]*samples?(?![\w./-])")
_JOINED = re.compile(r"[-/]+[^\W\d]")
_SEPARATE = re.compile(r" +(ms|s|m|min|h|d)(?![\w./(-])")
_TIMES = "a time is written 500ms, 10s, 5m, 1h or 1d"


class Number(NamedTuple):
    """`unit`: empty, `time` (value in ms) or `samples`. `end`: where it ends in the text."""

    value: int | float
    unit: str
    end: int


def scan_number(text: str, at: int) -> Number:
    """The number at `at`, which holds a digit or a point and a digit. Raises ExpressionError."""
    found = _NUMBER.match(text, at)
    assert found is not None
    digits, end = found[0], found.end()
    value = _value(digits, at)
    samples = _SAMPLES.match(text, end)
    if samples is not None:
        return Number(_count(value, at), "samples", samples.end())
    tail_match = _TAIL.match(text, end)
    tail = tail_match[0] if tail_match is not None else ""
    if tail in _MS and not digits.startswith(("0x", "0X")) and not _JOINED.match(text, end + len(tail)):
        return Number(_milliseconds(value * _MS[tail], text[at : end + len(tail)], at), "time", end + len(tail))
    _check_tail(text, at, digits, tail)
    return Number(value, "", end)


def _value(digits: str, at: int) -> int | float:
    if digits[:2] in {"0x", "0X"}:
        return _whole(int(digits, 16), at)
    if digits.isdigit():
        if len(digits) > 1 and digits.startswith("0"):
            raise ExpressionError("a number does not begin with 0", at, f"write {short(digits.lstrip('0') or '0')}")
        return _whole(int(digits), at)
    value = float(digits)
    if math.isinf(value):
        raise ExpressionError("this number is too large", at, "at most 1.7e308")
    return value


def _whole(value: int, at: int) -> int:
    if value > MAX_INT:
        raise ExpressionError("this number is too large", at, "a whole number is at most 2^63")
    return value


def _count(value: float, at: int) -> int:
    if not isinstance(value, int) or not 1 <= value <= MAX_SAMPLES:
        raise ExpressionError(f"samples are counted from 1 to {MAX_SAMPLES}", at, "write 10 samples")
    return value


def _milliseconds(value: float, written: str, at: int) -> int:
    written = short(written)
    if value > MAX_SIZE_MS:
        raise ExpressionError(f"{written} is longer than a day", at, "at most 24h")
    whole = round(value)
    if whole < 1 or abs(value - whole) > 1e-6:
        raise ExpressionError(f"{written} is not a whole number of milliseconds above 0", at, _TIMES)
    return whole


def _check_tail(text: str, at: int, digits: str, tail: str) -> None:
    """What follows a number directly must not look like a part of it or of a name."""
    end = at + len(digits)
    after = text[end : end + 1]
    separate = _SEPARATE.match(text, end)
    if separate is not None:
        raise ExpressionError("a space before the unit of a time", end, f"write {short(digits)}{separate[1]}")
    if not tail and after == "." and not text[end + 1 : end + 2].isdigit():
        raise ExpressionError("a digit is missing after the point", end, f"write {short(digits)}.0")
    joined = _JOINED.match(text, end + len(tail))
    if not tail and not joined and after != ".":
        return
    rest = _REST.match(text, at)
    written = short(rest[0] if rest is not None else digits)
    if tail.startswith("_") and tail.replace("_", "").isdigit():
        raise ExpressionError(f"`{written}` is no number", at, f"write {written.replace('_', '')}")
    if joined and not tail:
        sign = "minus" if after == "-" else "division"
        hint = f"{sign} has spaces around it; a tag that begins with a digit stands in braces: {{{written}}}"
        raise ExpressionError(f"`{written}` is neither a number nor a tag", at, hint)
    hint = f"{_TIMES}; a tag that begins with a digit stands in braces: {{{written}}}"
    raise ExpressionError(f"`{written}` is no number", at, hint)
