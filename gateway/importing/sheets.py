"""Spreadsheets (xlsx) as rows of cells: zip and XML of the standard library, and nothing that a small file can blow up.

An xlsx is a zip of XML parts (ECMA-376): `xl/workbook.xml` names the sheets in order, `xl/sharedStrings.xml` holds
texts that cells refer to by number. Formulas, styles and dates are not looked at: a tag list has none. What a part
unpacks to is counted while it is unpacked; a DTD is refused, so no entity is ever expanded.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from xml.parsers import expat

from gateway.importing.report import Place
from gateway.importing.sources import Source
from gateway.importing.tables import MOST_ROWS, Table, table_of
from gateway.settings.yaml_reader import MAX_BYTES

_CHUNK = 65536
_MOST_PARTS = 1000
_MOST_UNPACKED = 64_000_000
_MOST_DEPTH = 64
_MOST_CELLS = 800_000
_MOST_COLUMNS = 200
_MOST_ELEMENTS = 2_000_000
_MOST_ATTRIBUTES = 6_000_000
"""Of all parts together: a parser takes about a microsecond for each."""
_MOST_MARKUP = 4 * _CHUNK
"""Bytes of one tag: only the whole tag can be looked at."""
_MOST_TEXT = 4096
"""Characters of one cell or shared text."""
_MOST_COPIED = 32_000_000
"""Characters of all cells: a shared text counts as often as it is used."""
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+\.0+")
Sheet = dict[int, dict[int, str]]
"""Cells by line and column, both from 1."""


class Refused(ValueError):
    """A file that is not read, and why."""


_DAMAGED = (
    Refused,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    OSError,
    ValueError,  # a directory that points before the file, a name that is no text
    OverflowError,
)
"""What zipfile and zlib raise on a file that is damaged."""


def read_xlsx(source: Source, wanted: Callable[[Table], bool]) -> Table | None:
    """The first sheet whose table is `wanted`; the first one where none is. Faults go to the source's report."""
    report = source.report
    if len(source.raw) > MAX_BYTES:
        report.error(source.place, f"larger than {MAX_BYTES // 1_000_000} MB", "split it into several files")
        return None
    try:
        sheets = _Workbook(source.raw).sheets()
    except _DAMAGED as error:
        report.error(source.place, f"cannot be read as a spreadsheet (xlsx): {error}", "save it again, or as CSV")
        return None
    tables = [table for sheet in sheets if (table := table_of(source.file, _lines(sheet), report)) is not None]
    if not tables:
        report.error(Place(source.file, 1, 1), "the spreadsheet is empty")
        return None
    return next((table for table in tables if wanted(table)), tables[0])


def _lines(sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    for line in sorted(sheet):
        cells = sheet[line]
        yield line, [cells.get(column, "") for column in range(1, max(cells) + 1)]


class _Workbook:
    """The parts of an xlsx, unpacked within bounds."""

    def __init__(self, raw: bytes) -> None:
        self._zip = zipfile.ZipFile(BytesIO(raw))
        self._left = _MOST_UNPACKED
        self._cells = _MOST_CELLS
        self._copied = _MOST_COPIED
        self._budget = _Budget()
        self._parts = {info.filename: info for info in self._zip.infolist()}
        if len(self._zip.infolist()) > _MOST_PARTS:
            raise Refused(f"more than {_MOST_PARTS} parts")

    def sheets(self) -> list[Sheet]:
        """All sheets in the workbook's order."""
        names = self._sheet_parts()
        if not names:
            raise Refused("there is no sheet in it")
        shared = _Texts(self._budget)
        if "xl/sharedStrings.xml" in self._parts:
            self._parse("xl/sharedStrings.xml", shared)
        return [self._sheet(name, shared.texts) for name in names]

    def _sheet_parts(self) -> list[str]:
        found = [name for name in self._parts if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name)]
        order = _Order(self._budget)
        if "xl/workbook.xml" in self._parts and "xl/_rels/workbook.xml.rels" in self._parts:
            self._parse("xl/workbook.xml", order)
            self._parse("xl/_rels/workbook.xml.rels", order)
        named = [name for name in order.parts() if name in self._parts]
        return [*named, *sorted(set(found) - set(named))]

    def _sheet(self, name: str, shared: list[str]) -> Sheet:
        cells = _Cells(self._budget, shared, self._cells, self._copied)
        self._parse(name, cells)
        self._cells, self._copied = cells.left, cells.copied
        return cells.sheet

    def _parse(self, name: str, handler: _Handler) -> None:
        """Feed a part to a handler while it is unpacked."""
        parser = expat.ParserCreate()  # without namespaces: declarations count as attributes
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_dtd
        parser.StartElementHandler = handler.start_element
        parser.EndElementHandler = handler.end_element
        parser.CharacterDataHandler = handler.text
        try:
            self._feed(name, parser)
        except (Refused, expat.ExpatError) as error:
            raise Refused(f"{name[:80]}: {error}") from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or expat cannot use
            raise Refused(f"{name[:80]}: not XML that can be read: {error}") from None

    def _feed(self, name: str, parser: expat.XMLParserType) -> None:
        fed = 0
        with self._zip.open(_plain(self._parts[name])) as part:
            while chunk := part.read(_CHUNK):
                self._left -= len(chunk)
                if self._left < 0:
                    raise Refused(f"it unpacks to more than {_MOST_UNPACKED // 1_000_000} MB")
                parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - parser.CurrentByteIndex > _MOST_MARKUP:
                    raise Refused(f"a tag of more than {_MOST_MARKUP // 1024} KiB")
            parser.Parse(b"", True)


