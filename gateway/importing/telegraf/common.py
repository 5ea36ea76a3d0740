"""What both inputs say in the same way."""

from __future__ import annotations

from typing import Any

from gateway.importing import numbers
from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.views import View


def interval(plugin: View, general: View | None, draft: Draft) -> str:
    """How often an input is read: its own interval, else the agent's, else Telegraf's ten seconds."""
    if draft.options.interval:
        return draft.options.interval
    found = plugin.get("interval") or general
    seconds = found.as_seconds(1.0) if found is not None else None
    return duration(seconds or 10.0)


def duration(seconds: float) -> str:
    """Seconds as a file says them."""
    return numbers.duration(round(seconds * 1000))


def texts(view: View | None) -> dict[str, str]:
    """Telegraf's tags as texts: a mapping, or a list of pairs."""
    found: dict[str, str] = {}
    if view is not None and view.is_map:
        found = {literal(key): literal(value.text) for key, value in view.entries() if value.is_scalar}
    elif view is not None:
        for pair in view.items():
            both = list(pair.items())
            if len(both) == 2:
                found[literal(both[0].text)] = literal(both[1].text)
    return found


def text_of(view: View, key: str, default: str = "") -> str:
    """A text of a mapping."""
    found = view.get(key)
    return default if found is None else (found.as_text() or default)


def with_texts(keys: dict[str, Any], more: dict[str, str]) -> dict[str, Any]:
    """Keys of a tag with more texts."""
    return {**keys, "meta": {**keys.get("meta", {}), **more}} if more else keys
