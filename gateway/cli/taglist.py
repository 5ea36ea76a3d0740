"""A tag list as rows of text: out of a configuration, and back into it as the fewest changes.

Columns are the keys of a tag, driver's and kernel's, by their names in the files. A cell that a spreadsheet would run
as a formula gets an apostrophe before it, which is taken off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from gateway.errors import Problem
from gateway.model import TagSpec
from gateway.settings.types import GatewaySettings

FIRST = ("device", "tag")
KERNEL = ("type", "unit", "access", "scale", "offset", "range_low", "range_high", "deadband", "interval")
_TEXTS = {"type", "unit", "access", "interval"}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(Struct, frozen=True):
    """One line of a list: its place in the file and its cells by column."""

    line: int
    cells: dict[str, str]

    @property
    def key(self) -> tuple[str, str]:
        return self.cells["device"], self.cells["tag"]


def columns_of(settings: GatewaySettings) -> list[str]:
    """All columns that the configuration's tags need, the driver's own after the names."""
    own: dict[str, None] = {}
    for channel in settings.channels:
        for device in channel.devices:
            for tag in device.tags:
                own |= dict.fromkeys(field.name for field in fields(type(tag.source)))
    return [*FIRST, *(name for name in own if name not in KERNEL), *KERNEL]


def rows_of(settings: GatewaySettings, devices: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """The tags of all devices, or of some, as cells."""
    for channel in settings.channels:
        for device in channel.devices:
            if not devices or device.id in devices:
                for tag in device.tags:
                    yield {"device": device.id, "tag": tag.path, **cells_of(tag)}


def cells_of(tag: TagSpec) -> dict[str, str]:
    """A tag's keys as cells; what is not set is empty."""
    cells = {field.name: _text(getattr(tag.source, field.name)) for field in fields(type(tag.source))}
    schedule = tag.schedule
    cells |= {
        "type": tag.type.value,
        "unit": tag.unit,
        "access": "" if tag.access.value == "r" else tag.access.value,
        "scale": _text(tag.transform.scale),
        "offset": _text(tag.transform.offset),
        "range_low": _text(tag.range[0] if tag.range else None),
        "range_high": _text(tag.range[1] if tag.range else None),
        "deadband": _text(tag.report.deadband),
        "interval": f"{schedule.every_s:g}s" if schedule is not None and not schedule.align else "",
    }
    return cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Comma separated text for any spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_safe(row.get(column, "")) for column in columns])
    return out.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def from_csv(name: str, text: str, known: Sequence[str], problems: list[Problem]) -> list[Row]:
    """The rows of a list. What is wrong goes to `problems` with line and column (the cell's number)."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [cell.strip() for cell in next(reader, [])]
    for number, column in enumerate(header, 1):
        if column not in known:
            problems.append(Problem(name, 1, number, "", f"unknown column `{column}`", f"known: {', '.join(known)}"))
    missing = [column for column in FIRST if column not in header]
    problems.extend(Problem(name, 1, 1, "", f"there is no column `{column}`") for column in missing)
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for cells in reader:
        if not any(cells) or problems:
            continue
        if len(cells) != len(header):
            text_ = f"{len(cells)} cells, the first line has {len(header)}"
            problems.append(Problem(name, reader.line_num, 1, "", text_))
            continue
        row = Row(reader.line_num, {column: _plain(cell) for column, cell in zip(header, cells, strict=True)})
        if row.key in seen:
            problems.append(Problem(name, row.line, 1, "", f"{'.'.join(row.key)} stands in line {seen[row.key]} too"))
        seen[row.key] = row.line
        rows.append(row)
    return rows


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in _FORMULA else cell


def value_of(cell: str, column: str = "") -> Any:
    """A cell as a configuration value: a number where it is one. `007` is a name, and six digits an address."""
    if column in _TEXTS:
        return cell
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if _DECIMAL.fullmatch(cell):
        return float(cell)
    return {"true": True, "false": False}.get(cell, cell)
