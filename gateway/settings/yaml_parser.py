"""YAML text to Trees, by libyaml's events. Nothing is refused here but what no YAML is."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from gateway.settings.nodes import (
    ALIAS,
    BOOL,
    FLOAT,
    INT,
    LIST,
    MAP,
    NULL,
    OTHER,
    STYLE,
    STYLES,
    TAG_NAMES,
    TEXT,
    Lines,
    Tree,
)

MAX_DEPTH = 24
MOST_ROWS = 1_000_000
"""Keys and values of one file; twenty thousand tags have some 700,000 where they are written at length."""
_MOST_WORDS = 4096
"""Words that are kept once for all places where they stand; those that come back are soon known again."""
_LONGEST_WORD = 64
FORMS = (
    (BOOL, re.compile(r"(?:true|false)\Z"), "tf"),
    (NULL, re.compile(r"(?:null|~)?\Z"), "n~"),
    (INT, re.compile(r"(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)\Z"), "-+0123456789"),
    (
        FLOAT,
        re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z"),
        "-+.0123456789",
    ),
)
"""What a plain scalar may be but text, with the signs that it begins with."""
_BY_SIGN = {
    sign: tuple((code, pattern) for code, pattern, signs in FORMS if sign in signs)
    for sign in {sign for _, _, signs in FORMS for sign in signs}
} | {"": ((NULL, FORMS[1][1]),)}


class TooMany(Exception):
    """A file has more rows than are accepted."""


class _Parser(yaml.CSafeLoader):
    """libyaml's events; its composer is not used."""


def code_of(text: str) -> int:
    """What a plain scalar is."""
    for code, pattern in _BY_SIGN.get(text[:1], ()):
        if pattern.match(text):
            return code
    return TEXT


def trees_of(text: str) -> Iterator[Tree]:
    """The documents of a text, as they are parsed. Raises yaml.YAMLError, TooMany."""
    if text.count("\n") + text.count(",") > MOST_ROWS:  # each but those of comments stands between two
        raise TooMany
    parser, lines = _Parser(text), Lines(text)
    growth = _Growth(parser.get_event, lines)
    try:
        yield from growth.trees()
    finally:
        parser.dispose()


class _Growth:
    """Trees in the making."""

    def __init__(self, events: Callable[[], Any], lines: Lines) -> None:
        self._events = events
        self._lines = lines
        self._odd = "!" in lines.text or "&" in lines.text
        """There may be tags and anchors; most files have none."""
        self._plain: dict[str, tuple[int, str]] = {}
        self._quoted: dict[str, str] = {}
        self._anchors: dict[str, int] = {}
        self._rows = 0

    def trees(self) -> Iterator[Tree]:
        while (event := self._events()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                tree = Tree(self._lines)
                self._anchors = {}
                self._grow(tree)
                self._events()  # its end
                yield tree

    def _grow(self, tree: Tree) -> None:
        """The rows of one document. It is in one piece, and takes its columns in hand: most of the time goes here."""
        events, known, odd, most = self._events, self._plain, self._odd, MOST_ROWS - self._rows
        add_code, add_value = tree.codes.append, tree.values.append
        add_start, add_end = tree.starts.append, tree.ends.append
        above: list[int] = []
        closed: list[tuple[int, int]] = []
        row = 0
        while True:
            event = events()
            kind = type(event)
            if kind is ScalarEvent:
                text = event.value
                if event.style or odd:
                    code, text = self._scalar(tree, event, row)
                elif text in known:
                    code, text = known[text]
                else:
                    code = self._learn(tree, text)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                begun = above.pop()
                closed.append((begun, row))
                tree.ends[begun] = event.end_mark.index
                if above:
                    continue
                break
            else:
                code, text = self._other(tree, event, row, len(above))
                if code != ALIAS:
                    above.append(row)
            row += 1
            add_code(code)
            add_value(text)
            add_start(event.start_mark.index)
            add_end(event.end_mark.index)
            if row > most:
                raise TooMany
            if not above:
                break
        tree.nexts = array("I", range(1, row + 1))
        for begun, after in closed:
            tree.nexts[begun] = after
        self._rows += row

    def _learn(self, tree: Tree, text: str) -> int:
        """The code of a plain scalar, which is kept where it may come again."""
        code = code_of(text)
        if len(text) > _LONGEST_WORD:
            tree.plain = tree.plain and code in {TEXT, NULL}
        elif code == FLOAT and not math.isfinite(float(text)):
            tree.plain = False
        else:
            if len(self._plain) >= _MOST_WORDS:
                self._plain.clear()
            self._plain[text] = code, text
        return code

    def _scalar(self, tree: Tree, event: Any, row: int) -> tuple[int, str]:
        """Code and text of a scalar that is not plain, or has a tag or an anchor."""
        text, style = event.value, STYLES.index(event.style or "") << STYLE
        if event.anchor is not None:
            self._anchor(tree, event, row)
        if event.tag is not None and event.tag != "!":
            tree.plain = False
            known = event.tag in TAG_NAMES
            if not known:
                tree.tags[row] = event.tag
            return (TAG_NAMES.index(event.tag) << 2 if known else OTHER) | style, text
        if event.implicit[0]:
            return self._learn(tree, text) | style, text
        if len(text) <= _LONGEST_WORD:
            if len(self._quoted) >= _MOST_WORDS:
                self._quoted.clear()
            text = self._quoted.setdefault(text, text)
        return TEXT | style, text

    def _other(self, tree: Tree, event: Any, row: int, depth: int) -> tuple[int, str]:
        """Code and text of an alias, or of a list or mapping that begins."""
        anchor, mark = event.anchor, event.start_mark
        if isinstance(event, AliasEvent):
            found = self._anchors.get(anchor)
            if found is None:
                raise ComposerError(None, None, "found undefined alias", mark)
            tree.plain = False
            tree.aliases[row] = found
            return ALIAS, ""
        if event.anchor is not None:
            self._anchor(tree, event, row)
        if depth >= MAX_DEPTH:
            tree.plain = False
        if event.tag is not None and event.tag != "!":
            tree.plain = False
            tree.tags[row] = event.tag
        return (MAP if isinstance(event, MappingStartEvent) else LIST) | bool(event.flow_style) << STYLE, ""

    def _anchor(self, tree: Tree, event: Any, row: int) -> None:
        tree.plain = False
        first = self._anchors.setdefault(event.anchor, row)
        if first != row:
            place = tree.start(first)
            mark = yaml.Mark("", place.index, place.line, place.column, "", 0)
            said = "found duplicate anchor; first occurrence"
            raise ComposerError(said, mark, "second occurrence", event.start_mark)