def _plain(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """A part that is packed as a spreadsheet's parts are."""
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise Refused("packed in a way that spreadsheets do not use")
    return info


def _refuse_dtd(*_: object) -> None:
    raise Refused("it declares a document type (DTD), which a spreadsheet never has")


class _Budget:
    """How many elements and attributes may still come, in all parts together."""

    def __init__(self) -> None:
        self._elements = _MOST_ELEMENTS
        self._attributes = _MOST_ATTRIBUTES

    def take(self, attributes: int) -> None:
        self._elements -= 1
        self._attributes -= attributes
        if self._elements < 0 or self._attributes < 0:
            raise Refused(f"more than {_MOST_ELEMENTS} XML elements, or {_MOST_ATTRIBUTES} attributes")


class _Handler:
    """Elements by their local names, with bounded depth and number, and bounded texts."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._room = _MOST_TEXT
        self._depth = 0
        self._pieces: list[str] | None = None

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        self._budget.take(len(attributes))
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise Refused(f"XML nested deeper than {_MOST_DEPTH} levels")
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items() if not key.startswith("xmlns")}
        self.start(name.rpartition(":")[2], plain)

    def end_element(self, name: str) -> None:
        self._depth -= 1
        self.end(name.rpartition(":")[2])

    def text(self, data: str) -> None:
        if self._pieces is not None:
            self._room -= len(data)
            if self._room < 0:
                raise Refused(f"a text of more than {_MOST_TEXT} characters")
            self._pieces.append(data)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError


class _Order(_Handler):
    """The sheets' parts in the order of the workbook."""

    def __init__(self, budget: _Budget) -> None:
        super().__init__(budget)
        self._ids: list[str] = []
        self._targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            self._ids.append(attributes.get("id", ""))
        elif name == "Relationship":
            self._targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def end(self, name: str) -> None:
        """Nothing: all is in attributes."""

    def parts(self) -> list[str]:
        targets = [self._targets.get(each, "").removeprefix("/") for each in self._ids]
        return [target if target.startswith("xl/") else f"xl/{target}" for target in targets]


class _Texts(_Handler):
    """The shared texts: each `si` is one, its runs `t` put together; hints for pronunciation (`rPh`) are none."""

    def __init__(self, budget: _Budget) -> None:
        super().__init__(budget)
        self.texts: list[str] = []
        self._runs: list[str] = []
        self._hint = False

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - a handler's form
        if name == "si":
            self._runs = []
            self._room = _MOST_TEXT
        elif name == "rPh":
            self._hint = True
        elif name == "t":
            self._pieces = []

    def end(self, name: str) -> None:
        if name == "t":
            if not self._hint:
                self._runs += self._pieces or []
            self._pieces = None
        elif name == "rPh":
            self._hint = False
        elif name == "si":
            self.texts.append("".join(self._runs))


class _Cells(_Handler):
    """The cells of a sheet as texts."""

    def __init__(self, budget: _Budget, shared: list[str], left: int, copied: int) -> None:
        super().__init__(budget)
        self.copied = copied
        self.sheet: Sheet = {}
        self.left = left
        self._shared = shared
        self._line = self._column = 0
        self._kind = ""
        self._value: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            number = attributes.get("r", "")
            self._line = int(number) if number.isdecimal() and len(number) < 8 else self._line + 1
            self._column = 0
            if len(self.sheet) > MOST_ROWS:
                raise Refused(f"more than {MOST_ROWS} rows")
        elif name == "c":
            self._place(attributes.get("r", ""))
            self._kind = attributes.get("t", "n")
            self._value = []
            self._room = _MOST_TEXT
        elif name in {"v", "t"}:
            self._pieces = []

    def _place(self, reference: str) -> None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            self._column += 1
            return
        self._column, self._line = 0, int(match[2])
        for letter in match[1]:
            self._column = self._column * 26 + ord(letter) - ord("A") + 1

    def end(self, name: str) -> None:
        if name in {"v", "t"}:
            self._value += self._pieces or []
            self._pieces = None
        elif name == "c":
            text = self._shown("".join(self._value))
            self.left -= 1
            if self.left < 0 or (text and self._column > _MOST_COLUMNS):
                raise Refused(f"more than {_MOST_CELLS} cells, or {_MOST_COLUMNS} columns")
            self.copied -= len(text)
            if self.copied < 0:
                raise Refused(f"more than {_MOST_COPIED // 1_000_000} million characters in its cells")
            if text:
                self.sheet.setdefault(self._line, {})[self._column] = text

    def _shown(self, text: str) -> str:
        """A cell as people see it: `12.0` of a number is 12."""
        if self._kind == "s":
            number = int(text) if text.isdecimal() and len(text) < 9 else -1
            return self._shared[number] if 0 <= number < len(self._shared) else ""
        if self._kind == "b":
            return {"1": "true", "0": "false"}.get(text, text)
        if self._kind == "n" and _PLAIN_NUMBER.fullmatch(text):
            return text.partition(".")[0]
        return text


__all__ = ["read_xlsx"]
