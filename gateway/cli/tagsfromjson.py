"""A tag list as `fieldpost export --json` prints it: the same rows, with their places in the text."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cli.taglist import FIRST, MOST_ROWS, Row
from gateway.errors import Problem
from gateway.importing.report import Report
from gateway.importing.sources import Source
from gateway.importing.views import View


def from_json(name: str, raw: bytes, known: Sequence[str], problems: list[Problem]) -> list[Row]:
    """The rows of a list. What is wrong goes to `problems` with line and column. Cells are texts, as in a CSV."""
    report = Report()
    rows: list[Row] = []
    for view in Source(name, raw, report).views[:1]:
        listed = view.get("tags")
        for entry in (listed.as_list() if listed is not None else None) or []:
            row = _row(entry, known, report)
            if row is not None:
                rows.append(row)
            if len(rows) > MOST_ROWS:
                report.error(entry.place, f"a list may have {MOST_ROWS} tags", "split it")
                break
    problems += report.problems.sorted()
    return _once(name, rows, problems)


def _row(entry: View, known: Sequence[str], report: Report) -> Row | None:
    if entry.as_map() is None:
        return None
    cells: dict[str, str] = {}
    right = True
    for key, value in entry.entries():
        if key not in known:
            report.error(entry.key_place(key), f"unknown column `{key[:40]}`", f"known: {', '.join(known)}")
            right = False
        elif not value.is_scalar and not value.is_null:
            report.error(value.place, f"`{key}` is a text here, as in a CSV")
            right = False
        else:
            cells[key] = value.text
    for key in FIRST:
        if not cells.get(key):
            report.error(entry.place, f"no {key} is named")
            right = False
    return Row(entry.place.line, cells) if right else None


def _once(name: str, rows: list[Row], problems: list[Problem]) -> list[Row]:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.key in seen:
            problems.append(Problem(name, row.line, 1, "", f"{'.'.join(row.key)} stands in line {seen[row.key]} too"))
        seen[row.key] = row.line
    return rows
