"""A tag's keys about writing: its limits, what a reconnect does to it, who wins when two sides changed it."""

from __future__ import annotations

from gateway.model import WRITERS, Access, ValueType, WriteLimits
from gateway.settings.keys import ReconnectTagKeys, TagKeys, WriteKeys
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.sections import section

REAPPLY_S = 24 * 3600.0
"""What a plain `reapply` means."""
_LONGEST_REAPPLY_S = 30 * 86400.0
_NOT_NUMERIC = {ValueType.BOOL, ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}
# Most tags have no limits of their own: one object for all of them keeps thousands of tags small.
_NO_LIMITS = WriteLimits()


class WriteMaker:
    """The part of one tag that is about writing."""

    def __init__(self, keys: TagKeys, layers: Layers, problems: Problems) -> None:
        self._keys = keys
        self._layers = layers
        self._problems = problems

    def limits(self) -> WriteLimits:
        """Key `write`."""
        if "write" not in self._layers.values:
            return _NO_LIMITS
        if self._keys.access is Access.READ:
            message = "`write` is for tags that can be written, this one has access r"
            self._problems.at_key(self._layers.origin("write"), message, "add `access: rw`")
        origin = self._layers.origin("write")
        keys = section(WriteKeys, self._keys.write, origin, self._problems, what="`write`")
        if keys is None:
            return WriteLimits()
        if keys.min is not None and keys.max is not None and keys.min > keys.max:
            self._problems.at(origin.child("min"), f"min {keys.min} is above max {keys.max}", "swap them")
        if keys.max_change is not None:
            self._check_max_change(origin.child("max_change"))
        rate = None if keys.rate is None else (int(keys.rate[0]), float(keys.rate[1]))
        allow = WRITERS if keys.allow is None else tuple(who for who in WRITERS if who in keys.allow)
        interlock = (keys.while_ or "").strip()
        return WriteLimits(_float(keys.min), _float(keys.max), rate, keys.max_change, allow, interlock)

    def _check_max_change(self, place: Origin) -> None:
        """A change is judged by the value there was: it must be a number, and it must be possible to read it."""
        kind = self._keys.type
        if kind in _NOT_NUMERIC:
            message = f"`max_change` is for numbers, this tag is a {kind.value}"
            self._problems.at_key(place, message, "remove `max_change`")
        elif not self._has_a_state() and self._keys.access is not Access.READ:
            message = "`max_change` needs the value before, and this tag cannot be read or keeps none"
            self._problems.at_key(place, message, "use `min` and `max`")

    def reapply_s(self) -> float | None:
        """Key `on_reconnect`: the age limit of `reapply`, None for `keep`."""
        written = self._keys.on_reconnect
        if written == "keep":
            return None
        origin = self._layers.origin("on_reconnect")
        if not self._has_a_state():
            self._problems.at(origin, "`reapply` is for tags with access rw that are not momentary", "write keep")
        if written == "reapply" or not isinstance(written, dict):
            return REAPPLY_S
        keys = section(ReconnectTagKeys, written, origin, self._problems, what="`on_reconnect`")
        if keys is None:
            return None
        if not 0 < keys.reapply <= _LONGEST_REAPPLY_S:
            message = "a value is written again for at most 30d, and for more than 0s"
            self._problems.at(origin.child("reapply"), message, "write {reapply: 24h}, or keep")
        return float(keys.reapply)

    def conflict(self) -> str | None:
        """Key `conflict`: this tag's own policy, None for the device's."""
        policy = self._keys.conflict
        if policy is not None and not self._has_a_state():
            message = "`conflict` is for tags with access rw that are not momentary: no other one has two sides"
            self._problems.at_key(self._layers.origin("conflict"), message, "remove `conflict`")
        return policy

    def _has_a_state(self) -> bool:
        return self._keys.access is Access.READ_WRITE and not self._keys.momentary


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
