"""Virtual tags that are computed: values of expressions, and totals."""

from __future__ import annotations

import math
from typing import Any

from gateway.model import Quality, Tag, Value, ValueType
from gateway.rulebook import VirtualSpec
from rules.binding import KEEP_GOOD, KEEP_USABLE, Binder
from rules.nodes import Hands, Node, schedule_of
from rules.totals import Total
from rules.values import Instant

SHOWN_MS = 10_000
"""How often a total that grows is told anew."""


class TagNode(Node):
    """A virtual tag that is computed."""

    kind = "tag"

    def __init__(self, tag: Tag, binder: Binder, hands: Hands) -> None:
        spec: VirtualSpec = tag.spec.virtual
        keep = KEEP_USABLE if spec.kind == "value" else KEEP_GOOD
        self.bound = binder.value(spec.text, spec.device or tag.device, keep=keep)
        super().__init__(tag.name, [self.bound], hands)
        self.tag = tag
        self.key = f"virtual/{tag.name}"
        self.total = Total(spec.kind) if spec.kind != "value" else None
        self.reset_at = schedule_of(spec.reset) if spec.reset is not None else None
        self.held = 0
        """Results that its deadband held back."""

    def evaluate(self, now: Instant) -> None:
        if self.total is None:
            self._tell(self.run(self.bound, now), now)
            return
        value = self.run(self.bound, now)
        self.total.see(value, now.at)
        if self.total.grows:
            deadline = (now.at // SHOWN_MS + 1) * SHOWN_MS
            if self.hands.timers.deadline(self.key) != deadline:
                self.hands.timers.set(self.key, deadline, lambda: self.hands.touch(self))
        self._tell_total(self.total, good=value is not None)

    def warm(self, now: Instant) -> None:
        if self.total is None:
            self._tell(self.run(self.bound, now), now)
        elif not self.total.has_counted(now.at):
            self.total.see(self.run(self.bound, now), now.at)

    def reset(self, now: Instant) -> None:
        """Begin the total anew."""
        assert self.total is not None
        self.total.reset(now.at)
        self._tell_total(self.total, good=self.run(self.bound, now) is not None)

    def adopt(self, old: Node, now: Instant) -> None:
        super().adopt(old, now)
        self.hands.timers.cancel(self.key)
        if (
            isinstance(old, TagNode)
            and self.total is not None
            and old.tag.spec.virtual.kind == self.tag.spec.virtual.kind
        ):
            self.total = old.total

    def leave(self, _now: Instant) -> None:
        self.hands.timers.cancel(self.key)
        self.hands.timers.cancel(f"reset/{self.name}")

    def _tell_total(self, total: Total, *, good: bool) -> None:
        value, quality = fit(self.tag, total.value())
        self.hands.computed(self.tag, value, quality or (0 if good else int(Quality.UNCERTAIN)))

    def _tell(self, value: Value, now: Instant) -> None:
        columns = self.hands.columns
        worst = max((columns.quality[slot] for slot in self.bound.needs), default=0)
        if value is None:
            self.hands.computed(self.tag, None, worst if worst >= KEEP_USABLE else int(Quality.BAD))
            return
        fitted, quality = fit(self.tag, value)
        if quality == 0 and self._held_back(fitted, worst, now):
            self.held += 1
            return
        self.hands.computed(self.tag, fitted, max(worst, quality))

    def _held_back(self, value: Value, quality: int, now: Instant) -> bool:
        """Within its deadband, and not silent for longer than its heartbeat."""
        columns, slot, report = self.hands.columns, self.tag.slot, self.tag.spec.report
        last = columns.values[slot]
        if report.deadband is None or quality != columns.quality[slot] or isinstance(value, bool):
            return False
        if not isinstance(value, int | float) or not isinstance(last, int | float):
            return False
        if report.heartbeat_s is not None and now.at - columns.arrived[slot] >= report.heartbeat_s * 1000:
            return False
        return abs(value - last) <= report.deadband


def _whole_numbers() -> dict[ValueType, tuple[int, int]]:
    """What each integer type holds: both ends included."""
    found = {ValueType.BCD16: (0, 9_999), ValueType.BCD32: (0, 99_999_999)}
    found |= {ValueType.MOD10K32: (0, 99_999_999), ValueType.MOD10K64: (0, 9_999_999_999_999_999)}
    for kind in ValueType:
        head, _, bits = kind.value.partition("int")
        if bits:
            size = int(bits)
            found[kind] = (0, 2**size - 1) if head == "u" else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    return found


_WHOLE = _whole_numbers()


def fit(tag: Tag, value: Any) -> tuple[Value, int]:
    """A result as the tag's type, and the quality that this costs."""
    kind = tag.spec.type
    if kind is ValueType.BOOL:
        return bool(value), 0
    if isinstance(value, str | bytes):
        return value, 0
    if not math.isfinite(value):
        return None, int(Quality.BAD)
    if kind in _WHOLE:
        value = round(value)
        low, high = _WHOLE[kind]
        if not low <= value <= high:
            return None, int(Quality.BAD_RANGE)
    elif kind in (ValueType.FLOAT32, ValueType.FLOAT64):
        value = float(value)
    span = tag.spec.range
    if span is not None and not span[0] <= value <= span[1]:
        return value, int(Quality.BAD_RANGE)
    return value, 0
