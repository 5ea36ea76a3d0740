"""Tag lists of other gateways as the tests need them: the files in tests/cases/imports, and a list as a spreadsheet."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

CASES = Path(__file__).resolve().parent.parent / "cases" / "imports"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def case(name: str) -> bytes:
    """A file of tests/cases/imports."""
    return (CASES / name).read_bytes()


def letters(column: int) -> str:
    """A, B, ... of the columns counted from 0 (26 at most)."""
    return chr(ord("A") + column)


def xlsx(rows: Sequence[Sequence[str]], *, shared: bool = True, sheet: str | None = None) -> bytes:
    """A spreadsheet with one sheet of texts, shared ones or inline; `sheet`: its XML, if it is to be another one."""
    texts = sorted({cell for row in rows for cell in row})
    lines = []
    for line, row in enumerate(rows, 1):
        cells = []
        for column, cell in enumerate(row):
            place = f'r="{letters(column)}{line}"'
            if shared:
                cells.append(f'<c {place} t="s"><v>{texts.index(cell)}</v></c>')
            else:
                cells.append(f'<c {place} t="inlineStr"><is><t>{escape(cell)}</t></is></c>')
        lines.append(f'<row r="{line}">{"".join(cells)}</row>')
    if sheet is None:
        sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    items = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
        '<sheet name="tags" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">'
        '<Relationship Id="rId1" Type="worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{items}</sst>',
    }
    return zipped(parts)


def zipped(parts: dict[str, str]) -> bytes:
    """A zip of texts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def cells_of(raw: bytes) -> list[list[str]]:
    """The cells of a CSV file."""
    return list(csv.reader(io.StringIO(raw.decode())))
