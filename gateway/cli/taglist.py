"""A tag list as rows of text: out of a configuration, and back into it as the fewest changes.

Columns are the keys of a tag, driver's and kernel's, by their names in the files. A cell that a spreadsheet would run
as a formula, or that begins with an apostrophe itself, gets one before it, which is taken off again. What is a list or
a mapping in the files is written in its cell as it is there: `{0: "off", 1: heat}`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.cli.tagcells import IN_QUOTES, SCALAR, TEXT, YAML, Written, cells_of
from gateway.driver import DriverSpec
from gateway.errors import ConfigError, Problem
from gateway.settings.positions import Problems
from gateway.settings.types import GatewaySettings
from gateway.settings.yaml_reader import read_documents

FIRST = ("device", "tag")
KERNEL = ("type", "unit", "access", "scale", "offset", "range_low", "range_high", "deadband", "group", "interval")
COMPUTED = ("value", "counts", "hours", "integral", "reset", "initial")
"""Of tags without an address."""
RARE = (
    *("mask", "shift", "base", "invalid", "scale_from", "wrap", "coherent", "labels", "on_change", "heartbeat"),
    *("write", "verify", "tolerance", "on_reconnect", "conflict", "momentary", "on_demand", "hidden", "shadow"),
    *("description", "meta", "expect", "report_every", "local", "desired", "strict_edgex"),
    *COMPUTED,
)
"""Columns that a list has only where a tag needs them."""
_TEXTS = {
    *("type", "unit", "access", "group", "interval", "scale_from", "coherent", "heartbeat", "word_order", "conflict"),
    *("description", "report_every", "value", "counts", "hours", "integral"),
}
_YAML = {"invalid", "labels", "write", "verify", "on_reconnect", "meta", "expect", "desired", "reset", "initial"}
MOST_ROWS = 100_000
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SPECIAL = re.compile(r'[,;"\t\r\n]|^\s|\s$')
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(Struct, frozen=True):
    """One line of a list: its place in the file and its cells by column."""

    line: int
    cells: dict[str, str]

    @property
    def key(self) -> tuple[str, str]:
        return self.cells["device"], self.cells["tag"]

    def column(self, key: str) -> int:
        """The number of the cell of a key, 1 where the list has none."""
        name = "range_low" if key == "range" else key
        return list(self.cells).index(name) + 1 if name in self.cells else 1


def columns_of(settings: GatewaySettings, load: Callable[[str], DriverSpec]) -> list[str]:
    """All columns that tags of the configuration's channels may need, their drivers' own after the names."""
    own: dict[str, None] = {}
    for tag in {channel.driver: load(channel.driver).tag for channel in settings.channels}.values():
        own |= dict.fromkeys(tag.__struct_fields__)
    return [*FIRST, *(name for name in own if name not in (*KERNEL, *RARE)), *KERNEL, *RARE]


def needed(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns without the rare ones that no row needs."""
    return [column for column in columns if column not in RARE or any(row.get(column) for row in rows)]


