"""Memory tags that rules set: the checks of a write by hand (gateway.commands), which these never meet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gateway.model import Tag, Value
from rules.tagnodes import fit

if TYPE_CHECKING:
    from rules.engine import Engine


class Guard:
    """What may be set now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent: dict[str, deque[int]] = {}

    def take(self, tag: Tag, value: Value) -> tuple[Value, str]:
        """The value as the tag's type, and why it must not be set; a value that may be set counts for its rate."""
        fitted, quality = fit(tag, value)
        if quality:
            return fitted, f"{value!r} is beyond what a {tag.spec.type.value} of it may hold"
        reason = self._limits(tag, fitted) or self._interlock(tag) or self._rate(tag)
        return fitted, reason

    def _limits(self, tag: Tag, value: Value) -> str:
        write, columns = tag.spec.write, self._engine.columns
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if write.minimum is not None and value < write.minimum:
            return f"{value:g} is below {write.minimum:g}"
        if write.maximum is not None and value > write.maximum:
            return f"{value:g} is above {write.maximum:g}"
        now = columns.values[tag.slot]
        if write.max_change is not None and isinstance(now, int | float) and abs(value - now) > write.max_change:
            return f"{value:g} is more than {write.max_change:g} away from {now:g}"
        return "" if "rule" in write.allow else "it is not written by rules"

    def _interlock(self, tag: Tag) -> str:
        return self._engine.interlock(tag) if tag.spec.write.interlock else ""

    def _rate(self, tag: Tag) -> str:
        if tag.spec.write.rate is None:
            return ""
        count, per_s = tag.spec.write.rate
        recent = self._recent.setdefault(tag.name, deque(maxlen=count))
        at = self._engine.now.at
        if len(recent) == count and at - recent[0] < per_s * 1000:
            return f"more than {count} writes in {per_s:g} s"
        recent.append(at)
        return ""
