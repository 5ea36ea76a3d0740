"""Wanted and reported values: `desired` of a property, and the twins that a cluster keeps in `status`."""

from __future__ import annotations

import math
from typing import Any

from gateway.importing.kubeedge.objects import Resource
from gateway.importing.views import View

_FLAGS = {"1": True, "0": False, "true": True, "false": False, "on": True, "off": False}


class Unfit(ValueError):
    """A text that is no value of the tag."""


def value_of(text: str, keys: dict[str, Any]) -> Any:
    """The value that a twin's text is for a tag with these keys. Raises Unfit."""
    kind = keys.get("type", "")
    text = text.strip()
    if text in (keys.get("labels") or {}).values() or kind in {"string", ""}:
        return text
    if kind == "bool":
        if text.lower() not in _FLAGS:
            raise Unfit(f"`{text[:40]}` is neither true nor false")
        return _FLAGS[text.lower()]
    if kind == "bytes":
        return text
    try:
        number = float(text)
        whole = int(text) if text.lstrip("+-").isdecimal() and len(text) < 40 else None
    except ValueError:
        raise Unfit(f"`{text[:40]}` is no number") from None
    if not math.isfinite(number):
        raise Unfit(f"`{text[:40]}` is no number")
    return number if whole is None else whole


def twins_of(device: Resource) -> dict[str, View]:
    """The twins in `status`, by property."""
    status = device.view.get("status")
    listed = status.get("twins") if status is not None and status.is_map else None
    found: dict[str, View] = {}
    for view in (listed.as_list() or ()) if listed is not None else ():
        name = view.get("propertyName", "name") if view.as_map() is not None else None
        if name is not None and (text := name.as_text()):
            found[text] = view
    return found


def wanted_of(view: View | None) -> View | None:
    """The value below `desired` (or `observedDesired`)."""
    if view is None or view.as_map() is None:
        return None
    _ = view.get("metadata").data if view.get("metadata") is not None else None  # type: ignore[union-attr]
    value = view.get("value")
    return value if value is not None and value.is_scalar else None
