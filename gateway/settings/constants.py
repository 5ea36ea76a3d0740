"""Constants for tags in a configuration: checked by the rules that every later write goes through."""

from __future__ import annotations

from typing import Any

from gateway.commands import coerce
from gateway.errors import WriteRejected
from gateway.model import Access, Tag, TagSpec, Value, ValueType
from gateway.settings.convert import YES_NO
from gateway.settings.positions import Origin, Problems
from gateway.transform import RAW, to_raw

_EXPRESSION = 'for an expression write {value: "..."}'


def constant(
    name: str, spec: TagSpec, value: Any, origin: Origin, problems: Problems, *, hint: str = _EXPRESSION
) -> Value:
    """`value` as the tag `name` takes it; what it would refuse is reported at `origin`. `hint`: for a text."""
    device, _, path = name.rpartition(".")
    tag = Tag(device, path, -1, 0, spec)
    try:
        found = coerce(tag, value)
        numeric = RAW[spec.type].bits > 1
        if numeric and spec.virtual is None and spec.scale_from is None and spec.access is not Access.READ:
            to_raw(spec, found)
    except WriteRejected as error:
        hint = hint if isinstance(value, str) else ""
        if spec.type is ValueType.BOOL and isinstance(value, str) and value.lower() in YES_NO:
            hint = f"write {YES_NO[value.lower()]}"
        problems.at(origin, str(error).removeprefix("" if device else "."), hint, spoils=True)
        return None
    return found
