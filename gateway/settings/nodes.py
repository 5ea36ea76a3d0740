"""What a YAML parser finds in a file, in columns: a value is a row of them, not an object, so that a file of tens of
thousands of tags takes a few times its own size. Nodes are made of the rows that somebody looks at.

A row is a scalar, a list, a mapping or an alias; what is below a list or mapping follows it, keys and values of a
mapping in turn. Places are counted in characters; lines and columns are made of them when they are asked for.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

SCALAR, LIST, MAP, ALIAS = range(4)
KINDS = 3
"""The bits of a code that say which of these a row is."""
TEXT, NULL, INT, FLOAT, BOOL, OTHER = (tag << 2 for tag in range(6))
TAGS = 7 << 2
"""The bits that say what a scalar is read as; OTHER: its tag is written in the file and unknown here."""
STYLES = ("", "'", '"', "|", ">")
STYLE = 5
"""How far the style of a scalar is shifted; of a list or mapping it is 1 where that stands in brackets."""
PREFIX = "tag:yaml.org,2002:"
TAG_NAMES = tuple(PREFIX + name for name in ("str", "null", "int", "float", "bool"))
YAML_BREAKS = r"\r\n|[\n\r\x85\u2028\u2029]"
_BIG = 64
"""Mappings and lists with more rows get a table of what is in them when something in them is looked up."""


class Mark(Struct, frozen=True):
    """A place: characters from the text's beginning, line and column, all from 0."""

    index: int
    line: int
    column: int


class Lines:
    """A text, and where its lines begin."""

    __slots__ = ("_breaks", "_starts", "text")

    def __init__(self, text: str, breaks: str = YAML_BREAKS) -> None:
        self.text = text
        self._breaks = breaks
        self._starts: array[int] | None = None

    def mark(self, index: int) -> Mark:
        if self._starts is None:
            self._starts = array("I", [0])
            self._starts.extend(match.end() for match in re.finditer(self._breaks, self.text))
        line = bisect_right(self._starts, index) - 1
        return Mark(index, line, index - self._starts[line])


class Tree:
    """One document. `plain`: no alias, tag or anchor, no depth and no number that could be refused.

    `nexts` is the row behind all that is below a row. `aliases` leads from their rows to those that they stand for.
    """

    __slots__ = ("_tables", "aliases", "codes", "ends", "lines", "nexts", "plain", "starts", "tags", "values")

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.codes = bytearray()
        self.values: list[str] = []
        self.starts = array("I")
        self.ends = array("I")
        self.nexts = array("I")
        self.tags: dict[int, str] = {}
        self.aliases: dict[int, int] = {}
        self.plain = True
        self._tables: dict[int, dict[str, int] | array[int]] = {}

    def add(self, code: int, value: str, start: int, end: int) -> int:
        """One more row; the number of it."""
        row = len(self.codes)
        self.codes.append(code)
        self.values.append(value)
        self.starts.append(start)
        self.ends.append(end)
        self.nexts.append(row + 1)
        return row

    def close(self, row: int, end: int) -> None:
        """What was added since the list or mapping at `row` is below it."""
        self.ends[row] = end
        self.nexts[row] = len(self.codes)

    def items(self, row: int) -> Iterator[int]:
        """Rows of a list; what an alias stands for in its place."""
        nexts, aliases, at, end = self.nexts, self.aliases, row + 1, self.nexts[row]
        while at < end:
            yield aliases.get(at, at) if aliases else at
            at = nexts[at]

    def pairs(self, row: int) -> Iterator[tuple[int, int]]:
        """Rows of keys and values of a mapping; what an alias stands for in its place."""
        nexts, aliases, at, end = self.nexts, self.aliases, row + 1, self.nexts[row]
        while at < end:
            value = nexts[at]
            yield (aliases.get(at, at), aliases.get(value, value)) if aliases else (at, value)
            at = nexts[value]

    def keys(self, row: int) -> Iterator[int]:
        """Rows of the scalar keys of a mapping that are written there, not by an alias."""
        nexts, at, end = self.nexts, row + 1, self.nexts[row]
        while at < end:
            if not self.codes[at] & KINDS:
                yield at
            at = nexts[nexts[at]]

    def is_plain(self) -> bool:
        """Whether there is nothing in it that YAML allows and nobody means: every mapping has plain keys, each once,
        and with a value where it stands in braces.
        """
        codes, values, nexts = self.codes, self.values, self.nexts
        if not self.plain:
            return False
        for row in [row for row, code in enumerate(codes) if code & KINDS == MAP]:
            names: set[str] = set()
            at, end, count = row + 1, nexts[row], 0
            in_braces = codes[row] >> STYLE
            while at < end:
                if codes[at] & KINDS or (in_braces and codes[at + 1] & (KINDS | TAGS) == NULL):
                    return False
                names.add(values[at])
                count += 1
                at = nexts[at + 1]
            if len(names) != count or "<<" in names:
                return False
        return True

    def find(self, row: int, name: str) -> int:
        """The row of the value that a mapping has for a plain key; -1 where there is none."""
        codes, values, nexts = self.codes, self.values, self.nexts
        at, end = row + 1, nexts[row]
        if self.aliases or end - row > _BIG:
            key = self._table(row).get(name, -1)
            return -1 if key < 0 else self.target(nexts[key])
        while at < end:
            value = nexts[at]
            if values[at] == name and not codes[at] & KINDS:
                return value
            at = nexts[value]
        return -1

    def target(self, row: int) -> int:
        """The row itself, or what it is an alias of."""
        return self.aliases.get(row, row)

    def find_key(self, row: int, name: str) -> int:
        """The row of a key where it stands in its mapping; -1 where it does not."""
        nexts, values, end = self.nexts, self.values, self.nexts[row]
        if self.aliases or end - row > _BIG:
            return self._table(row).get(name, -1)
        at = row + 1
        while at < end:
            if values[at] == name and not self.codes[at] & KINDS:
                return at
            at = nexts[nexts[at]]
        return -1

    def _table(self, row: int) -> dict[str, int]:
        known = self._tables.get(row)
        if known is None:
            known, nexts, at, end = {}, self.nexts, row + 1, self.nexts[row]
            while at < end:
                key = self.aliases.get(at, at)
                if not self.codes[key] & KINDS:
                    known.setdefault(self.values[key], at)
                at = nexts[nexts[at]]
            self._tables[row] = known
        assert isinstance(known, dict)
        return known

    def item(self, row: int, number: int) -> int:
        """The row of a value of a list; -1 where there are not so many."""
        known = self._tables.get(row)
        if known is None:
            known = self._tables[row] = array("I", self.items(row))
        assert isinstance(known, array)
        return known[number] if 0 <= number < len(known) else -1

    def tag(self, row: int) -> str:
        code = self.codes[row]
        written = self.tags.get(row)
        if written is not None or not code & KINDS:
            return written if written is not None else TAG_NAMES[(code & TAGS) >> 2]
        return PREFIX + ("map" if code & KINDS == MAP else "seq")

    def start(self, row: int) -> Mark:
        return self.lines.mark(self.starts[row])

    def node(self, row: int = 0) -> Node:
        """The value of a row."""
        code = self.codes[row]
        kind = (ScalarNode, SequenceNode, MappingNode)[code & KINDS]
        return kind(self, row)


