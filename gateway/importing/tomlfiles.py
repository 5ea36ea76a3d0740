"""TOML as Views with places. tomllib reads it; where each key and value stands is found by a second, simple walk.

The walk trusts that the text is right (tomllib has read it). What it does not find stands where its table does.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from gateway.importing.report import Place
from gateway.importing.sources import MOST_NODES, Source
from gateway.importing.views import View
from gateway.settings.positions import Key
from gateway.settings.yaml_reader import MAX_DEPTH

_TAG = "tag:yaml.org,2002:"
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SKIP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""+|' r"'''(?:[^']|'(?!''))*'''+|" r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'""", re.DOTALL
)
_WORD = re.compile(r"[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?")
_MOST_TABLES = 40_000
_MOST_STEPS = 3 * _MOST_TABLES
"""Levels of all tables' names together: the parser walks them from the top each time."""
_TABLE = re.compile(r"^[ \t]*\[[^\n\]]*", re.MULTILINE)
_DEEP_KEY = re.compile(
    rf"""(?:^|[{{,\[])[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_DEPTH + 1}}}""", re.MULTILINE
)
_BLANK = re.compile(r"[ \t]*")
Path = tuple[Key, ...]


class _Text(str):
    """A number as it was written."""

    __slots__ = ()


def read_toml(source: Source) -> View | None:
    """The document of a file; None where it cannot be read, which is reported."""
    text = source.text
    if not text:
        return None
    if sum(map(source.raw.count, (b"\n", b",", b"="))) > 2 * MOST_NODES:  # parsing it would already take long
        source.report.error(source.place, f"more than {MOST_NODES} values", "split the file")
        return None
    tables = _TABLE.findall(text)
    if len(tables) > _MOST_TABLES or sum(name.count(".") for name in tables) > _MOST_STEPS:
        source.report.error(source.place, f"more than {_MOST_TABLES} tables, or too deep ones", "split the file")
        return None
    if (match := _DEEP_KEY.search(text)) is not None:  # the parser takes the square of its length for it
        line = text.count("\n", 0, match.end()) + 1
        source.report.error(Place(source.file, line, 1), f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        return None
    try:
        data = tomllib.loads(text, parse_float=_Text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        match = _WHERE.search(said)
        line, column = (int(match[1]), int(match[2])) if match and match[1] else (text.count("\n") + 1, 1)
        source.report.error(Place(source.file, line, column), f"not TOML: {_WHERE.sub('', said)}")
        return None
    except (RecursionError, ValueError):
        source.report.error(source.place, f"nested deeper than {MAX_DEPTH} levels, or a number too long")
        return None
    places = _Places(text)
    try:
        places.walk()
        node = _node(data, (), places.found, yaml.Mark(source.file, 0, 0, 0, "", 0), 0)
    except (RecursionError, _TooDeep):
        source.report.error(source.place, f"nested deeper than {MAX_DEPTH} levels", "flatten the structure")
        return None
    except _TooLong as error:
        mark = error.mark
        source.report.error(Place(source.file, mark.line + 1, mark.column + 1), "a whole number of more than 64 bits")
        return None
    return View(source.file, node, source.report)


class _TooDeep(ValueError):
    pass


class _TooLong(ValueError):
    """A whole number that TOML does not have, which would take long to write out."""

    def __init__(self, mark: yaml.Mark) -> None:
        super().__init__()
        self.mark = mark


def _node(data: Any, path: Path, places: dict[Path, yaml.Mark], above: yaml.Mark, depth: int) -> yaml.Node:
    """Data as nodes with marks. Texts are quoted ones, so nothing is taken for a number."""
    if depth > MAX_DEPTH:
        raise _TooDeep
    mark = places.get(path, above)
    if isinstance(data, dict):
        pairs = []
        for key, value in data.items():
            node = _node(value, (*path, key), places, mark, depth + 1)
            stands = places.get((*path, key, ""), node.start_mark)
            pairs.append((yaml.ScalarNode(_TAG + "str", key, stands, stands), node))
        return yaml.MappingNode(_TAG + "map", pairs, mark, mark)
    if isinstance(data, list):
        items = [_node(each, (*path, number), places, mark, depth + 1) for number, each in enumerate(data)]
        return yaml.SequenceNode(_TAG + "seq", items, mark, mark)
    if isinstance(data, str) and not isinstance(data, _Text):
        return yaml.ScalarNode(_TAG + "str", data, mark, mark, style='"')
    if isinstance(data, int) and data.bit_length() > 64:
        raise _TooLong(mark)
    text = str(data).lower() if isinstance(data, bool) else str(data).replace("_", "")
    return yaml.ScalarNode(_TAG + "int", text, mark, mark)


class _Places:
    """Marks of keys and values by path; a path that ends in an empty text is the key's own place."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, yaml.Mark] = {}
        self._text = text
        self._at = 0
        self._line = 0
        self._start = 0
        """Of the line."""
        self._counted = 0
        """Up to where lines were counted: a long line is not looked through for each of its values."""
        self._counts: dict[Path, int] = {}

    def walk(self) -> None:
        table: Path = ()
        while self._skip():
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _skip(self) -> bool:
        """Over blanks, lines and comments; whether something is left."""
        if match := _SKIP.match(self._text, self._at):
            self._at = match.end()
        return self._at < len(self._text)

    def _mark(self) -> yaml.Mark:
        lines = self._text.count("\n", self._counted, self._at)
        if lines:
            self._line += lines
            self._start = self._text.rfind("\n", self._counted, self._at) + 1
        self._counted = max(self._counted, self._at)
        return yaml.Mark("", self._at, self._line, self._at - self._start, "", 0)

    def _names(self) -> list[str]:
        """A dotted key."""
        names: list[str] = []
        while True:
            self._at = _end(_BLANK, self._text, self._at)
            match = _KEY.match(self._text, self._at)
            if match is None:
                self._at += 1
                return names
            word = match[0]
            names.append(tomllib.loads(f"x = {word}")["x"] if word[0] in "\"'" else word)
            self._at = _end(_BLANK, self._text, match.end())
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _header(self) -> Path:
        mark = self._mark()
        is_list = self._text.startswith("[[", self._at)
        self._at += 1 + is_list
        names = self._names()
        self._at = self._text.find("]" * (1 + is_list), self._at) + 1 + is_list
        path: Path = ()
        for number, name in enumerate(names, 1):
            path = (*path, name)
            self.found.setdefault((*path, ""), mark)
            if is_list and number == len(names):
                count = self._counts.get(path, 0)
                self._counts[path] = count + 1
                self.found.setdefault(path, mark)
                path = (*path, count)
            elif path in self._counts:
                path = (*path, self._counts[path] - 1)
            self.found.setdefault(path, mark)
        self.found.setdefault(path, mark)
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`."""
        mark = self._mark()
        path = (*table, *self._names())
        self.found.setdefault((*path, ""), mark)
        equals = _end(_BLANK, self._text, self._at)
        self._at = equals + 1 if self._text.startswith("=", equals) else equals
        self._at = _end(_BLANK, self._text, self._at)
        self._value(path)

    def _value(self, path: Path) -> None:
        self.found.setdefault(path, self._mark())
        sign = self._text[self._at : self._at + 1]
        if sign in {'"', "'"}:
            self._at = _end(_STRING, self._text, self._at)
        elif sign == "[":
            self._items(path)
        elif sign == "{":
            self._inline(path)
        else:
            self._at = max(_end(_WORD, self._text, self._at), self._at + 1)

    def _items(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._skip() and not self._text.startswith("]", self._at):
            if self._text.startswith(",", self._at):
                self._at += 1
                continue
            self._value((*path, number))
            number += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._skip() and not self._text.startswith("}", self._at):
            if self._text.startswith(",", self._at):
                self._at += 1
                continue
            self._pair(path)
        self._at += 1


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


__all__ = ["read_toml"]
