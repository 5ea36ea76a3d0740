"""Keys whose value is an expression: YAML makes something else of many of them when the quotes are missing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.settings.positions import Layers, Problems


def only_texts(values: dict[str, Any], keys: Collection[str], layers: Layers, problems: Problems) -> dict[str, Any]:
    """`values` without those of `keys` that are a mapping or a list; each is reported with the form that works."""
    kept = dict(values)
    for key in keys:
        value = values.get(key)
        if isinstance(value, dict | list):
            kind = "a mapping" if isinstance(value, dict) else "a list"
            message = f"`{key}` is an expression in one text, YAML reads {kind} here"
            problems.at(layers.origin(key), message, f'put it in quotes: {key}: "{_guess(value)}"', spoils=True)
            del kept[key]
        elif isinstance(value, bool | int | float):
            kept[key] = str(value).lower()
    return kept


def _guess(value: Any) -> str:
    """What was meant: `{tag: pump.speed, above: 80}` and `{pump.speed: ...}` name their tag."""
    if isinstance(value, dict):
        tag = value.get("tag", next(iter(value), ""))
        for key, sign in (("above", ">"), ("below", "<"), ("is", "==")):
            if key in value:
                return f"{tag} {sign} {value[key]}"
        if tag and "tag" not in value:
            return f"{{{tag}}} ..."
    return "pump.speed > 80"
