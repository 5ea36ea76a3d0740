"""Steps of a rule, compiled: what is to be done, with its expressions and texts resolved when its turn comes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.model import Value
from gateway.rulebook import Step
from rules.binding import Binder, Look
from rules.columns import Columns
from rules.values import Instant

if TYPE_CHECKING:
    from rules.expression import BoundTemplate


class CompiledStep:
    """One step. `resolve` gives its values and its text now."""

    __slots__ = ("_assign", "_template", "delay_ms", "kind", "step")

    def __init__(self, step: Step, binder: Binder, device: str) -> None:
        self.step = step
        self.kind = step.kind
        self.delay_ms = round(step.seconds * 1000)
        self._assign: list[tuple[str, Value, Look | None]] = [
            (one.tag, one.value, binder.value(one.expression, device) if one.expression else None)
            for one in step.assign
        ]
        self._template: BoundTemplate | None = binder.template(step.text, device) if step.text else None

    @property
    def bounds(self) -> list[Look]:
        return [bound for _, _, bound in self._assign if bound is not None]

    @property
    def slots(self) -> list[int]:
        """Tags that it reads."""
        named = [] if self._template is None else list(self._template.slots)
        return named + [slot for bound in self.bounds for slot in bound.slots]

    def resolve(self, columns: Columns, now: Instant) -> tuple[tuple[tuple[str, Value], ...], str, str]:
        """(values, text, the tag that has no value now or nothing)."""
        values: list[tuple[str, Value]] = []
        for tag, constant, bound in self._assign:
            value: Any = constant
            if bound is not None:
                for window in bound.windows:
                    window.move(now)
                value = bound.run(columns.values, columns.quality, columns, now.at)
                if value is None:
                    return (), "", tag
            values.append((tag, value))
        text = "" if self._template is None else self._template.render(columns.values, columns.quality)
        return tuple(values), text, ""


def compile_steps(steps: Sequence[Step], binder: Binder, device: str) -> list[CompiledStep]:
    return [CompiledStep(step, binder, device) for step in steps]


def fingerprint(steps: Sequence[Step]) -> int:
    """Names a sequence: one that was changed in the meantime is not taken up in its middle."""
    return zlib.crc32(msgspec.json.encode(steps))
