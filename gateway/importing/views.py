"""A foreign document seen through its nodes: the text of each scalar as it was written, its place, and what was read.

Numbers are taken from the text, never from a parsed float: `10.10` of a plain scalar is not `10.1`. Each key that
nobody asked for is told at the end (`tell_unread`), so nothing of a file is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.importing.report import Place, Report
from gateway.settings.nodes import KINDS, LIST, MAP, NULL, STYLE, TAGS, Node, nothing
from gateway.settings.yaml_reader import scalar_from_text

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0[xX][0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|\u00b5s|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_FLAGS = {"true": True, "false": False}
_MOST_DIGITS = 400
_SHOWN = 40


class View:
    """One value of a foreign file. What is asked for (`get`, `items`...) counts as read.

    The `as_...` readers report what is wrong and give None.
    """

    __slots__ = ("_above", "_key", "_seen", "file", "report", "row", "tree")

    def __init__(self, file: str, node: Node, report: Report) -> None:
        self.file = file
        self.report = report
        self.tree = node.tree
        self.row = node.row
        self._above: View | None = None
        self._key: str | int = ""
        self._seen = bytearray(len(node.tree.codes))
        """Of each row whether somebody asked for it."""
        self._seen[self.row] = 1

    def _below(self, row: int, key: str | int) -> View:
        view = View.__new__(View)
        view.file, view.report, view.tree = self.file, self.report, self.tree
        view.row, view._above, view._key, view._seen = row, self, key, self._seen
        view._seen[row] = 1
        return view

    def emptied(self) -> View:
        """A mapping without keys in its place."""
        view = View(self.file, nothing(self.tree.node(self.row)), self.report)
        view._above, view._key = self._above, self._key
        return view

    @property
    def path(self) -> str:
        """Of the field: `deviceResources[3].name`."""
        above = "" if self._above is None else self._above.path
        return _path(above, self._key)

    @property
    def place(self) -> Place:
        """Where the value stands."""
        return self._place(self.row, self.path)

    def _place(self, row: int, path: str) -> Place:
        mark = self.tree.start(row)
        return Place(self.file, mark.line + 1, mark.column + 1, path)

    @property
    def is_map(self) -> bool:
        return self.tree.codes[self.row] & KINDS == MAP

    @property
    def is_list(self) -> bool:
        return self.tree.codes[self.row] & KINDS == LIST

    @property
    def is_scalar(self) -> bool:
        """A scalar that is not empty or null."""
        code = self.tree.codes[self.row]
        return not code & KINDS and code & TAGS != NULL

    @property
    def is_null(self) -> bool:
        return self.tree.codes[self.row] & (KINDS | TAGS) == NULL

    @property
    def text(self) -> str:
        """The scalar's text as written, without quotes; empty for everything else."""
        return self.tree.values[self.row] if self.is_scalar else ""

    @property
    def quoted(self) -> bool:
        """Written in quotes or as a text block: a text, whatever it looks like."""
        code = self.tree.codes[self.row]
        return not code & KINDS and bool(code >> STYLE)

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

    def is_same(self, other: View) -> bool:
        """Whether both are one value of the file."""
        return self.tree is other.tree and self.row == other.row

    def get(self, *names: str) -> View | None:
        """The value of the first of these keys that is there and not null. Case counts."""
        tree = self.tree
        if tree.codes[self.row] & KINDS != MAP:
            return None
        for name in names:
            row = tree.find(self.row, name)
            if row >= 0:
                self._seen[row] = 1
                if tree.codes[row] & (KINDS | TAGS) != NULL:
                    return self._below(row, name)
        return None

    def get_folded(self, name: str) -> View | None:
        """As `get`, without regard to case."""
        wanted = name.lower()
        known = next((key for key in self.keys() if key.lower() == wanted), None)  # noqa: SIM118 - no mapping
        return None if known is None else self.get(known)

    def peek(self, name: str) -> View | None:
        """The value of a key as a View of its own: nothing counts as read."""
        row = self.tree.find(self.row, name) if self.is_map else -1
        return None if row < 0 else View(self.file, self.tree.node(row), self.report)

    def skip(self) -> None:
        """Count everything below as read."""
        end = self.tree.nexts[self.row]
        self._seen[self.row : end] = b"\1" * (end - self.row)

    def entries(self) -> Iterator[tuple[str, View]]:
        """All keys of a mapping with their values; none of anything else."""
        for key, row in self._pairs():
            name = self.tree.values[key]
            yield name, self._below(row, name)

    def items(self) -> Iterator[View]:
        """The values of a list; none of anything else."""
        if self.is_list:
            for number, row in enumerate(self.tree.items(self.row)):
                yield self._below(row, number)

    def keys(self) -> list[str]:
        """Names of a mapping, without reading them."""
        values = self.tree.values
        return [values[key] for key, _ in self.tree.pairs(self.row)] if self.is_map else []

    def key_place(self, name: str) -> Place:
        """Where a key of this mapping stands."""
        key = self.tree.find_key(self.row, name) if self.is_map else -1
        return self.place if key < 0 else self._place(self.tree.target(key), _path(self.path, name))

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return self.tree.pairs(self.row) if self.is_map else iter(())

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
        tree, stack = self.tree, [self]
        while stack:
            view = stack.pop()
            for key, row in view._pairs():
                if not self._seen[row]:
                    path = _path(view.path, tree.values[key])
                    self.report.ignored(self._place(key, path), f"`{path}` {text}")
                elif tree.codes[row] & KINDS:
                    stack.append(view._below(row, tree.values[key]))
            if view.is_list:
                stack += [
                    view._below(row, number)
                    for number, row in enumerate(tree.items(view.row))
                    if self._seen[row] and tree.codes[row] & KINDS
                ]


def _path(above: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{above}[{key}]"
    return f"{above}.{key}" if above else key


__all__ = ["View"]
