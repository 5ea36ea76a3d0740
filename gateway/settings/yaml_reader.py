"""YAML text to plain data with positions, without YAML 1.1's surprises. No file access.

Only `true`, `false`, `null`, decimal and `0x` whole numbers and decimal fractions are more than text: `on`, `010`,
`12:30` and dates stay text. Repeated keys, merge keys, anchors, aliases, tags and keys that are not plain are refused,
so a small file cannot grow in any later walk.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from gateway.errors import Problem
from gateway.settings.positions import Document, Key, Origin, Problems
from gateway.settings.yaml_errors import explain_syntax

MAX_BYTES = 8_000_000
MAX_DEPTH = 24
_PREFIX = "tag:yaml.org,2002:"
_TEXT, _NULL, _INT, _FLOAT, _BOOL = (_PREFIX + name for name in ("str", "null", "int", "float", "bool"))
_COLLECTIONS = {_PREFIX + "map", _PREFIX + "seq"}
# libyaml's composer recurses in C for each level: a deep document must be refused before it is parsed.
_DEEP_BLOCK = re.compile(rf"(?:[-?:][ \t]+){{{2 * MAX_DEPTH}}}")
_EXPRESSIONS = ("when", "until", "suppress", "while", "value", "counts", "hours")
"""Keys whose `!x` is meant as `not x`."""
_UNSPACED = re.compile(r"([a-z_][a-z0-9_./-]*):((?!//)\S.*)", re.DOTALL)
_OPEN_CLOSE = re.compile(r"[\[{\]}]")


class _Loader(yaml.CSafeLoader):
    """libyaml's parser with a short table of scalar forms instead of YAML 1.1's."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # PyYAML's own class attribute, replaced on purpose

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node, as the base finds it, without the detours for what is not used here: they are many."""
        if kind is not yaml.ScalarNode:
            return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
        if implicit[0]:
            for tag, pattern in self.yaml_implicit_resolvers.get(value[:1], ()):
                if pattern.match(value):
                    return str(tag)
        return _TEXT


for _name, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~", "n~"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_PREFIX + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))
_Loader.yaml_implicit_resolvers.setdefault("", []).append((_NULL, re.compile(r"\Z")))

_SCALAR_FORMS = [
    (tag, pattern)
    for tag, pattern in {entry for table in _Loader.yaml_implicit_resolvers.values() for entry in table}
    if tag != _NULL
]


def scalar_from_text(text: str) -> Any:
    """What the bare word `text` would be in a file: a number, a bool, or itself. Used for environment values."""
    for tag, pattern in _SCALAR_FORMS:
        if pattern.match(text):
            return _number(tag, text)
    return text


def _number(tag: str, text: str) -> bool | int | float:
    if tag == _BOOL:
        return text == "true"
    if tag == _INT:
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


def read_documents(file: str, raw: bytes | str, problems: Problems) -> list[Document]:
    """The documents of one file. What is wrong goes to `problems`; a file that cannot be parsed gives no document."""
    text, nodes, whole = compose(file, raw, problems)
    documents = [_Walk(file, text, node, problems).document() for node in nodes]
    return documents if whole else []


def compose(file: str, raw: bytes | str, problems: Problems) -> tuple[str, list[yaml.Node], bool]:
    """The text of a file, the nodes of its documents before anything that YAML allows is refused, and whether they are
    all.
    """
    text = decode(file, raw, problems)
    if text is None:
        return "", [], False
    if _too_deep(text):
        problems.add(Problem(file, 1, 1, "", f"nested deeper than {MAX_DEPTH} levels", "flatten the structure"))
        return text, [], False
    if file.lower().endswith(".json"):
        from gateway.settings.json_text import as_yaml, fault_of  # a start without such a file is quicker

        if fault := fault_of(file, text):
            problems.add(fault)
            return text, [], False
        text = as_yaml(text)
    with uncollected():
        return _composed(file, text, problems)


def _composed(file: str, text: str, problems: Problems) -> tuple[str, list[yaml.Node], bool]:
    loader = _Loader(text)
    nodes: list[yaml.Node] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node said that there is one
            nodes.append(node)
    except yaml.YAMLError as error:
        problems.add(explain_syntax(file, text, error))
        return text, nodes, False
    except (ValueError, OverflowError) as error:
        problems.add(Problem(file, 1, 1, "", f"cannot be read as YAML: {error}"))
        return text, nodes, False
    finally:
        loader.dispose()
    return text, nodes, True


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

    def __init__(self, file: str, text: str, node: yaml.Node, problems: Problems) -> None:
        self._file = file
        self._text = text
        self._root = node
        self._problems = problems
        self._seen: set[int] = set()
        # Marks count characters, so the source can be asked how a scalar was written; most files never need it.
        self._has_properties = "!" in text or "&" in text

    def document(self) -> Document:
        data = self._build(self._root, ())
        return Document(self._file, data, self._root, self._text)

    def _refuse(self, mark: Any, path: tuple[Key, ...], message: str, hint: str) -> None:
        place = Origin(Document(self._file, None, self._root), path)
        self._problems.add(Problem(self._file, mark.line + 1, mark.column + 1, place.text, message, hint), spoils=True)

    def _build(self, node: yaml.Node, path: tuple[Key, ...]) -> Any:
        if id(node) in self._seen:
            hint = "write the value again; what devices share belongs into a profile or `defaults`"
            self._refuse(node.start_mark, path, "an alias (`*name`) is not accepted: this part is used twice", hint)
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if len(path) >= MAX_DEPTH:
            self._refuse(node.start_mark, path, f"nested deeper than {MAX_DEPTH} levels", "flatten the structure")
            return None
        if node.tag not in _COLLECTIONS:
            self._refuse_tag(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: tuple[Key, ...]) -> Any:
        data: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                hint = 'put the text in quotes: "{n}"'
                self._refuse(name.start_mark, path, "a key must be a plain word, not a list or mapping", hint)
                continue
            key = name.value
            if key == "<<":
                hint = "write the keys out; what devices share belongs into a profile or `defaults`"
                self._refuse(name.start_mark, path, "the merge key `<<` is not accepted", hint)
                continue
            if id(name) in self._seen:
                self._refuse(name.start_mark, path, "an alias (`*name`) is not accepted as a key", "write the key")
                continue
            self._seen.add(id(name))
            if key in data:
                message = f"the key `{key}` stands here twice (first in line {lines[key]})"
                self._refuse(name.start_mark, (*path, key), message, "keep one of them")
                continue
            lines[key] = name.start_mark.line + 1
            data[key] = self._build(value, (*path, key))
        if node.flow_style and None in data.values():
            return self._check_cut_flow(node, path, data)
        return data

    def _check_cut_flow(self, node: yaml.MappingNode, path: tuple[Key, ...], data: dict[str, Any]) -> Any:
        """`{address: ns=2;s=Line,Speed}` is silently cut at the comma; `{n}` without quotes is a mapping.

        Gives what was probably meant, so that the rest of the file is checked with it.
        """
        before: list[str] | None = None
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
                before = None
                continue
            if value.tag == _NULL and not value.value:
                if self._split_key(name, path, data):
                    before = None
                    continue
                if self._has_colon(name):
                    self._refuse(name.start_mark, (*path, name.value), f"`{name.value}` has no value", "give it one")
                    before = None
                    continue
                if before:
                    shown = f'{before[0]}: "{before[1]},{name.value}"'
                    message = f"`{name.value}` has no value: a comma ends the text before it"
                    self._refuse(name.start_mark, (*path, name.value), message, f"put it in quotes: {shown}")
                    data.pop(name.value, None)
                    data[before[0]] = before[1] = f"{before[1]},{name.value}"
                    continue
                if len(node.value) == 1:
                    message = f"`{{{name.value}}}` without quotes is a mapping, not a text"
                    self._refuse(node.start_mark, path, message, f'put it in quotes: "{{{name.value}}}"')
                    return f"{{{name.value}}}"
                self._refuse(name.start_mark, (*path, name.value), f"`{name.value}` has no value", "give it one")
            before = [name.value, value.value]
        return data

    def _split_key(self, name: yaml.ScalarNode, path: tuple[Key, ...], data: dict[str, Any]) -> bool:
        """Whether a space is missing in `{run:true}`, which is a key without a value for YAML; gives what was meant."""
        match = _UNSPACED.match(name.value) if not self._has_colon(name) else None
        if match is None:
            return False
        hint = f"write {match[1]}: {match[2]}"
        self._refuse(name.start_mark, (*path, name.value), f"a space is missing after `{match[1]}:`", hint)
        data.pop(name.value, None)
        data[match[1]] = scalar_from_text(match[2])
        return True

    def _has_colon(self, name: yaml.ScalarNode) -> bool:
        """Whether a colon was written behind a key: then its value was forgotten, and no text was cut."""
        return self._text[name.end_mark.index :].lstrip()[:1] == ":"

    def _scalar(self, node: yaml.ScalarNode, path: tuple[Key, ...]) -> Any:
        tag, text = node.tag, node.value
        if self._has_properties:
            first = self._text[node.start_mark.index : node.start_mark.index + 1]
            if first in {"!", "&"} and node.start_mark.index < node.end_mark.index:
                source = self._text[node.start_mark.index : node.end_mark.index]
                kind = "a tag" if first == "!" else "an anchor"
                message = f"YAML takes a leading `{first}` as {kind} and swallows it"
                hint = f"put it in quotes: {_quote(source)}"
                if first == "!" and path[-1:] and path[-1] in _EXPRESSIONS:
                    hint = f"write {path[-1]}: not {source[1:].strip()}"
                self._refuse(node.start_mark, path, message, hint)
                return text
        if tag == _TEXT:
            return text
        if tag == _NULL:
            return None
        try:
            value = _number(tag, text)
        except ValueError:  # `!!int x`, or more digits than Python converts
            self._refuse(node.start_mark, path, f"`{text[:40]}` is not a number", "put it in quotes if it is a text")
            return text
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(node.start_mark, path, f"`{text}` is too large for a number", "write a finite number")
            return 0.0
        return value

    def _refuse_tag(self, node: yaml.Node, path: tuple[Key, ...]) -> None:
        self._refuse(node.start_mark, path, f"the YAML tag `{node.tag}` is not accepted", "remove it or use quotes")


def _quote(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'
