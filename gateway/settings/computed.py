"""Computed tags and interlocks of a tree, checked once all devices are known."""

from __future__ import annotations

from gateway.model import TagSpec, ValueType
from gateway.settings.expression_places import Places
from gateway.settings.inventory import Entry
from gateway.settings.positions import Layers, Origin
from gateway.settings.steps import misfit
from gateway.settings.virtual_keys import KINDS

_WANTED = {"counts": "bool", "hours": "bool", "integral": "number"}
_INSTEAD = {"counts": "compare it: ... > 0", "hours": "compare it: ... > 0", "integral": "name a number"}


class Computed:
    """Checks the expressions of tags, and that no value is computed from itself."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._problems = places.problems
        self._reads: dict[str, tuple[tuple[str, ...], str, Origin]] = {}

    def check(self) -> None:
        """Check all devices."""
        for entry in self._places.inventory:
            for path, (spec, layers) in entry.tags.items():
                if spec.write.interlock:
                    self._interlock(entry, spec, layers)
                if spec.virtual is not None and spec.virtual.kind in KINDS:
                    self._virtual(entry, path, spec, layers)
        self._check_circles()

    def _interlock(self, entry: Entry, spec: TagSpec, layers: Layers) -> None:
        origin = layers.origin("write", "while")
        self._places.condition(spec.write.interlock, origin, entry.id, what="`while`")

    def _virtual(self, entry: Entry, path: str, spec: TagSpec, layers: Layers) -> None:
        kind, text = spec.virtual.kind, spec.virtual.text
        origin = layers.origin(kind)
        if text.strip():
            checked = self._places.expression(text, origin, entry.id)
            if checked is not None:
                self._check_type(kind, checked.type, spec, origin)
                self._reads[f"{entry.id}.{path}"] = (checked.tags, text, origin)
        reset = spec.virtual.reset
        if reset is not None and isinstance(layers.values.get("reset"), dict):
            self._places.cron(reset.cron, reset.zone, layers.origin("reset", "cron"))

    def _check_type(self, kind: str, found: str, spec: TagSpec, origin: Origin) -> None:
        if spec.type in {ValueType.BYTES, ValueType.OBJECT}:
            return  # refused already
        if kind == "value":
            fault = misfit(found, spec)
            if fault:
                message = f"this gives a {found}, the tag is {spec.type.value}"
                self._problems.at(origin, message, fault, spoils=True)
        elif found != _WANTED[kind]:
            self._problems.at(
                origin, f"`{kind}` needs a {_WANTED[kind]}, this gives a {found}", _INSTEAD[kind], spoils=True
            )

    def _check_circles(self) -> None:
        """Walk what each computed tag reads; each circle is told once, at the tag in it that comes first."""
        done: set[str] = set()
        for start in self._reads:
            trail: list[str] = []
            stack: list[tuple[str, int]] = [(start, 0)]
            while stack:
                name, following = stack.pop()
                if following == 0:
                    if name in done:
                        continue
                    trail.append(name)
                tags = self._reads[name][0]
                if following >= len(tags):
                    done.add(name)
                    trail.pop()
                    continue
                stack.append((name, following + 1))
                other = tags[following]
                if other in trail:
                    self._tell(trail[trail.index(other) :])
                elif other in self._reads and other not in done:
                    stack.append((other, 0))

    def _tell(self, circle: list[str]) -> None:
        _, text, origin = self._reads[circle[-1]]
        device, _, path = circle[0].partition(".")
        offset = max(text.find(f"{device}.{path}"), text.find(path), 0)
        shown = " -> ".join([*circle, circle[0]])
        hint = "a value that builds on itself is a total: use `counts`, `hours` or `integral`"
        self._problems.at_text(origin, text, offset, f"this is computed from itself: {shown}", hint)
