"""How values, ages, sizes and times look to people. Pure text."""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*\Z")


def duration(text: str) -> float:
    """Seconds of `10s`, `2m`, `1.5h`... Raises ValueError that shows the form."""
    match = _DURATION.match(text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is not a duration: write 500ms, 10s, 2m, 1h or 1d")
    return float(match[1]) * _UNITS[match[2]]


def age(ms: float | None) -> str:
    """How old something is: `850 ms`, `4.2 s`, `3 min`, `2.5 h`, `4 d`; a dash when it never was."""
    if ms is None:
        return "-"
    seconds = max(0.0, ms / 1000)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"


def span(seconds: float) -> str:
    """How long something may take, exactly: `20 s`, `1.5 min`, `2 h`."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size and (seconds * 10 / size).is_integer():
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def since(ts: float | None) -> str:
    """How long ago a UTC time in ms was."""
    return age(None if ts is None else now_ms() - ts)


def clock(ts: float | None) -> str:
    """A UTC time in ms as local date and time."""
    return "-" if ts is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ts / 1000))


def clock_ms(ts: float | None) -> str:
    """A UTC time in ms as local date and time, to the millisecond: for what happened in which order."""
    return "-" if ts is None else f"{clock(ts)}.{int(ts) % 1000:03d}"


def now_ms() -> float:
    """The time that ages are reckoned from, UTC ms."""
    return time.time() * 1000


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def value(raw: Any) -> str:
    """A tag's value: no binary noise of floats, booleans as in the configuration, a dash for nothing."""
    if raw is None:
        return "-"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float):
        if not math.isfinite(raw):
            return "-"
        return f"{raw:.1f}" if raw == int(raw) and abs(raw) < 1e15 else f"{raw:.6g}"
    if isinstance(raw, dict | list):
        return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    return str(raw)


def quality_style(quality: str) -> str:
    """The style of a row by its quality text: bad, uncertain or plain."""
    head = quality.partition("/")[0]
    return head if head in {"bad", "uncertain"} else ""
