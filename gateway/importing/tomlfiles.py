"""TOML as Views with places. tomllib reads it; where each key and value stands is found by a second, simple walk.

The walk trusts that the text is right (tomllib has read it). What it does not find stands where its table does.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from gateway.importing.report import Place
from gateway.importing.sources import MOST_NODES, Source
from gateway.importing.views import View
from gateway.settings.nodes import INT, LIST, MAP, STYLE, STYLES, TEXT, Lines, Tree
from gateway.settings.positions import Key
from gateway.settings.yaml_parser import MAX_DEPTH

_QUOTED = TEXT | STYLES.index('"') << STYLE
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
    grown = _Grown(text, places.found)
    try:
        places.walk()
        grown.add(data, (), 0, 0)
    except (RecursionError, _TooDeep):
        source.report.error(source.place, f"nested deeper than {MAX_DEPTH} levels", "flatten the structure")
        return None
    except _TooLong as error:
        mark = grown.tree.lines.mark(error.start)
        source.report.error(Place(source.file, mark.line + 1, mark.column + 1), "a whole number of more than 64 bits")
        return None
    return View(source.file, grown.tree.node(), source.report)


class _TooDeep(ValueError):
    pass


class _TooLong(ValueError):
    """A whole number that TOML does not have, which would take long to write out."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start


class _Grown:
    """Data as a Tree with places. Texts are quoted ones, so nothing is taken for a number."""

    def __init__(self, text: str, places: dict[Path, int]) -> None:
        self.tree = Tree(Lines(text, "\n"))
        self._places = places

    def add(self, data: Any, path: Path, above: int, depth: int) -> None:
        """A value and all below it; `above` is where it stands when its own place is not known."""
        if depth > MAX_DEPTH:
            raise _TooDeep
        start = self._places.get(path, above)
        if isinstance(data, dict):
            row = self.tree.add(MAP, "", start, start)
            for key, value in data.items():
                stands = self._places.get((*path, key, ""), self._places.get((*path, key), start))
                self.tree.add(_QUOTED, key, stands, stands)
                self.add(value, (*path, key), start, depth + 1)
            self.tree.close(row, start)
        elif isinstance(data, list):
            row = self.tree.add(LIST, "", start, start)
            for number, each in enumerate(data):
                self.add(each, (*path, number), start, depth + 1)
            self.tree.close(row, start)
        elif isinstance(data, str) and not isinstance(data, _Text):
            self.tree.add(_QUOTED, data, start, start)
        else:
            if isinstance(data, int) and data.bit_length() > 64:
                raise _TooLong(start)
            text = str(data).lower() if isinstance(data, bool) else str(data).replace("_", "")
            self.tree.add(INT, text, start, start)


class _Places:
    """Places of keys and values by path, in characters; a path that ends in an empty text is the key's own place."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
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
        start = self._at
        is_list = self._text.startswith("[[", self._at)
        self._at += 1 + is_list
        names = self._names()
        self._at = self._text.find("]" * (1 + is_list), self._at) + 1 + is_list
        path: Path = ()
        for number, name in enumerate(names, 1):
            path = (*path, name)
            self.found.setdefault((*path, ""), start)
            if is_list and number == len(names):
                count = self._counts.get(path, 0)
                self._counts[path] = count + 1
                self.found.setdefault(path, start)
                path = (*path, count)
            elif path in self._counts:
                path = (*path, self._counts[path] - 1)
            self.found.setdefault(path, start)
        self.found.setdefault(path, start)
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`."""
        start = self._at
        path = (*table, *self._names())
        self.found.setdefault((*path, ""), start)
        equals = _end(_BLANK, self._text, self._at)
        self._at = equals + 1 if self._text.startswith("=", equals) else equals
        self._at = _end(_BLANK, self._text, self._at)
        self._value(path)

    def _value(self, path: Path) -> None:
        self.found.setdefault(path, self._at)
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
