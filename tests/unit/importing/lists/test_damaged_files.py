"""A file that is damaged or written to harm is told at its place, in the file's words: no exception, no long work."""

from __future__ import annotations

import random
import struct
import zipfile
from io import BytesIO

import pytest

from gateway.importing.report import Report
from gateway.importing.sheets import read_xlsx
from gateway.importing.sources import Source
from gateway.importing.tomlfiles import read_toml
from tests.support.lists import case, cells_of, xlsx, zipped

_CELL = '<worksheet><sheetData><row r="1"><c t="inlineStr"><is><t>name</t></is></c></row></sheetData></worksheet>'
LINE = xlsx(cells_of(case("neuron/line.csv")))


def faults_of_xlsx(raw: bytes) -> list[str]:
    report = Report()
    read_xlsx(Source("x.xlsx", raw, report), lambda _: True)
    return [str(problem) for problem in report.problems.sorted()]


def faults_of_toml(raw: bytes) -> list[str]:
    report = Report()
    read_toml(Source("x.toml", raw, report))
    return [str(problem) for problem in report.problems.sorted()]


@pytest.mark.parametrize("encoding", ["foo", "utf-7", "utf-32", "idna", "rot13", "hex", "shift_jis", "punycode"])
def test_a_part_in_an_encoding_that_cannot_be_read_is_told_with_its_name(encoding: str) -> None:
    faults = faults_of_xlsx(zipped({"xl/worksheets/sheet1.xml": f'<?xml version="1.0" encoding="{encoding}"?>{_CELL}'}))
    assert len(faults) == 1
    assert faults[0].startswith("x.xlsx:1:1")
    assert "xl/worksheets/sheet1.xml" in faults[0]


@pytest.mark.parametrize("packed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_part_that_is_packed_as_no_spreadsheet_is_told_with_its_name(packed: int) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", packed) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", _CELL)
    raw = bytearray(out.getvalue())
    raw[60] ^= 0xFF
    assert any("xl/worksheets/sheet1.xml" in fault for fault in faults_of_xlsx(bytes(raw)))


def test_a_directory_that_points_before_the_file_is_told() -> None:
    raw = bytearray(LINE)
    end = raw.rfind(b"PK\x05\x06")
    struct.pack_into("<I", raw, end + 16, struct.unpack_from("<I", raw, end + 16)[0] + 1000)
    assert faults_of_xlsx(bytes(raw))[0].startswith("x.xlsx:1:1")


def test_a_spreadsheet_with_any_bytes_flipped_is_read_or_told() -> None:
    chance = random.Random(11)
    told = 0
    for _ in range(1500):
        raw = bytearray(LINE)
        for _ in range(chance.randint(1, 6)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        told += bool(faults_of_xlsx(bytes(raw)))
    assert told > 500


def test_toml_with_any_bytes_flipped_is_read_or_told() -> None:
    chance = random.Random(11)
    good = case("telegraf/telegraf.conf")
    told = 0
    for _ in range(1500):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            raw[chance.randrange(len(raw))] = chance.choice(b"[]{}\"'=.,#\n\\x0e_-T:\x00\xff1")
        told += bool(faults_of_toml(bytes(raw)))
    assert told > 500


@pytest.mark.parametrize("digits", ["0x" + "f" * 400_000, "0b" + "1" * 400_000, "0x1" + "0" * 17])
def test_a_whole_number_of_more_than_64_bits_is_told_at_its_place(digits: str) -> None:
    faults = faults_of_toml(f"[a]\nslave_id = {digits}\n".encode())
    assert len(faults) == 1
    assert faults[0].startswith("x.toml:2:12")
    assert "64 bits" in faults[0]


def _sheet(body: str) -> dict[str, str]:
    return {"xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{body}</sheetData></worksheet>"}


def _wide(attribute: str, count: int) -> str:
    return "<row " + " ".join(attribute.format(number) for number in range(count)) + "/>"


def _shared(items: str, body: str = "<row/>") -> dict[str, str]:
    return {"xl/sharedStrings.xml": f"<sst>{items}</sst>", **_sheet(body)}


@pytest.mark.parametrize(
    ("parts", "part", "message"),
    [
        (_shared(f"<si><t>{'x' * 5000}</t></si>"), "sharedStrings", "a text of more than 4096 characters"),
        (_shared(f"<si>{'<t>xxxx</t>' * 2000}</si>"), "sharedStrings", "a text of more than 4096 characters"),
        (_sheet(f'<row><c t="str"><v>{"x" * 5000}</v></c></row>'), "sheet1", "a text of more than 4096 characters"),
        (
            _shared(f"<si><t>{'x' * 4000}</t></si>", '<row><c t="s"><v>0</v></c></row>' * 8100),
            "sheet1",
            "more than 32 million characters in its cells",
        ),
        (_shared("<si/>" * 2_000_001), "sharedStrings", "more than 2000000 XML elements"),
        (_sheet("<row>" + "<c/>" * 800_001 + "</row>"), "sheet1", "more than 800000 cells"),
        (_sheet(_wide('a{}=">"', 100_000)), "sheet1", "a tag of more than 256 KiB"),
        (
            _sheet(_wide('xmlns:a{}="a"', 50_000)),
            "sheet1",
            "a tag of more than 256 KiB",
        ),
    ],
    ids=["shared text", "runs", "cell", "copies", "si", "c", "attributes", "namespaces"],
)
def test_a_spreadsheet_that_would_take_long_is_refused_with_the_part(
    parts: dict[str, str], part: str, message: str
) -> None:
    faults = faults_of_xlsx(zipped(parts))
    assert len(faults) == 1
    assert part in faults[0]
    assert message in faults[0]


@pytest.mark.parametrize(
    "text",
    ["  [[a]]\n" * 40_001, "".join(f"[{'.'.join('abcdefghijklmnopqrst')}.x{n}]\n" for n in range(7000))],
    ids=["indented", "deep"],
)
def test_toml_with_too_many_tables_is_refused_wherever_they_begin(text: str) -> None:
    assert "more than 40000 tables" in faults_of_toml(text.encode())[0]


def test_values_of_one_long_line_of_toml_have_their_places() -> None:
    report = Report()
    line = "a = [" + ", ".join("{b = 1}" for _ in range(20_000)) + "]\n\nc = 2\n"
    view = read_toml(Source("x.toml", line.encode(), report))
    assert view is not None
    pairs = view.tree.node().value
    marks = {key.value: key.start_mark for key, _ in pairs}
    assert (marks["c"].line, marks["c"].column) == (2, 0)
    last = pairs[0][1].value[-1].value[0][0].start_mark
    assert (last.line, last.column) == (0, 5 + 9 * 19_999 + 1)
