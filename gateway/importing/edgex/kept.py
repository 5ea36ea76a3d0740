"""What has no meaning here and is not lost: unknown keys become free texts, each with a note."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from gateway.importing.names import literal
from gateway.importing.views import View

_LONGEST = 1000
_FOREIGN = re.compile(r"[^\w. -]")


def text_of(value: Any) -> str:
    """Plain data as one text: lists of words are joined, other structures are JSON."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)[:_LONGEST]
    if isinstance(value, str):
        return value.strip()[:_LONGEST]
    return json.dumps(value, ensure_ascii=False)[:_LONGEST]


def put(meta: dict[str, str], key: str, view: View | None) -> None:
    """Keep what stands in a key that is there."""
    if view is not None and (text := text_of(view.data)):
        meta[_FOREIGN.sub("_", key)] = literal(text)


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
