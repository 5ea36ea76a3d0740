"""When a payload says its values were true, as UTC milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

EARLIEST_MS = 946_684_800_000
"""2000-01-01. A device that says less has no clock."""
AHEAD_MS = 3_600_000
"""How far a device's clock may be ahead of ours."""
_FACTORS = {"s": 1000.0, "ms": 1.0, "us": 0.001}

Reader = Callable[[Any], int | None]


def reader(form: str) -> Reader:
    """What makes milliseconds of the raw value in a payload; None for what is no time."""
    if form == "iso":
        return iso
    factor = _FACTORS[form]

    def read(raw: Any) -> int | None:
        if isinstance(raw, str):
            try:
                raw = float(raw)
            except ValueError:
                return None
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            return None
        return round(raw * factor) if abs(raw) < 1e18 else None

    return read


def iso(raw: Any) -> int | None:
    """ISO 8601. A time without an offset is UTC; CBOR and msgpack bring times as such."""
    if isinstance(raw, str):
        try:
            raw = datetime.fromisoformat(raw)
        except ValueError:
            return None
    if not isinstance(raw, datetime):
        return None
    try:
        return round((raw if raw.tzinfo is not None else raw.replace(tzinfo=UTC)).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def is_credible(ts: int, now: int) -> bool:
    return EARLIEST_MS <= ts <= now + AHEAD_MS
