"""A tag's keys that hold one of its values: what it is expected to be, and what is wanted of it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gateway.model import Access, TagSpec, Value, ValueType, WriteLimits
from gateway.settings.constants import constant
from gateway.settings.keys import TagKeys
from gateway.settings.positions import Layers, Problems

_HINT = "write a value of the tag's type"
_FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}


class ValueMaker:
    """The part of one tag that compares or wants values."""

    def __init__(self, keys: TagKeys, layers: Layers, problems: Problems) -> None:
        self._keys = keys
        self._layers = layers
        self._problems = problems

    def add_to(self, spec: TagSpec) -> TagSpec:
        """`spec` with `expect` and `desired`; the same object for the many tags that have neither."""
        if self._keys.expect is None and self._keys.desired is None:
            return spec
        return replace(spec, expect=self._expect(spec), desired=self._desired(spec))

    def _expect(self, spec: TagSpec) -> Value:
        if self._keys.expect is None:
            return None
        origin = self._layers.origin("expect")
        if spec.access is Access.WRITE:
            self._problems.at_key(origin, "a tag that is only written shows no value to check", "remove `expect`")
            return None
        bare = replace(spec, access=Access.READ, write=WriteLimits(), range=None)  # nothing is written here
        return self._value(bare, self._keys.expect, "expect")

    def _desired(self, spec: TagSpec) -> Value:
        if self._keys.desired is None:
            return None
        if spec.access is not Access.READ_WRITE or spec.momentary:
            message = "`desired` is for tags with access rw that are not momentary: no other one has a state"
            self._problems.at_key(self._layers.origin("desired"), message, "add `access: rw`, or remove `desired`")
            return None
        return self._value(spec, self._keys.desired, "desired")

    def _value(self, spec: TagSpec, written: Any, key: str) -> Value:
        value = constant(spec.path, spec, written, self._layers.origin(key), self._problems, hint=_HINT)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and spec.type in _FLOATS else value  # type: ignore[arg-type]  # an int
