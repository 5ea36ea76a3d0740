"""Arguments of the local ops, checked for their form before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.local.wire import OpError

LONGEST_TEXT = 500
"""Characters: what people say for the audit log stays readable there, and names are shorter."""


def only(args: Mapping[str, Any], *names: str) -> None:
    """No other arguments than these. Raises OpError 400."""
    strange = sorted(args.keys() - {*names, "caller"})
    if strange:
        raise OpError(f"there is no argument {strange[0]} here; there are {', '.join(names)}", code=400)


def text(args: Mapping[str, Any], key: str) -> str | None:
    """A text of bounded length; None when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None or (isinstance(value, str) and len(value) <= LONGEST_TEXT):
        return value
    raise OpError(f"{key} is a text of up to {LONGEST_TEXT} characters", code=400)


def seconds(args: Mapping[str, Any], key: str, longest_s: float) -> float:
    """A time in seconds. Raises OpError 400."""
    value = args.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= longest_s:
        raise OpError(f"{key} is a time of up to {longest_s / 86400:g} days in seconds", code=400)
    return float(value)


def mapping(args: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping; an empty one when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise OpError(f"{key} is a mapping", code=400)


def flag(args: Mapping[str, Any], key: str) -> bool:
    """True or false; false when it is absent. Raises OpError 400."""
    value = args.get(key, False)
    if isinstance(value, bool):
        return value
    raise OpError(f"{key} is true or false", code=400)


def whole(args: Mapping[str, Any], key: str, default: int, most: int) -> int:
    """A whole number from 1; `default` when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    raise OpError(f"{key} is a whole number from 1 to {most}", code=400)


def number(args: Mapping[str, Any], key: str) -> int | None:
    """A whole number; None when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise OpError(f"{key} is a whole number", code=400)
