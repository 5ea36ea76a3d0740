"""`meta` of tags and devices: free texts that people and importers keep with a thing."""

from __future__ import annotations

from typing import Any

from gateway.settings.convert import show
from gateway.settings.positions import Origin, Problems


def free_texts(written: dict[str, Any], origin: Origin, problems: Problems) -> tuple[tuple[str, str], ...]:
    """The texts by key; what is none is reported at its place and still given as text."""
    for key, value in written.items():
        if isinstance(value, dict | list) or value is None:
            shown = "empty" if value is None else show(value)
            message = f"`{key}` in `meta` must be a text, it is {shown}"
            problems.at(origin.child(key), message, f"write {key}: some text")
    return tuple((key, str(value)) for key, value in written.items())
