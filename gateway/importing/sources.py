"""Foreign files as Sources: decoded, bounded, parsed, and told apart by what they hold.

Nothing here can be made to work long by a small file: size, depth and what aliases stand for are bounded before
anything is walked.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import cached_property

from gateway.importing.report import Place, Report
from gateway.importing.views import View
from gateway.settings.json_text import as_yaml, fault_of
from gateway.settings.nodes import KINDS, LIST, Tree
from gateway.settings.yaml_parser import MAX_DEPTH
from gateway.settings.yaml_reader import MAX_BYTES, compose, decode

MOST_NODES = 400_000
"""Values of one document, aliases written out."""
_CSV_FIRST = ("tag name", "group", "name", "device", "tag", "address")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "null", "int", "float", "bool")}
_TOML_TABLE = re.compile(r"\[\[?[ \t]*[A-Za-z]")
ZIP = b"PK\x03\x04"


class Source:
    """One file that is to be imported: its name as people know it, its bytes, and its text or documents when asked.

    What cannot be read goes to the report; the text is then empty and there are no documents.
    """

    def __init__(self, file: str, raw: bytes, report: Report) -> None:
        self.file = file
        self.raw = _as_utf8(raw)
        self.report = report

    @property
    def place(self) -> Place:
        """The file as a whole."""
        return Place(self.file, 1, 1)

    @cached_property
    def is_zip(self) -> bool:
        """A spreadsheet (xlsx) is one."""
        return self.raw.startswith(ZIP)

    @cached_property
    def text(self) -> str:
        """The file as text: UTF-8 with or without a mark."""
        return decode(self.file, self.raw, self.report.problems) or ""

    @cached_property
    def first_line(self) -> str:
        """The first line, for a look at a header; never fails, tells nothing."""
        encoding = "utf-16" if self.raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        return self.raw[:4096].decode(encoding, "replace").partition("\n")[0].strip()

    @cached_property
    def is_json(self) -> bool:
        start = self.raw[:4096].decode("utf-8-sig", "replace").lstrip()
        return start[:1] in {"{", "["} and not _TOML_TABLE.match(start)

    @cached_property
    def is_toml(self) -> bool:
        """Looks like TOML with tables: the first line that says something is `[name]` or `[[name]]`, or `key =`."""
        for line in self.raw[:65536].decode("utf-8-sig", "replace").splitlines():
            words = line.strip()
            if words and not words.startswith("#"):
                name = words.partition("#")[0].strip()
                return (name.startswith("[") and name.endswith("]") and ":" not in name) or " = " in words
        return False

    @cached_property
    def is_table(self) -> bool:
        """A list of tags with a header line."""
        cells = self.first_line.replace(";", ",").replace("\t", ",").split(",")
        return len(cells) > 2 and cells[0].strip(' "').lower() in _CSV_FIRST

    @cached_property
    def views(self) -> list[View]:
        """The documents of a YAML or JSON file."""
        problems = self.report.problems
        if len(self.raw) > MAX_BYTES or (self.is_json and not self._json_is_right()):
            decode(self.file, self.raw[: MAX_BYTES + 1], problems)  # tells that it is too large
            return []
        if sum(map(self.raw.count, (b"\n", b",", b":"))) > 2 * MOST_NODES:  # parsing it would already take long
            self.report.error(self.place, f"more than {MOST_NODES} values", "split the file")
            return []
        trees, whole = compose(self.file, as_yaml(self.text) if self.is_json else self.raw, problems)
        if not whole:
            return []
        views = [View(self.file, tree.node(), self.report) for tree in trees if _Check(self, tree).passed()]
        return [view for view in views if not view.is_null]

    def _json_is_right(self) -> bool:
        """JSON is read by the YAML reader for its places; what JSON refuses is refused first, in JSON's words."""
        if not self.text:
            return False
        if fault := fault_of(self.file, self.text):
            self.report.problems.add(fault)
        return fault is None


def _as_utf8(raw: bytes) -> bytes:
    """Spreadsheets write UTF-16 with a mark; what is broken in it is told as text that is not UTF-8."""
    if not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw
    try:
        return raw.decode("utf-16").encode()
    except UnicodeError:
        return raw


class _Check:
    """One document: keys that are plain and there once, no tags, and aliases that stand for little."""

    def __init__(self, source: Source, tree: Tree) -> None:
        self._source = source
        self._tree = tree
        self._sizes: dict[int, int] = {}
        self._good = True

    def passed(self) -> bool:
        if len(self._tree.codes) > MOST_NODES or not self._tree.is_plain():
            self._size(0, 0)
        return self._good

    def _refuse(self, row: int, message: str, hint: str = "") -> None:
        mark = self._tree.start(row)
        self._source.report.error(Place(self._source.file, mark.line + 1, mark.column + 1), message, hint)
        self._good = False

    def _size(self, row: int, depth: int) -> int:
        """How many values a row stands for. One that holds itself, or too many, is refused."""
        known = self._sizes.get(row)
        if known is not None:
            if known == 0:
                self._refuse(row, "this part holds itself by an alias")
            return known
        if not self._tree.codes[row] & KINDS:
            self._check_tag(row)
            self._sizes[row] = 1
            return 1
        if depth > MAX_DEPTH:
            self._refuse(row, f"nested deeper than {MAX_DEPTH} levels", "flatten the structure")
            return 1
        self._sizes[row] = 0
        self._check_tag(row)
        total = 1
        for child in self._children(row):
            total += self._size(child, depth + 1)
            if not self._good and total > MOST_NODES:
                break
        if total > MOST_NODES:
            if self._good:
                self._refuse(row, f"this part stands for more than {MOST_NODES} values", "split the file")
            total = MOST_NODES + 1
        self._sizes[row] = total
        return total

    def _children(self, row: int) -> Iterator[int]:
        tree = self._tree
        if tree.codes[row] & KINDS == LIST:
            yield from tree.items(row)
            return
        lines: dict[str, int] = {}
        for key, value in tree.pairs(row):
            name = tree.values[key]
            if tree.codes[key] & KINDS:
                self._refuse(key, "a key must be a plain word, not a list or mapping")
                continue
            if name == "<<":
                self._refuse(key, "the merge key `<<` is not accepted", "write the keys out")
            elif name in lines:
                self._refuse(key, f"the key `{name[:40]}` stands here twice (first in line {lines[name]})")
            lines.setdefault(name, tree.start(key).line + 1)
            yield value

    def _check_tag(self, row: int) -> None:
        tag = self._tree.tag(row)
        if tag not in _TAGS:
            self._refuse(row, f"the YAML tag `{tag[:40]}` is not accepted", "remove it or use quotes")


__all__ = ["MOST_NODES", "Source"]
