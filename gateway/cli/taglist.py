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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import ConfigError, Problem
from gateway.model import WRITERS, DeviceSpec, Schedule, TagSpec, Value
from gateway.settings.positions import Problems
from gateway.settings.types import GatewaySettings
from gateway.settings.yaml_reader import read_documents
from gateway.settings.yaml_writer import flow

FIRST = ("device", "tag")
KERNEL = ("type", "unit", "access", "scale", "offset", "range_low", "range_high", "deadband", "group", "interval")
RARE = (
    *("mask", "shift", "base", "invalid", "scale_from", "wrap", "coherent", "labels", "on_change", "heartbeat"),
    *("write", "verify", "tolerance", "on_reconnect", "conflict", "momentary", "on_demand", "hidden", "shadow"),
    *("description", "meta", "expect", "report_every", "local", "desired", "strict_edgex"),
)
"""Columns that a list has only where a tag needs them."""
_TEXTS = {
    *("type", "unit", "access", "group", "interval", "scale_from", "coherent", "heartbeat", "word_order", "conflict"),
    *("description", "report_every"),
}
_YAML = {"invalid", "labels", "write", "verify", "on_reconnect", "meta", "expect", "desired"}
MOST_ROWS = 100_000
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Groups = Mapping[str, Mapping[str, Schedule]]
"""The poll groups of each channel."""


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


def columns_of(settings: GatewaySettings) -> list[str]:
    """All columns that the configuration's tags need, the driver's own after the names."""
    own: dict[str, None] = {}
    for channel in settings.channels:
        for device in channel.devices:
            for tag in _of_the_device(device):
                own |= dict.fromkeys(type(tag.source).__struct_fields__)
    return [*FIRST, *(name for name in own if name not in (*KERNEL, *RARE)), *KERNEL, *RARE]


def needed(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns without the rare ones that no row needs."""
    return [column for column in columns if column not in RARE or any(row.get(column) for row in rows)]


def rows_of(settings: GatewaySettings, groups: Groups, devices: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """The tags of all devices, or of some, as cells."""
    for channel in settings.channels:
        for device in channel.devices:
            if not devices or device.id in devices:
                for tag in _of_the_device(device):
                    yield {"device": device.id, "tag": tag.path, **cells_of(tag, groups.get(channel.id, {}))}


def _of_the_device(device: DeviceSpec) -> list[TagSpec]:
    """Tags with an address. Computed ones are made of expressions, which no list has a column for."""
    return [tag for tag in device.tags if tag.virtual is None]


def cells_of(tag: TagSpec, groups: Mapping[str, Schedule]) -> dict[str, str]:
    """A tag's keys as cells; what is not set is empty."""
    cells = {name: _text(getattr(tag.source, name)) for name in type(tag.source).__struct_fields__}
    group = next((name for name, schedule in groups.items() if schedule == tag.schedule), "")
    alone = tag.schedule is not None and not group and not tag.schedule.align
    transform, report = tag.transform, tag.report
    cells |= {
        "type": tag.type.value,
        "unit": tag.unit,
        "access": "" if tag.access.value == "r" else tag.access.value,
        "scale": _text(transform.scale),
        "offset": _text(transform.offset),
        "range_low": _text(tag.range[0] if tag.range else None),
        "range_high": _text(tag.range[1] if tag.range else None),
        "deadband": _text(report.deadband),
        "group": group,
        "interval": _seconds(tag.schedule.every_s) if tag.schedule is not None and alone else "",
        "mask": _text(transform.mask),
        "shift": _text(transform.shift or None),
        "base": _text(transform.base),
        "invalid": _text(list(transform.invalid) or None),
        "on_change": _flag(report.on_change),
        "heartbeat": "" if report.heartbeat_s is None else _seconds(report.heartbeat_s),
        "report_every": "" if report.every_s is None else _seconds(report.every_s),
    }
    return cells | _more_cells(tag) | _kept_cells(tag)


def _more_cells(tag: TagSpec) -> dict[str, str]:
    limits, verify = tag.write, tag.verify
    write: dict[str, Any] = {"min": limits.minimum, "max": limits.maximum}
    write["rate"] = None if limits.rate is None else f"{limits.rate[0]}/{limits.rate[1]:.0f}s"
    write["max_change"] = limits.max_change
    write["allow"] = None if limits.allow == WRITERS else list(limits.allow)
    write["while"] = limits.interlock or None
    check: dict[str, Any] = {"tag": verify.tag, "settle": _seconds(verify.settle_s) if verify.settle_s else None}
    whole = any(check.values())
    if whole:
        check["tolerance"] = verify.tolerance
    return {
        "scale_from": _text(tag.scale_from),
        "wrap": _text(tag.wrap),
        "coherent": tag.coherent,
        "labels": _text(dict(tag.labels) or None),
        "write": _text(_given(write) or None),
        "verify": _text(_given(check) or None),
        "tolerance": "" if whole else _text(verify.tolerance),
        "momentary": _flag(tag.momentary),
        "on_demand": _flag(tag.on_demand),
        "hidden": _flag(tag.hidden),
        "shadow": _flag(tag.shadow),
    }


def _kept_cells(tag: TagSpec) -> dict[str, str]:
    """What goes with a tag besides reading and writing it."""
    edgex = tag.transform.edgex
    reapply = None if tag.reapply_s is None else {"reapply": _seconds(tag.reapply_s)}
    return {
        "on_reconnect": _text(reapply),
        "conflict": tag.conflict or "",
        "description": tag.description,
        "meta": _text(dict(tag.meta) or None),
        "expect": "" if tag.expect is None else _value(tag.expect),
        "local": _flag(tag.local),
        "desired": "" if tag.desired is None else _value(tag.desired),
        "strict_edgex": "" if edgex is None else "true" if edgex is tag.type else edgex.value,
    }


def _value(value: Value) -> str:
    """A value of a tag as it stands in the files: a text that looks like a number has quotes."""
    return flow(value.hex() if isinstance(value, bytes) else _tidy(value))


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _tidy(value) for key, value in keys.items() if value is not None}


def _tidy(value: Any) -> Any:
    """A whole number without a fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _flag(value: bool) -> str:
    return "true" if value else ""


def _seconds(value: float) -> str:
    return f"{_text(value)}s"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return flow(value)
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Comma separated text for any spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_safe(row.get(column, "")) for column in columns])
    return out.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith((*_FORMULA, "'")) and not _is_number(cell) else cell


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


def _check_header(name: str, header: list[str], known: Sequence[str], problems: list[Problem]) -> bool:
    before = len(problems)
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
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in (*_FORMULA, "'") else cell


def value_of(cell: str, column: str = "") -> Any:
    """A cell as a configuration value: a number where it is one. `007` is a name, and six digits an address."""
    if column in _TEXTS:
        return cell
    if column in _YAML:
        documents = read_documents("", cell, Problems())
        return documents[0].data if documents else cell
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if column != "address" and _DECIMAL.fullmatch(cell):  # 40001.10 is bit 10, not bit 1
        return float(cell)
    return {"true": True, "false": False}.get(cell, cell)