def rows_of(
    settings: GatewaySettings, written: Mapping[str, Written], devices: Sequence[str] = ()
) -> Iterator[dict[str, str]]:
    """The tags of all devices, or of some, as cells. `written`: what each channel says for its tags."""
    for channel in settings.channels:
        around = written.get(channel.id, Written())
        for device in channel.devices:
            if not devices or device.id in devices:
                for tag in device.tags:
                    yield {"device": device.id, "tag": tag.path, **cells_of(tag, around, settings.timezone)}


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Comma separated text for any spreadsheet."""
    lines = [columns, *([_safe(row.get(column, "")) for column in columns] for row in rows)]
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


def _safe(cell: str) -> str:
    marked = cell.startswith((*_FORMULA, "'")) and not _is_number(cell)
    return f"'{cell}" if marked or cell != cell.strip() else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def decoded(name: str, raw: bytes) -> str:
    """The text of a list: UTF-8, or UTF-16 that says so. Raises ConfigError with the cell: a guess at another encoding
    would change units without a word.
    """
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "replace")
        cells = next(csv.reader([before.rpartition("\n")[2]], delimiter=_delimiter(before)), [])
        text = f"not {'UTF-16' if encoding == 'utf-16' else 'UTF-8'}: byte 0x{error.object[error.start]:02x}"
        line = before.count("\n") + 1
        raise ConfigError([Problem(name, line, max(len(cells), 1), "", text, "save it as CSV UTF-8")]) from None


def _delimiter(text: str) -> str:
    return max(",;\t", key=text.partition("\n")[0].count)


def from_csv(name: str, text: str, known: Sequence[str], problems: list[Problem]) -> list[Row]:
    """The rows of a list. What is wrong goes to `problems` with line and column (the cell's number)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[Row] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if _check_header(name, header, known, problems):
            for cells in reader:
                if any(cells):
                    rows += _row(name, reader.line_num, header, cells, problems)
                if len(rows) > MOST_ROWS:
                    text = f"a list may have {MOST_ROWS} tags"
                    problems.append(Problem(name, reader.line_num, 1, "", text, "split it"))
                    break
    except csv.Error as error:
        problems.append(Problem(name, reader.line_num, 1, "", f"cannot be read as CSV: {error}", "look at the quotes"))
    _check_keys(name, rows, problems)
    return rows


def strangers(text: str, devices: Collection[str], known: Sequence[str]) -> dict[str, int]:
    """Devices of a list that are not among `devices`, with the line of each; empty where all its columns are known."""
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    found: dict[str, int] = {}
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        if "device" not in columns or set(columns).issubset(known):
            return {}
        for row in reader:
            if (device := (row["device"] or "").strip()) and device not in devices:
                found.setdefault(device, reader.line_num)
    except csv.Error:  # is told by whoever reads the rows
        return {}
    return found


def _check_header(name: str, header: list[str], known: Sequence[str], problems: list[Problem]) -> bool:
    before = len(problems)
    if not {"device", "tag"} & {column.lower() for column in header}:
        text = "the first line is no header that anybody here knows"
        problems.append(Problem(name, 1, 1, "", text, f"a list of ours begins with {', '.join(FIRST)}"))
        return False
    for number, column in enumerate(header, 1):
        if column not in known:
            text = f"unknown column `{column[:40]}`"
            problems.append(Problem(name, 1, number, "", text, f"known: {', '.join(known)}"))
        elif column in header[: number - 1]:
            problems.append(Problem(name, 1, number, "", f"the column `{column}` is there twice"))
    missing = [column for column in FIRST if column not in header]
    problems.extend(Problem(name, 1, 1, "", f"there is no column `{column}`") for column in missing)
    return len(problems) == before


def _row(name: str, line: int, header: list[str], cells: list[str], problems: list[Problem]) -> list[Row]:
    if len(cells) != len(header):
        text = f"{len(cells)} cells, the first line has {len(header)}"
        problems.append(Problem(name, line, 1, "", text))
        return []
    row = Row(line, {column: _plain(cell) for column, cell in zip(header, cells, strict=True)})
    empty = [column for column in FIRST if not row.cells[column]]
    problems.extend(Problem(name, line, row.column(column), "", f"no {column} is named") for column in empty)
    return [] if empty else [row]


def _check_keys(name: str, rows: list[Row], problems: list[Problem]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.key in seen:
            problems.append(Problem(name, row.line, 1, "", f"{'.'.join(row.key)} stands in line {seen[row.key]} too"))
        seen[row.key] = row.line


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps it a text, and without blanks around what has none."""
    if cell.startswith("'") and (cell[1:2] in (*_FORMULA, "'") or cell[1:] != cell[1:].strip()):
        return cell[1:]
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in (*_FORMULA, "'") else cell


def value_of(cell: str, column: str = "", kind: str = SCALAR) -> Any:
    """A cell as a configuration value: a number where it is one. `007` is a name, and six digits an address; a number
    in double quotes is a text. `kind`: of a driver's own column.
    """
    if column in _TEXTS or kind == TEXT:
        return cell
    if column in _YAML or kind == YAML or IN_QUOTES.fullmatch(cell):
        documents = read_documents("", cell, Problems())
        return documents[0].data if documents else cell
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if column != "address" and _DECIMAL.fullmatch(cell):  # 40001.10 is bit 10, not bit 1
        return float(cell)
    return {"true": True, "false": False}.get(cell, cell)
