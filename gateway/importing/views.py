"""A foreign document seen through its nodes: the text of each scalar as it was written, its place, and what was read.

Numbers are taken from the text, never from a parsed float: `10.10` of a plain scalar is not `10.1`. Each key that
nobody asked for is told at the end (`tell_unread`), so nothing of a file is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.importing.report import Place, Report
from gateway.settings.yaml_reader import scalar_from_text

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0[xX][0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|\u00b5s|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_FLAGS = {"true": True, "false": False}
_MOST_DIGITS = 400
_NULL = "tag:yaml.org,2002:null"
_SHOWN = 40


class View:
    """One value of a foreign file. What is asked for (`get`, `items`...) counts as read.

    The `as_...` readers report what is wrong and give None.
    """

    __slots__ = ("_seen", "file", "node", "path", "report")

    def __init__(
        self, file: str, node: yaml.Node, report: Report, path: str = "", seen: set[int] | None = None
    ) -> None:
        self.file = file
        self.node = node
        self.report = report
        self.path = path
        self._seen: set[int] = set() if seen is None else seen
        self._seen.add(id(node))

    def _below(self, node: yaml.Node, path: str) -> View:
        return View(self.file, node, self.report, path, self._seen)

    @property
    def place(self) -> Place:
        """Where the value stands."""
        mark = self.node.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1, self.path) if mark else Place(self.file, path=self.path)

    @property
    def is_map(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_scalar(self) -> bool:
        """A scalar that is not empty or null."""
        return isinstance(self.node, yaml.ScalarNode) and not self.is_null

    @property
    def is_null(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == _NULL

    @property
    def text(self) -> str:
        """The scalar's text as written, without quotes; empty for everything else."""
        return str(self.node.value) if self.is_scalar else ""

    @property
    def quoted(self) -> bool:
        """Written in quotes or as a text block: a text, whatever it looks like."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.style in {"'", '"', "|", ">"}

    @property
    def data(self) -> Any:
        """The value as plain data, everything below counted as read."""
        if self.is_map:
            return {key: view.data for key, view in self.entries()}
        if self.is_list:
            return [view.data for view in self.items()]
        if self.is_null:
            return None
        return self.text if self.quoted else scalar_from_text(self.text)

    def get(self, *names: str) -> View | None:
        """The value of the first of these keys that is there and not null. Case counts."""
        for name in names:
            for key, node in self._pairs():
                if key.value == name:
                    self._seen.add(id(node))
                    if not (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
                        return self._below(node, f"{self.path}.{name}" if self.path else name)
        return None

    def get_folded(self, name: str) -> View | None:
        """As `get`, without regard to case."""
        known = next((key.value for key, _ in self._pairs() if key.value.lower() == name.lower()), None)
        return None if known is None else self.get(known)

    def entries(self) -> Iterator[tuple[str, View]]:
        """All keys of a mapping with their values; none of anything else."""
        for key, node in self._pairs():
            yield key.value, self._below(node, f"{self.path}.{key.value}" if self.path else str(key.value))

    def items(self) -> Iterator[View]:
        """The values of a list; none of anything else."""
        if isinstance(self.node, yaml.SequenceNode):
            for number, node in enumerate(self.node.value):
                yield self._below(node, f"{self.path}[{number}]")

    def keys(self) -> list[str]:
        """Names of a mapping, without reading them."""
        return [key.value for key, _ in self._pairs()]

    def key_place(self, name: str) -> Place:
        """Where a key of this mapping stands."""
        path = f"{self.path}.{name}" if self.path else name
        for key, _ in self._pairs():
            if key.value == name and key.start_mark:
                return Place(self.file, key.start_mark.line + 1, key.start_mark.column + 1, path)
        return self.place

    def _pairs(self) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        return self.node.value if isinstance(self.node, yaml.MappingNode) else []

    def _wrong(self, wanted: str, hint: str = "") -> None:
        kind = "a mapping" if self.is_map else "a list" if self.is_list else "nothing" if self.is_null else ""
        found = kind or f"`{self.text[:_SHOWN]}`"
        self.report.error(self.place, f"{wanted} is wanted here, not {found}", hint)

    def as_map(self) -> View | None:
        """Itself where it is a mapping."""
        if self.is_map:
            return self
        self._wrong("a mapping (key: value)")
        return None

    def as_list(self) -> list[View] | None:
        """The values where it is a list."""
        if self.is_list:
            return list(self.items())
        self._wrong("a list")
        return None

    def as_text(self) -> str | None:
        """The text of a scalar, trimmed of blanks at its ends."""
        if self.is_scalar:
            return self.text.strip()
        self._wrong("a text")
        return None

    def as_number(self) -> float | int | None:
        """A number, written plain or as a text."""
        text = self.text.strip()
        if self.is_scalar and len(text) <= _MOST_DIGITS:
            if _WHOLE.fullmatch(text):
                return int(text, 0)
            if _NUMBER.fullmatch(text) and not self._looks_octal(text):
                number = float(text)
                if abs(number) != float("inf"):
                    return number
        self._wrong("a number", self._number_hint(text))
        return None

    def as_whole(self, low: int | None = None, high: int | None = None) -> int | None:
        """A whole number within bounds; `1.0` is one."""
        number = self.as_number()
        if number is None:
            return None
        if number != int(number):
            self._wrong("a whole number")
            return None
        if (low is not None and number < low) or (high is not None and number > high):
            self.report.error(self.place, f"`{self.text[:_SHOWN]}` is not within {low} and {high}")
            return None
        return int(number)

    def _looks_octal(self, text: str) -> bool:
        digits = text.lstrip("+-")
        return not self.quoted and len(digits) > 1 and digits[0] == "0" and digits.isdigit()

    def _number_hint(self, text: str) -> str:
        if self._looks_octal(text):
            return f"a leading zero is octal for some readers: write {text.lstrip('+-').lstrip('0') or '0'}"
        return f"write {text.replace('_', '')}" if re.fullmatch(r"[0-9]+(_[0-9]+)+", text) else ""

    def as_flag(self) -> bool | None:
        """True or false, plain or as a text, in any case."""
        flag = _FLAGS.get(self.text.strip().lower())
        if flag is None:
            self._wrong("true or false")
        return flag

    def as_seconds(self, plain: float | None = None) -> float | None:
        """A duration as Go writes it (`500ms`, `1m30s`). `plain`: what a number without unit is worth, in seconds."""
        text = self.text.strip()
        if plain is not None and _NUMBER.fullmatch(text):
            return float(text) * plain
        found = list(_DURATION.finditer(text))
        if found and "".join(match[0] for match in found) == text:
            return sum(float(match[1]) * _UNIT_S[match[2]] for match in found)
        self._wrong("a duration", "write 500ms, 20s, 1m30s or 1h")
        return None

    def tell_unread(self, text: str = "has no meaning here") -> None:
        """Note every key below that nobody asked for."""
        stack = [self]
        while stack:
            view = stack.pop()
            for key, node in view._pairs():
                path = f"{view.path}.{key.value}" if view.path else str(key.value)
                if id(node) not in self._seen:
                    mark = key.start_mark
                    place = Place(view.file, mark.line + 1, mark.column + 1, path) if mark else view.place
                    self.report.ignored(place, f"`{path}` {text}")
                elif not isinstance(node, yaml.ScalarNode):
                    stack.append(view._below(node, path))
            if isinstance(view.node, yaml.SequenceNode):
                stack += [
                    view._below(node, f"{view.path}[{number}]")
                    for number, node in enumerate(view.node.value)
                    if id(node) in self._seen and not isinstance(node, yaml.ScalarNode)
                ]


__all__ = ["View"]
