"""Where things stand in the files of a configuration tree, and the list of what is wrong with it.

A document keeps its data and its YAML nodes side by side. A position is looked up by field path only when a problem
is reported, so a good tree pays nothing for it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.errors import ConfigError, Problem
from gateway.settings.nodes import KINDS, LIST, MAP, Node, ScalarNode, Tree
from gateway.settings.scalar_places import place_in_scalar

Key = str | int


class Document(Struct, frozen=True, eq=False):
    """One YAML document. `data` holds dicts with text keys, lists and scalars; `node` is the same with marks."""

    file: str
    data: Any
    node: Node

    def locate(self, path: tuple[Key, ...], *, at_key: bool = False) -> tuple[int, int]:
        """Line and column (1-based) of the value at `path`, or of its key; of the nearest parent if it is missing."""
        tree, row = self.node.tree, self.node.row
        place = row
        for key in path:
            found = _child(tree, row, key)
            if found is None:
                break
            name, row = found
            place = name if at_key or _is_empty(tree, row) else row
        mark = tree.start(place)
        return mark.line + 1, mark.column + 1

    def place(self, path: tuple[Key, ...], *, at_key: bool = False) -> tuple[str, int, int]:
        """File, line and column: of a document that was put together from several files, each part has its own."""
        return self.file, *self.locate(path, at_key=at_key)

    def locate_text(self, path: tuple[Key, ...], text: str, offset: int) -> tuple[int, int]:
        """Line and column of character `offset` of the text at `path`. `text` is what became of it (references and
        parameters replaced): beyond the first difference only the beginning of the value is certain.
        """
        tree, row = self.node.tree, self.node.row
        for key in path:
            found = _child(tree, row, key)
            if found is None:
                return self.locate(path)
            row = found[1]
        node = tree.node(row)
        if not isinstance(node, ScalarNode) or node.value[:offset] != text[:offset]:
            return self.locate(path)
        return place_in_scalar(node, tree.lines.text, offset)


def _child(tree: Tree, row: int, key: Key) -> tuple[int, int] | None:
    """Rows of the key and the value that a list or mapping has below `key`."""
    kind = tree.codes[row] & KINDS
    if kind == MAP and isinstance(key, str):
        name = tree.find_key(row, key)
        return None if name < 0 else (tree.target(name), tree.target(tree.nexts[name]))
    item = tree.item(row, key) if kind == LIST and isinstance(key, int) else -1
    return None if item < 0 else (item, item)


def _is_empty(tree: Tree, row: int) -> bool:
    return not tree.codes[row] & KINDS and tree.starts[row] == tree.ends[row]


class Origin(Struct, frozen=True):
    """A field of a document: what a problem points at."""

    document: Document
    path: tuple[Key, ...] = ()

    def child(self, *keys: Key) -> Origin:
        return Origin(self.document, self.path + keys)

    @property
    def text(self) -> str:
        """The field path as people write it: `uplinks.cloud.urls[0]`."""
        text = ""
        for key in self.path:
            text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
        return text

    def problem(self, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        file, line, column = self.document.place(self.path, at_key=at_key)
        return Problem(file, line, column, self.text, message, hint)

    @property
    def where(self) -> str:
        """`file:line` of the key, for a text that names another place."""
        file, line, _ = self.document.place(self.path, at_key=True)
        return f"{file}:{line}"


class Problems:
    """Everything found wrong so far. The same problem reached over two ways (a range, a shared profile) counts once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._spoilt: set[tuple[str, int, int]] = set()

    def add(self, problem: Problem, *, spoils: bool = False) -> None:
        """`spoils`: whatever is said later about this very place only follows from this problem and is left out."""
        place = (problem.file, problem.line, problem.column)
        if place in self._spoilt:
            return
        self._found[problem] = None
        if spoils:
            self._spoilt.add(place)

    def at(self, origin: Origin, message: str, hint: str = "", *, spoils: bool = False) -> None:
        """A value is wrong: points at the value."""
        self.add(origin.problem(message, hint), spoils=spoils)

    def at_text(self, origin: Origin, text: str, offset: int, message: str, hint: str = "") -> None:
        """A place inside a text is wrong. What another device's copy of it would say is left out."""
        line, column = origin.document.locate_text(origin.path, text, offset)
        file = origin.document.place(origin.path)[0]
        self.add(Problem(file, line, column, origin.text, message, hint), spoils=True)

    def at_key(self, origin: Origin, message: str, hint: str = "", *, spoils: bool = False) -> None:
        """A key is wrong, or lacks something below it: points at the key."""
        self.add(origin.problem(message, hint, at_key=True), spoils=spoils)

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> list[Problem]:
        return sorted(self._found, key=lambda p: (p.file, p.line, p.column, p.message))

    def raise_if_any(self) -> None:
        if self._found:
            raise ConfigError(self.sorted())


class Layers:
    """Mappings laid over each other (profile, then device), with the place that each key came from."""

    __slots__ = ("_layers", "values")

    _layers: tuple[tuple[dict[str, Any], Origin], ...]
    values: dict[str, Any]

    def __init__(self, values: dict[str, Any], origin: Origin) -> None:
        self._layers = ((values, origin),)
        self.values = values

    def over(self, values: dict[str, Any], origin: Origin, *, add_lists: bool = False) -> Layers:
        """A new stack with `values` on top; neither input is changed. `add_lists`: lists of one key add up."""
        stack = Layers.__new__(Layers)
        stack._layers = (*self._layers, (values, origin))
        stack.values = self.values | values
        if add_lists:
            for key, value in values.items():
                below = self.values.get(key)
                if isinstance(value, list) and isinstance(below, list):
                    stack.values[key] = below + value
        return stack

    def origin(self, *path: Key) -> Origin:
        """Where the field below this mapping was written; without a path, the topmost layer's own place."""
        if path:
            for values, place in self._layers[::-1]:
                if path[0] in values:
                    return place.child(*path)
        return self._layers[-1][1]

    @property
    def stack(self) -> tuple[tuple[dict[str, Any], Origin], ...]:
        return self._layers
