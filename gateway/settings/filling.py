"""Puts parameters into the values of one device and remembers which of them were used."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Key, Layers, Origin, Problems
from gateway.settings.references import FromEnvironment
from gateway.settings.templates import TemplateError, fill, fill_known, has_braces

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


_OWN_LAYERS = {"tags", "alarms", "commands"}
"""What is below these is filled when it is laid over its profile's."""
_TEXTS = {"text", "action"}
"""Of these a parameter alone is a text all the same."""
_EXPRESSIONS = {"value", "counts", "hours", "integral", "when", "until", "suppress", "text", "action", "from"}


def is_of_tags(path: tuple[Key, ...]) -> bool:
    """Whether braces in the value at `path` may name a tag: `tags.x.value`, `tags.x.write.while`, texts of alarms."""
    if path[-2:] == ("write", "while"):
        return True
    sections = [index for index, key in enumerate(path) if key in _OWN_LAYERS]
    return path[-1] in _EXPRESSIONS and any(index < len(path) - 2 for index in sections)


class Filler:
    """The parameters of one device, `n` among them. `used` and `missing` grow while values are filled.

    `device` is its id, known as a parameter where no tag can be meant.
    """

    def __init__(self, scope: Mapping[str, Any], problems: Problems, *, device: str) -> None:
        self._scope, self._unsettled = _settle(scope)
        self._named = {"device": device, **self._scope}
        self._problems = problems
        self.used: set[str] = set()
        self.missing: set[str] = set()

    def layers(self, layers: Layers, inside: Collection[str] = _OWN_LAYERS) -> Layers:
        """The same layers with every value filled, but for what is below keys of `inside`; the very same object when
        there is nothing to fill.
        """
        if not has_braces(layers.values) and not any(has_braces(values) for values, _ in layers.stack):
            return layers
        first, *more = layers.stack
        filled = Layers(self.mapping(*first, inside), first[1])
        for values, origin in more:
            filled = filled.over(self.mapping(values, origin, inside), origin)
        return filled

    def mapping(self, values: dict[str, Any], origin: Origin, inside: Collection[str] = _OWN_LAYERS) -> dict[str, Any]:
        """A copy of `values` with every text below it filled, but for what is below keys of `inside`."""
        if not has_braces(values):
            return dict(values)
        return {key: value if key in inside else self._value(value, origin.child(key)) for key, value in values.items()}

    def _value(self, value: Any, origin: Origin) -> Any:
        if isinstance(value, str):
            return self._text(value, origin)
        if isinstance(value, dict):
            return {key: self._value(item, origin.child(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, origin.child(index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, origin: Origin) -> Any:
        used: set[str] = set()
        if is_of_tags(origin.path):
            filled = fill_known(text, self._scope, used)
            self._use(used, origin)
            return filled if isinstance(filled, str) or origin.path[-1] not in _TEXTS else f"{filled}"
        try:
            filled = fill(text, self._named, used)
        except TemplateError as error:
            self.missing.add(error.name)
            hint = did_you_mean(error.name, self._scope) if error.name and self._scope else ""
            if error.name == "n":
                hint = "`n` is the number of a range such as meter{01..30}"
            elif error.name and not hint:
                hint = f"add `params: {{{error.name}: ...}}` to the device or the profile"
            self._problems.at(origin, str(error), hint, spoils=True)
            return text
        self._use(used, origin)
        return filled

    def _use(self, names: set[str], origin: Origin) -> None:
        """Remember what was used; report what cannot be."""
        self.used |= names
        for name in sorted(names & self._unsettled.keys()):
            why = f"the parameter `{name}` is {self._scope[name]!r}: {self._unsettled[name]}"
            hint = "a parameter may be built from `n`, the number of a range, and from no other"
            self._problems.at(origin, why, hint, spoils=True)


def _settle(scope: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters that are built from the number of the range: `params: {base: "{n * 100}"}`; why others could not be.

    What could not is told where the parameter is used: its value then still has the braces.
    """
    unsettled: dict[str, str] = {}
    number = {"n": scope["n"]} if "n" in scope else {}
    settled: dict[str, Any] = {}
    for name, value in scope.items():
        if isinstance(value, FromEnvironment) and _WHOLE.fullmatch(value):
            settled[name] = int(value)  # else it could not be reckoned with
            continue
        if isinstance(value, str) and has_braces(value):
            try:
                settled[name] = fill(value, number, set())
                continue
            except TemplateError as error:
                unsettled[name] = str(error)
        settled[name] = value
    return settled, unsettled
