"""YAML text to plain data with positions, without YAML 1.1's surprises. No file access.

Only `true`, `false`, `null`, decimal and `0x` whole numbers and decimal fractions are more than text: `on`, `010`,
`12:30` and dates stay text. Repeated keys, merge keys, anchors, aliases, tags and keys that are not plain are refused,
so a small file cannot grow in any later walk.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from gateway.errors import Problem
from gateway.settings.nodes import (
    BOOL,
    FLOAT,
    INT,
    KINDS,
    LIST,
    NULL,
    STYLE,
    TAGS,
    TEXT,
    Node,
    ScalarNode,
    Tree,
)
from gateway.settings.positions import Document, Key, Origin, Problems
from gateway.settings.yaml_errors import explain_syntax
from gateway.settings.yaml_parser import FORMS, MAX_DEPTH, MOST_ROWS, TooMany, trees_of

MAX_BYTES = 8_000_000
# A deep document is refused before it is parsed: whatever walks it later would go as deep.
_DEEP_BLOCK = re.compile(rf"(?:[-?:][ \t]+){{{2 * MAX_DEPTH}}}")
_COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_EXPRESSIONS = ("when", "until", "suppress", "while", "value", "counts", "hours")
"""Keys whose `!x` is meant as `not x`."""
_UNTAGGED = "remove it or use quotes"
_UNSPACED = re.compile(r"([a-z_][a-z0-9_./-]*):((?!//)\S.*)", re.DOTALL)
_BLANK = re.compile(r"\s*")
_OPEN_CLOSE = re.compile(r"[\[{\]}]")
_FIRST_OF = {BOOL: 0, INT: 1, FLOAT: 2}
_SCALAR_FORMS = sorted(((code, form) for code, form, _ in FORMS if code != NULL), key=lambda form: _FIRST_OF[form[0]])


def scalar_from_text(text: str) -> Any:
    """What the bare word `text` would be in a file: a number, a bool, or itself. Used for environment values."""
    for code, pattern in _SCALAR_FORMS:
        if pattern.match(text):
            return _number(code, text)
    return text


def _number(code: int, text: str) -> bool | int | float:
    if code == BOOL:
        return text == "true"
    if code == INT:
        return int(text, 16 if "x" in text else 10)
    return float(text)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage meanwhile. What is made of a file stays until it is done; to look through all of it again
    and again, as it grows, takes several times as long as to make it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_documents(
    file: str, raw: bytes | str, problems: Problems, *, unread: Callable[[Tree], bool] | None = None
) -> list[Document]:
    """The documents of one file. What is wrong goes to `problems`; a file that cannot be parsed gives no document.

    `unread` says of which documents the data are not wanted, only the nodes: they are then made where there is
    something to refuse.
    """
    trees, whole = compose(file, raw, problems)
    documents = []
    for tree in trees:
        if unread is not None and tree.is_plain() and unread(tree):
            documents.append(Document(file, UNREAD, tree.node()))
        else:
            documents.append(_Walk(file, tree, problems).document())
    return documents if whole else []


UNREAD: dict[str, Any] = {}
"""The data of a document that were not made."""


def compose(file: str, raw: bytes | str, problems: Problems) -> tuple[list[Tree], bool]:
    """The documents of a file before anything that YAML allows is refused, and whether they are all."""
    text = decode(file, raw, problems)
    if text is None:
        return [], False
    if _too_deep(text):
        problems.add(Problem(file, 1, 1, "", f"nested deeper than {MAX_DEPTH} levels", "flatten the structure"))
        return [], False
    if file.lower().endswith(".json"):
        from gateway.settings.json_text import as_yaml, fault_of  # a start without such a file is quicker

        if fault := fault_of(file, text):
            problems.add(fault)
            return [], False
        text = as_yaml(text)
    with uncollected():
        return _composed(file, text, problems)


def _composed(file: str, text: str, problems: Problems) -> tuple[list[Tree], bool]:
    trees: list[Tree] = []
    try:
        for tree in trees_of(text):
            trees.append(tree)  # noqa: PERF402 - those before a fault are wanted
    except yaml.YAMLError as error:
        problems.add(explain_syntax(file, text, error))
        return trees, False
    except TooMany:
        problems.add(Problem(file, 1, 1, "", f"more than {MOST_ROWS} keys and values", "split it into several files"))
        return [], False
    except (ValueError, OverflowError) as error:
        problems.add(Problem(file, 1, 1, "", f"cannot be read as YAML: {error}"))
        return trees, False
    return trees, True


def decode(file: str, raw: bytes | str, problems: Problems) -> str | None:
    """The text of a file. None when it is too large or not UTF-8, which goes to `problems`."""
    if len(raw) > MAX_BYTES:
        problems.add(Problem(file, 1, 1, "", f"larger than {MAX_BYTES // 1_000_000} MB", "split it into several files"))
        return None
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        problems.add(Problem(file, line, column, "", message, "save the file as UTF-8"))
        return None


def _too_deep(text: str) -> bool:
    if _DEEP_BLOCK.search(text):
        return True
    depth = 0
    for match in _OPEN_CLOSE.finditer(text):
        depth = depth + 1 if match.group() in "[{" else max(0, depth - 1)
        if depth > 20 * MAX_DEPTH:  # brackets in texts and comments are counted too, hence the wide margin
            return True
    return False


class _Walk:
    """Turns the nodes of one document into data and refuses what YAML allows but nobody means."""

    def __init__(self, file: str, tree: Tree, problems: Problems) -> None:
        self._file = file
        self._tree = tree
        self._text = tree.lines.text
        self._problems = problems
        self._path: list[Key] = []
        """Of the list or mapping that is being read."""
        self._seen: set[int] = set()
        # Marks count characters, so the source can be asked how a scalar was written; most files never need it.
        self._has_properties = "!" in self._text or "&" in self._text

    def document(self) -> Document:
        return Document(self._file, self._build(0), self._tree.node())

    def _refuse(self, row: int, path: tuple[Key, ...], message: str, hint: str) -> None:
        place = Origin(Document(self._file, None, self._tree.node()), path)
        mark = self._tree.start(row)
        self._problems.add(Problem(self._file, mark.line + 1, mark.column + 1, place.text, message, hint), spoils=True)

    def _build(self, row: int, *key: Key) -> Any:
        """The data of a row. `key`: where it is in the list or mapping that is being read."""
        tree = self._tree
        if tree.aliases:
            if row in self._seen:
                hint = "write the value again; what devices share belongs into a profile or `defaults`"
                message = "an alias (`*name`) is not accepted: this part is used twice"
                self._refuse(row, (*self._path, *key), message, hint)
                return None
            self._seen.add(row)
        code = tree.codes[row]
        if not code & KINDS:
            return self._scalar(row, code, key)
        if len(self._path) + len(key) >= MAX_DEPTH:
            path = (*self._path, *key)
            self._refuse(row, path, f"nested deeper than {MAX_DEPTH} levels", "flatten the structure")
            return None
        if not tree.plain and tree.tag(row) not in _COLLECTIONS:
            self._refuse(row, (*self._path, *key), f"the YAML tag `{tree.tag(row)}` is not accepted", _UNTAGGED)
        self._path += key
        data: Any
        if code & KINDS == LIST:
            data = [self._build(item, index) for index, item in enumerate(tree.items(row))]
        else:
            data = self._mapping(row)
        del self._path[len(self._path) - len(key) :]
        return data

    def _mapping(self, row: int) -> Any:
        tree = self._tree
        codes, values, data = tree.codes, tree.values, dict[str, Any]()
        careful = self._has_properties or bool(tree.aliases)
        has_empty = False
        for name, value in tree.pairs(row):
            key = values[name]
            if (careful or key in data or key == "<<" or codes[name] & KINDS) and not self._takes(row, name, data):
                continue
            if careful or codes[value] & (KINDS | TAGS) != TEXT:
                made = data[key] = self._build(value, key)
                has_empty = has_empty or made is None
            else:
                data[key] = values[value]
        return self._check_cut_flow(row, data) if has_empty and codes[row] >> STYLE else data

    def _takes(self, row: int, name: int, data: dict[str, Any]) -> bool:
        """Whether a key may stand in a mapping, beside what is read of it already."""
        tree, path = self._tree, tuple(self._path)
        key = tree.values[name]
        if tree.codes[name] & KINDS:
            hint = 'put the text in quotes: "{n}"'
            self._refuse(name, path, "a key must be a plain word, not a list or mapping", hint)
            return False
        if key == "<<":
            hint = "write the keys out; what devices share belongs into a profile or `defaults`"
            self._refuse(name, path, "the merge key `<<` is not accepted", hint)
            return False
        if tree.aliases:
            if name in self._seen:
                self._refuse(name, path, "an alias (`*name`) is not accepted as a key", "write the key")
                return False
            self._seen.add(name)
        if key in data:
            first = next(other for other in tree.keys(row) if tree.values[other] == key)
            message = f"the key `{key}` stands here twice (first in line {tree.start(first).line + 1})"
            self._refuse(name, (*path, key), message, "keep one of them")
            return False
        return True

    def _check_cut_flow(self, row: int, data: dict[str, Any]) -> Any:
        """`{address: ns=2;s=Line,Speed}` is silently cut at the comma; `{n}` without quotes is a mapping.

        Gives what was probably meant, so that the rest of the file is checked with it.
        """
        tree, path = self._tree, tuple(self._path)
        entries = [(tree.node(name), tree.node(value)) for name, value in tree.pairs(row)]
        before: list[str] | None = None
        for name, value in entries:
            if not isinstance(name, ScalarNode) or not isinstance(value, ScalarNode):
                before = None
                continue
            if value.is_null and not value.value:
                if self._split_key(name, path, data):
                    before = None
                    continue
                if self._has_colon(name):
                    self._refuse(name.row, (*path, name.value), f"`{name.value}` has no value", "give it one")
                    before = None
                    continue
                if before:
                    shown = f'{before[0]}: "{before[1]},{name.value}"'
                    message = f"`{name.value}` has no value: a comma ends the text before it"
                    self._refuse(name.row, (*path, name.value), message, f"put it in quotes: {shown}")
                    data.pop(name.value, None)
                    data[before[0]] = before[1] = f"{before[1]},{name.value}"
                    continue
                if len(entries) == 1:
                    message = f"`{{{name.value}}}` without quotes is a mapping, not a text"
                    self._refuse(row, path, message, f'put it in quotes: "{{{name.value}}}"')
                    return f"{{{name.value}}}"
                self._refuse(name.row, (*path, name.value), f"`{name.value}` has no value", "give it one")
            before = [name.value, value.value]
        return data

    def _split_key(self, name: ScalarNode, path: tuple[Key, ...], data: dict[str, Any]) -> bool:
        """Whether a space is missing in `{run:true}`, which is a key without a value for YAML; gives what was meant."""
        match = _UNSPACED.match(name.value) if not self._has_colon(name) else None
        if match is None:
            return False
        hint = f"write {match[1]}: {match[2]}"
        self._refuse(name.row, (*path, name.value), f"a space is missing after `{match[1]}:`", hint)
        data.pop(name.value, None)
        data[match[1]] = scalar_from_text(match[2])
        return True

    def _has_colon(self, name: Node) -> bool:
        """Whether a colon was written behind a key: then its value was forgotten, and no text was cut."""
        behind = _BLANK.match(self._text, name.end)
        return self._text.startswith(":", name.end if behind is None else behind.end())

    def _scalar(self, row: int, code: int, key: tuple[Key, ...]) -> Any:
        tree, text = self._tree, self._tree.values[row]
        if self._has_properties:
            start, end = tree.starts[row], tree.ends[row]
            first = self._text[start : start + 1]
            if first in {"!", "&"} and start < end:
                source = self._text[start:end]
                kind = "a tag" if first == "!" else "an anchor"
                message = f"YAML takes a leading `{first}` as {kind} and swallows it"
                hint = f"put it in quotes: {_quote(source)}"
                if first == "!" and (path := (*self._path, *key)) and path[-1] in _EXPRESSIONS:
                    hint = f"write {path[-1]}: not {source[1:].strip()}"
                self._refuse(row, (*self._path, *key), message, hint)
                return text
        tag = code & TAGS
        if tag == TEXT:
            return text
        if tag == NULL:
            return None
        try:
            value = _number(tag, text)
        except ValueError:  # `!!int x`, or more digits than Python converts
            hint = "put it in quotes if it is a text"
            self._refuse(row, (*self._path, *key), f"`{text[:40]}` is not a number", hint)
            return text
        if isinstance(value, float) and not math.isfinite(value):
            path = (*self._path, *key)
            self._refuse(row, path, f"`{text}` is too large for a number", "write a finite number")
            return 0.0
        return value


def _quote(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'
