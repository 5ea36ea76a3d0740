"""A tag without an address: computed by an expression, or a memory. Its keys to a VirtualSpec."""

from __future__ import annotations

from typing import Any

from gateway.model import Access, TagSpec, ValueType
from gateway.rulebook import VirtualSpec
from gateway.settings.constants import constant
from gateway.settings.every_keys import read_reset
from gateway.settings.keys import TagKeys
from gateway.settings.positions import Layers, Problems

KINDS = ("value", "counts", "hours", "integral")
"""Keys with an expression; a tag has one of them."""
KEYS = frozenset((*KINDS, "reset", "initial"))
DRIVER = "virtual"
"""The driver whose tags without an expression are memories."""
TOTALS = ("counts", "hours", "integral")
_FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}
_WIRE = (
    "mask",
    "shift",
    "base",
    "scale",
    "offset",
    "invalid",
    "scale_from",
    "wrap",
    "coherent",
    "group",
    "interval",
    "verify",
    "tolerance",
    "on_reconnect",
    "on_demand",
    "momentary",
    "expect",
    "strict_edgex",
)
"""Kernel keys that are about reading and writing a device."""


def is_virtual(values: dict[str, Any], driver: str, own: Any) -> bool:
    """Whether a tag with these keys has no address. A key that the driver has for itself is the driver's."""
    return driver == DRIVER or any(key in values for key in KINDS if key not in own)


def without_wire(values: dict[str, Any], layers: Layers, own: Any, problems: Problems) -> dict[str, Any]:
    """`values` without the keys that need a wire: those of the tag itself are reported, defaults just fall off."""
    for values_below, origin in layers.stack:
        if origin.path[-1:] == ("defaults",):
            continue
        for key in values_below:
            if key in _WIRE or (key in own and key not in KEYS):
                message = f"`{key}` is for tags of a device, this one has no address"
                problems.at_key(origin.child(key), message, f"remove `{key}`", spoils=True)
    return {key: value for key, value in values.items() if key not in _WIRE and key not in own}


class VirtualMaker:
    """The part of one tag that says how it gets its value."""

    def __init__(self, keys: TagKeys, layers: Layers, problems: Problems, timezone: str) -> None:
        self._keys = keys
        self._layers = layers
        self._problems = problems
        self._timezone = timezone

    def spec(self, tag: TagSpec) -> VirtualSpec:
        """How `tag` gets its value. Its device is filled in by whoever knows it."""
        written = [kind for kind in KINDS if kind in self._layers.values]
        for extra in written[1:]:
            message = f"`{written[0]}` and `{extra}` both say what the value is"
            self._problems.at_key(self._layers.origin(extra), message, "keep one of them")
        kind = written[0] if written else "memory"
        self._check_type(kind)
        self._check_access(kind)
        text = getattr(self._keys, kind) if written else ""
        if text is not None and written and not str(text).strip():
            self._problems.at(self._layers.origin(kind), f"`{kind}` has no expression", "write one")
        return VirtualSpec(kind, str(text or ""), initial=self._initial(kind, tag), reset=self._reset(kind))

    def _check_type(self, kind: str) -> None:
        wanted = self._keys.type
        origin = self._layers.origin("type")
        if kind in {"hours", "integral"} and wanted not in _FLOATS:
            self._problems.at(origin, f"`{kind}` gives fractions, a {wanted.value} cannot hold them", "type: float64")
        elif kind == "counts" and wanted in {ValueType.BOOL, ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}:
            self._problems.at(origin, f"a count is a number, not a {wanted.value}", "type: uint32")
        elif kind == "value" and wanted in {ValueType.BYTES, ValueType.OBJECT}:
            self._problems.at(origin, f"no expression gives {wanted.value}", "type: string")

    def _check_access(self, kind: str) -> None:
        access = self._keys.access
        if kind != "memory" and access is not Access.READ:
            message = "a computed tag cannot be written: its value is what its expression gives"
            self._problems.at(self._layers.origin("access"), message, "remove `access`")
        elif kind == "memory" and access is Access.WRITE:
            self._problems.at(self._layers.origin("access"), "a memory can be read too", "write rw")

    def _initial(self, kind: str, tag: TagSpec) -> Any:
        if "initial" not in self._layers.values:
            return None
        origin = self._layers.origin("initial")
        if kind != "memory":
            self._problems.at_key(origin, "`initial` is for memories: this tag is computed", "remove `initial`")
            return None
        hint = "write true or false" if tag.type is ValueType.BOOL else "" if tag.labels else "write a number"
        value = constant(tag.path, tag, self._keys.initial, origin, self._problems, hint=hint)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and tag.type in _FLOATS else value  # type: ignore[arg-type]  # an int

    def _reset(self, kind: str) -> Any:
        if "reset" not in self._layers.values:
            return None
        origin = self._layers.origin("reset")
        if kind not in TOTALS:
            self._problems.at_key(origin, f"`reset` is for {', '.join(TOTALS)}", "remove `reset`")
            return None
        return read_reset(self._keys.reset, origin, self._problems, self._timezone)
