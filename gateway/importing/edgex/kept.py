"""What has no meaning here and is not lost: unknown keys become free texts, each with a note."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from gateway.importing.names import literal, meta_key
from gateway.importing.views import View

_LONGEST = 1000
_SECRET = re.compile(r"passw|passphrase|secret|token|private_?key|credential|api_?key", re.IGNORECASE)
HIDDEN = "(not copied)"


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is nobody's business."""
    return _SECRET.search(key) is not None


def without_secrets(key: str, value: Any) -> Any:
    """Plain data with everything hidden that a key calls a secret."""
    if is_secret(key):
        return HIDDEN
    if isinstance(value, dict):
        return {name: without_secrets(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_secrets("", each) for each in value]
    return value


def text_of(value: Any) -> str:
    """Plain data as one text: lists of words are joined, other structures are JSON."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)[:_LONGEST]
    if isinstance(value, str):
        return value.strip()[:_LONGEST]
    return json.dumps(value, ensure_ascii=False)[:_LONGEST]


def put(meta: dict[str, str], key: str, view: View | None) -> None:
    """Keep what stands in a key that is there."""
    if view is not None and (text := text_of(without_secrets(key, view.data))):
        meta[meta_key(meta, key, view)] = literal(text)


def keep_rest(view: View, known: Collection[str], meta: dict[str, str], prefix: str = "imported.") -> None:
    """Keep keys that nobody knows as `imported.KEY`, and say so."""
    for key in view.keys():  # noqa: SIM118 - a View is no mapping
        if key in known:
            continue
        found = view.get(key)
        put(meta, f"{prefix}{key}", found)
        kept = " and is kept in `meta`" if found is not None else ""
        place = view.key_place(key)
        view.report.ignored(place, f"`{place.path}` has no meaning here{kept}")


def put_all(meta: dict[str, str], view: View, keys: Iterable[str]) -> None:
    """Keep some keys under their own names."""
    for key in keys:
        put(meta, key, view.get(key))
