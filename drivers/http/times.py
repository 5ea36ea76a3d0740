"""When an answer says it was true: ISO 8601, or seconds or milliseconds since 1970."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

# A number below is one of seconds (until the year 5138), above of milliseconds (from 1973).
_MILLISECONDS_FROM: Final = 100_000_000_000
# Devices without a set clock count from 1970 or 2000: what is older than this is no time.
OLDEST_MS: Final = 1_262_304_000_000  # 2010-01-01
NEWEST_MS: Final = 4_102_444_800_000  # 2100-01-01


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Raises ValueError for a zone that does not exist."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is no time zone of the IANA database") from error


def milliseconds(value: Any, timezone: str) -> int | None:
    """UTC milliseconds; None for what is no time, or that of a clock which nobody set.

    `timezone`: of times that say none.
    """
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            when = datetime.fromisoformat(value.strip())
            if when.tzinfo is None:
                when = when.replace(tzinfo=zone(timezone))
            found = round(when.timestamp() * 1000)
        elif isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        else:
            number = float(value)
            found = round(number if number >= _MILLISECONDS_FROM else number * 1000)
    except (ValueError, OverflowError, OSError):
        return None
    return found if OLDEST_MS <= found <= NEWEST_MS else None
