"""Binds expressions to the columns of an engine: one window for all who ask for the same, tags to their slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import structs

from gateway.model import Tag, TagSpec
from rules.values import GOOD_BELOW

if TYPE_CHECKING:
    from rules.expression import BoundTemplate, Program, Run
    from rules.windows import Window, WindowSpec

KEEP_GOOD = GOOD_BELOW
"""Conditions and actions: an input that is not good has no value."""
KEEP_USABLE = 128
"""Computed tags: an uncertain input gives an uncertain value."""


class Look:
    """An expression at work: `run` gives its value, or None. `named`: the tags it names, with their slots. `needs`:
    slots that must be good. `has_age`: its result may change by time alone; `on_every_reading`: it must see each one.
    """

    __slots__ = (
        "has_age",
        "named",
        "needs",
        "on_every_reading",
        "restore",
        "run",
        "slots",
        "state",
        "text",
        "windows",
    )

    def __init__(self, program: Program, binder: Binder, keep: int) -> None:
        bound = program.bind(binder.slots, binder.window, keep=keep)
        self.run: Run = bound.run
        self.state = bound.state
        self.restore = bound.restore
        self.text = program.text
        self.named = [(name, binder.slots[name]) for name in program.tags]
        self.slots = bound.slots
        self.needs = bound.needs
        self.windows: list[Window] = bound.windows
        self.has_age = program.has_age
        self.on_every_reading = program.on_every_reading


class Binder:
    """All that one generation of an engine compiles. `at`: boot clock now, when new windows begin to watch. `known`:
    windows of the generation before, to go on with.
    """

    def __init__(
        self, tags: Iterable[Tag], at: int, offset: int, known: Mapping[WindowSpec, Window] | None = None
    ) -> None:
        self.tags: dict[str, Tag] = {tag.name: tag for tag in tags}
        self.slots: dict[str, int] = {name: tag.slot for name, tag in self.tags.items()}
        self.windows: dict[WindowSpec, Window] = {}
        self.made: dict[WindowSpec, Window] = {}
        """Those that were not known before."""
        self._known = known or {}
        self._at = at
        self._offset = offset
        self._specs: dict[tuple[str, str], TagSpec] = {(tag.device, tag.path): tag.spec for tag in self.tags.values()}
        self._lateness = 0

    def find(self, device: str, path: str) -> TagSpec | None:
        return self._specs.get((device, path))

    def late_by(self, seconds: float) -> None:
        """Windows that are bound from now on take readings that are so late."""
        self._lateness = round(seconds * 1000)

    def condition(self, text: str, device: str) -> Look:
        """A condition: True, False, or None while an input is not good. Raises ExpressionError."""
        return self._look(text, device, KEEP_GOOD, condition=True)

    def value(self, text: str, device: str, *, keep: int = KEEP_GOOD) -> Look:
        """An expression of any type. Raises ExpressionError."""
        return self._look(text, device, keep, condition=False)

    def _look(self, text: str, device: str, keep: int, *, condition: bool) -> Look:
        from rules.expression import compile_expression  # only a gateway with rules has a use for it

        return Look(compile_expression(text, device, self.find, condition=condition), self, keep)

    def template(self, text: str, device: str) -> BoundTemplate:
        """A text with tags in it. Raises ExpressionError."""
        from rules.expression import compile_template

        return compile_template(text, device, self.find).bind(self.slots)

    def window(self, spec: WindowSpec) -> Window:
        """The window that everybody shares who asks for the same."""
        from rules.windows import make_window

        spec = structs.replace(spec, lateness_ms=self._lateness)
        window = self.windows.get(spec)
        if window is None:
            known = self._known.get(spec)
            window = known if known is not None else make_window(spec, self._at, self._offset)
            if known is None:
                self.made[spec] = window
            self.windows[spec] = window
        return window