class Node:
    """A value as it was written. `row` tells it from others of its `tree`."""

    __slots__ = ("row", "tree")

    def __init__(self, tree: Tree, row: int) -> None:
        self.tree = tree
        self.row = row

    @property
    def value(self) -> Any:
        """The text of a scalar, the nodes of a list, pairs of those of a mapping."""
        raise NotImplementedError

    @property
    def tag(self) -> str:
        return self.tree.tag(self.row)

    @property
    def start_mark(self) -> Mark:
        return self.tree.start(self.row)

    @property
    def end_mark(self) -> Mark:
        return self.tree.lines.mark(self.tree.ends[self.row])

    @property
    def start(self) -> int:
        """Characters before it."""
        return self.tree.starts[self.row]

    @property
    def end(self) -> int:
        return self.tree.ends[self.row]

    @property
    def flow_style(self) -> bool:
        """Whether a list or mapping stands in brackets."""
        return bool(self.tree.codes[self.row] >> STYLE)


class ScalarNode(Node):
    __slots__ = ()

    @property
    def value(self) -> str:
        return self.tree.values[self.row]

    @property
    def is_null(self) -> bool:
        return self.tree.codes[self.row] & TAGS == NULL

    @property
    def style(self) -> str:
        """The sign of quotes or of a block; empty for a plain scalar."""
        return STYLES[self.tree.codes[self.row] >> STYLE]


class SequenceNode(Node):
    __slots__ = ()

    @property
    def value(self) -> list[Node]:
        return [self.tree.node(row) for row in self.tree.items(self.row)]


class MappingNode(Node):
    __slots__ = ()

    @property
    def value(self) -> list[tuple[Node, Node]]:
        return [(self.tree.node(key), self.tree.node(value)) for key, value in self.tree.pairs(self.row)]


def nothing(beside: Node | None = None) -> MappingNode:
    """An empty mapping, at the place of another node."""
    tree = Tree(Lines("") if beside is None else beside.tree.lines)
    start, end = (0, 0) if beside is None else (beside.start, beside.end)
    return MappingNode(tree, tree.add(MAP, "", start, end))
