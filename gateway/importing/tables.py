"""Lists of tags as rows of cells with their places: CSV here, spreadsheets in gateway.importing.sheets.

A Place of a cell has the number of the line and of the cell, and the column's name as path.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence

from msgspec import Struct

from gateway.importing.draft import MOST_TAGS
from gateway.importing.report import Place, Report
from gateway.importing.sources import Source
from gateway.settings.yaml_reader import MAX_BYTES, decode

MOST_ROWS = 5 * MOST_TAGS
"""Lists for several channels may be longer than one channel's."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Row(Struct, frozen=True):
    """One line of a list. `cells` are trimmed; a missing one is empty."""

    file: str
    line: int
    columns: dict[str, int]
    cells: Sequence[str]

    def __getitem__(self, column: str) -> str:
        number = self.columns.get(column, len(self.cells))
        return self.cells[number] if number < len(self.cells) else ""

    def place(self, column: str = "") -> Place:
        """Where a cell stands; the line where no column is said."""
        return Place(self.file, self.line, self.columns.get(column, 0) + 1, column)


class Table(Struct, frozen=True):
    """A header, by names in small letters, and the rows below it."""

    file: str
    columns: dict[str, int]
    rows: list[Row]

    def header(self, column: str) -> Place:
        """Where a column's name stands."""
        return Place(self.file, 1, self.columns.get(column, 0) + 1, column)

    def used(self, column: str) -> bool:
        """Whether any row has something in this column."""
        return any(row[column] for row in self.rows)


def read_csv(source: Source, *, ansi: bool = False) -> Table | None:
    """The list of a file; what is wrong goes to the source's report. `ansi`: a file that is not UTF-8 is Windows-1252,
    which is noted.
    """
    text = _text(source, ansi=ansi)
    if text is None:
        return None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    return table_of(source.file, _csv_lines(source, text, delimiter), source.report)


def table_of(file: str, lines: Iterator[tuple[int, list[str]]], report: Report) -> Table | None:
    """A table of lines (number, cells), the first of which is the header. None where there is no header."""
    first = next(lines, None)
    if first is None:
        return None
    columns: dict[str, int] = {}
    for number, name in enumerate(first[1]):
        word = name.strip().lower()
        if word and word in columns:
            report.error(Place(file, first[0], number + 1, word), f"the column `{name[:40]}` is there twice")
        columns.setdefault(word, number)
    columns.pop("", None)
    rows: list[Row] = []
    for line, cells in lines:
        trimmed = [cell.strip() for cell in cells]
        if not any(trimmed):
            continue
        if len(rows) >= MOST_ROWS:
            report.error(Place(file, line, 1), f"a list may have {MOST_ROWS} rows", "split it")
            break
        row = Row(file, line, columns, trimmed)
        if _is_right(row, len(first[1]), report):
            rows.append(row)
    return Table(file, columns, rows)


def _is_right(row: Row, width: int, report: Report) -> bool:
    if any(row.cells[width:]):
        report.error(row.place(), f"{len(row.cells)} cells, the header has {width}", "put texts with commas in quotes")
        return False
    for number, cell in enumerate(row.cells):
        if "\0" in cell:
            report.error(Place(row.file, row.line, number + 1), "a NUL character is no text")
            return False
    return True


def _text(source: Source, *, ansi: bool) -> str | None:
    raw = source.raw
    if len(raw) <= MAX_BYTES and raw.startswith(_UTF16):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError as error:
            source.report.error(source.place, f"not UTF-16: {error.reason}", "save it as CSV UTF-8")
            return None
    if ansi and len(raw) <= MAX_BYTES:
        try:
            raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            source.report.guessed(source.place, "not UTF-8: read as Windows-1252 (ANSI)")
            return raw.decode("cp1252", "replace")
    return decode(source.file, raw, source.report.problems)


def _csv_lines(source: Source, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        source.report.error(
            Place(source.file, reader.line_num, 1), f"cannot be read as CSV: {error}", "look at the quotes"
        )


__all__ = ["MOST_ROWS", "Row", "Table", "read_csv", "table_of"]
