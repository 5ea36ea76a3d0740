"""What has no meaning here and is not lost: free texts in `meta`, each with a note. Secrets are never kept."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from gateway.importing.names import literal, meta_key
from gateway.importing.views import View

_LONGEST = 1000
_SECRET = re.compile(r"pass(word|wd|phrase)?|secret|token|private_?key|api_?key", re.IGNORECASE)


def text_of(value: Any) -> str:
    """Plain data as one text; structures are JSON."""
    text = value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_LONGEST]


def put(meta: dict[str, str], key: str, view: View) -> None:
    """Keep the value of a key."""
    if text := text_of(view.data):
        meta[meta_key(meta, key, view)] = literal(text)


def keep_rest(view: View | None, known: Collection[str], meta: dict[str, str], prefix: str = "imported.") -> None:
    """Keep keys that nobody knows as `imported.KEY`, and say so."""
    if view is None:
        return
    for key in view.keys():  # noqa: SIM118 - a View is no mapping
        if key in known:
            continue
        place, found = view.key_place(key), view.get(key)
        if found is not None and _holds_secret(key, found.data):
            view.report.warning(place, f"`{place.path}` has no meaning here, and secrets are not copied")
            continue
        if found is not None:
            put(meta, f"{prefix}{key}", found)
        view.report.ignored(
            place, f"`{place.path}` has no meaning here" + (" and is kept in `meta`" if found is not None else "")
        )


def _holds_secret(key: str, data: Any) -> bool:
    """Whether a key, or one below it, is called as secrets are."""
    if _SECRET.search(key):
        return True
    if isinstance(data, dict):
        return any(_holds_secret(str(name), value) for name, value in data.items())
    return isinstance(data, list) and any(_holds_secret("", value) for value in data)
