"""Durations, sizes and rates as people write them: `500ms`, `15m`, `256MB`, `5/min`.

A bare number is refused: `timeout: 5` means milliseconds to one reader and minutes to the next. 0 needs no unit.
"""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MEASURE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)\Z")
_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*(s|min|m|h|d)\Z")


class Seconds(float):
    """A duration in a settings Struct; converted from text such as `500ms`."""

    __slots__ = ()


class Bytes(int):
    """A size in a settings Struct; converted from text such as `256MB`."""

    __slots__ = ()


class Rate(tuple[int, float]):
    """(events, per seconds); converted from text such as `5/min`."""

    __slots__ = ()


def parse_seconds(value: object) -> Seconds:
    """Seconds from `500ms`, `1.5s`, `15m`, `24h`, `30d` or 0. Raises ValueError with the correct form."""
    number, unit = _split(value, "a duration", "5s, 500ms or 15m")
    if number == 0 and not unit:
        return Seconds(0.0)
    if unit not in _SECONDS:
        if not unit:
            raise ValueError(f"a duration needs a unit: {_plain(number)}s or {_plain(number)}ms")
        raise ValueError(f"unknown unit `{unit}` of a duration: use ms, s, m, h or d")
    # 15 digits are exact for every duration; multiplying by 0.001 would make 500ms 0.5 but 3ms 0.003 plus noise.
    return Seconds(round(number * _SECONDS[unit], 9))


def parse_bytes(value: object) -> Bytes:
    """Bytes from `256MB`, `64KiB` or 0. Raises ValueError with the correct form."""
    number, unit = _split(value, "a size", "256MB or 64KB")
    if number == 0 and not unit:
        return Bytes(0)
    if unit not in _BYTES:
        if not unit:
            raise ValueError(f"a size needs a unit: {_plain(number)}B or {_plain(number)}MB")
        raise ValueError(f"unknown unit `{unit}` of a size: use B, KB, MB, GB, KiB, MiB or GiB")
    return Bytes(round(number * _BYTES[unit]))


def parse_rate(value: object) -> Rate:
    """(events, seconds) from `5/min`, `10/s` or `3/10s`. Raises ValueError with the correct form."""
    match = _RATE.match(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) < 1 or match[2] == "0":
        raise ValueError('a rate is a text such as "5/min" or "3/10s"')
    return Rate((int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]))


def _split(value: object, what: str, example: str) -> tuple[float, str]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{what} is written as {example}")  # noqa: TRY004  # one class for every bad text
    match = _MEASURE.match(str(value).strip())
    if match is None:
        raise ValueError(f"`{value}` is not {what}: write {example}")
    return float(match[1]), match[2]


def _plain(number: float) -> str:
    return f"{number:g}"
