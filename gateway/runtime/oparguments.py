"""Arguments of ops, each checked in one place: what has the wrong form is refused with 400 before anything happens."""

from __future__ import annotations

from typing import Any

from gateway.runtime.ops import Call, OpRefused

MAX_ITEMS = 500


def values(call: Call) -> dict[str, Any]:
    """`values` {tag: value}, at least one, at most 500."""
    given = call.args.get("values")
    if not isinstance(given, dict) or not given:
        raise OpRefused(f"{call.op} takes args.values: {{tag: value}}", code=400)
    _few(call, given)
    return given


def names(call: Call, key: str) -> list[str] | None:
    """A list of texts; None when it is absent."""
    given = call.args.get(key)
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise OpRefused(f"{call.op}: {key} is a list of texts", code=400)
    _few(call, given)
    return list(dict.fromkeys(given))


def _few(call: Call, given: Any) -> None:
    if len(given) > MAX_ITEMS:
        raise OpRefused(f"{call.op}: {len(given)} items; at most {MAX_ITEMS} in one command", code=413)


def only(call: Call, *keys: str) -> None:
    """No other arguments than these: one that is misspelt is not left out silently."""
    strange = sorted(call.args.keys() - set(keys))
    if strange:
        known = f"; there are {', '.join(keys)}" if keys else ""
        raise OpRefused(f"{call.op} takes no args.{strange[0]}{known}", code=400)


def text(call: Call, key: str) -> str:
    """A text that must be there."""
    given = call.args.get(key)
    if not isinstance(given, str) or not given:
        raise OpRefused(f"{call.op} takes args.{key}: a text", code=400)
    return given


def whole(call: Call, key: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number that must be there."""
    given = call.args.get(key)
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise OpRefused(f"{call.op} takes args.{key}: a whole number from {least} to {most}", code=400)
    return given


def flag(call: Call, key: str, *, default: bool | None = None) -> bool:
    """True or false; must be there when there is no default."""
    given = call.args.get(key, default)
    if not isinstance(given, bool):
        raise OpRefused(f"{call.op} takes args.{key}: true or false", code=400)
    return given


def seconds(call: Call, key: str, longest_s: float, shortest_s: float = 0.001) -> float:
    """A duration in ms that must be there, as seconds."""
    given = call.args.get(key)
    right = isinstance(given, int | float) and not isinstance(given, bool)
    if not right or not shortest_s * 1000 <= given <= longest_s * 1000:  # type: ignore[operator]
        span = f"from {shortest_s * 1000:.0f} to {longest_s * 1000:.0f}, which is {_said(longest_s)}"
        raise OpRefused(f"{call.op} takes args.{key}: milliseconds {span}", code=400)
    return float(given) / 1000.0  # type: ignore[arg-type]


def _said(seconds_: float) -> str:
    """A longest time for people."""
    size, unit = next((pair for pair in ((86_400, "d"), (3600, "h"), (60, "min")) if seconds_ >= pair[0]), (1, "s"))
    return f"{seconds_ / size:g} {unit}"
