"""Whatever a list holds, it is read or told at its place: never an exception, never half a file that does not load."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.importing.draft import Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from gateway.importing.writing import files_of
from gateway.registry import Registry
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files
from rules.expression import RuleExpressions
from tests.support.lists import case, cells_of, xlsx, zipped

FILES = {
    "boiler.csv": case("kepware/boiler.csv"),
    "line.csv": case("neuron/line.csv"),
    "line.xlsx": xlsx(cells_of(case("neuron/line.csv"))),
    "modbus.json": case("thingsboard/modbus.json"),
    "opcua.json": case("thingsboard/opcua.json"),
    "telegraf.conf": case("telegraf/telegraf.conf"),
    "opcua.conf": case("telegraf/opcua.conf"),
    "model_103.json": case("sunspec/model_103.json"),
}
WRONG: list[Any] = [
    None,
    True,
    -1,
    1e300,
    70000,
    "",
    "x",
    "${x}",
    "{a}",
    [],
    {},
    [[]],
    {"a": 1},
    "0" * 300,
    2**70,
    "\u202e\x01",
]
CELLS = [
    "",
    "x",
    "-1",
    "1e400",
    "{n}",
    '"',
    "400001[99999]",
    "1!400001.999H",
    "nan",
    "\u0663",
    "\x00",
    "=1+1",
    "a" * 3000,
]


def taken(files: dict[str, bytes], **options: Any) -> tuple[Any, Report]:
    report = Report()
    return take_over(files, report, Options(**options)), report


def load(texts: dict[str, str], folder: Path) -> None:
    files = {"gateway.yaml": b"gateway: {id: x}\n", **{name: text.encode() for name, text in texts.items()}}
    load_files(
        files,
        Registry().load,
        env={},
        credentials=credentials_of(folder, {}),
        base=folder,
        expressions=RuleExpressions(),
    )


@pytest.mark.parametrize("name", FILES)
def test_the_same_file_gives_the_same_files_and_they_load(name, tmp_path):
    draft, report = taken({name: FILES[name]}, url="tcp://127.0.0.1:1")
    again, _ = taken({name: FILES[name]}, url="tcp://127.0.0.1:1")
    assert not report.problems.sorted()
    assert files_of(draft) == files_of(again)
    (tmp_path / "credentials").mkdir(mode=0o700)
    for secret in draft.credentials:
        (tmp_path / "credentials" / secret).write_text("x")
        (tmp_path / "credentials" / secret).chmod(0o600)
    load(files_of(draft), tmp_path)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".xlsx")])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_that_was_cut_or_has_other_lines_is_told_or_read(name, data):
    lines = FILES[name].splitlines(keepends=True)
    seed = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = seed.randrange(len(lines))
        match seed.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines[place] = lines[place][: seed.randrange(len(lines[place]) + 1)]
            case 2:
                lines.insert(place, lines[seed.randrange(len(lines))])
            case _:
                at = seed.randrange(len(lines[place]) or 1)
                lines[place] = lines[place][:at] + bytes([seed.randrange(256)]) + lines[place][at + 1 :]
        lines = lines or [b"\n"]
    draft, report = taken({name: b"".join(lines)})
    assert draft.profiles or draft.channels or report.problems.sorted()
    assert all(problem.file == name and problem.line >= 1 for problem in report.problems.sorted())


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_json_with_values_of_other_kinds_is_told_or_read(name, data):
    tree = json.loads(FILES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        inside(tree, random.Random(data.draw(st.integers(0, 2**32))), data.draw(st.sampled_from(WRONG)))
    raw = json.dumps(tree).encode()
    draft, report = taken({name: raw}, url="tcp://127.0.0.1:1", repeat=3)
    files_of(draft)
    assert all(problem.line >= 1 for problem in report.problems.sorted())


def inside(tree: Any, seed: random.Random, value: Any) -> None:
    """Put a value somewhere into a tree."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = seed.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and seed.random() < 0.85:
            tree = tree[key]
            continue
        tree[key] = copy.deepcopy(value)
        return


@pytest.mark.parametrize("name", ["boiler.csv", "line.csv", "line.xlsx"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_tables_with_other_cells_are_told_or_read(name, data):
    rows = cells_of(FILES["boiler.csv" if name == "boiler.csv" else "line.csv"])
    for _ in range(data.draw(st.integers(1, 5))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(
            st.sampled_from(CELLS[:-3] if "xlsx" in name else CELLS)
        )
    raw = xlsx(rows, shared=data.draw(st.booleans())) if "xlsx" in name else "\n".join(map(joined, rows)).encode()
    draft, report = taken({name: raw}, url="tcp://127.0.0.1:1")
    files_of(draft)
    assert all(problem.line >= 1 for problem in report.problems.sorted())


def joined(row: list[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in row)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><worksheet>&b;</worksheet>'
DEEP = "<worksheet>" + "<a>" * 5000 + "</a>" * 5000 + "</worksheet>"
ROWS = "<worksheet><sheetData>" + "<row/>" * 200_000 + "</sheetData></worksheet>"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (xlsx([["group", "name"]], sheet=BOMB), "document type"),
        (xlsx([["group", "name"]], sheet=DEEP), "nested deeper"),
        (xlsx([["group", "name"]], sheet="<worksheet>" + " " * 70_000_000), "unpacks to more than 64 MB"),
        (xlsx([["group", "name"]], sheet="<worksheet><c"), "sheet1.xml"),
        (xlsx([["group", "name"]], sheet=ROWS), "empty"),
        (b"PK\x03\x04 nothing", "spreadsheet"),
        (zipped({"a.txt": "no sheet"}), "there is no sheet"),
        (zipped({f"xl/{n}": "" for n in range(1001)}), "more than 1000 parts"),
        (FILES["line.xlsx"][:-40], "spreadsheet"),
        (b"PK\x03\x04" + b"0" * 9_000_000, "larger than 8 MB"),
    ],
    ids=range(10),
)
def test_a_hostile_spreadsheet_is_told(raw, text):
    _, report = taken({"tags.xlsx": raw})
    assert [text in str(problem) for problem in report.problems.sorted()] == [True]
    assert str(report.problems.sorted()[0]).startswith("tags.xlsx:1:1: ")


@pytest.mark.parametrize(
    ("name", "raw", "place"),
    [
        ("a.csv", b'Tag Name,Address,Data Type\n"x,400001,Word\n', "a.csv:2:1: "),
        ("a.csv", b"Tag Name,Address,Data Type\nx\x00,400001,Word\n", "a.csv:2:1: "),
        ("a.csv", b"group,name,address,attribute,type\n" + b"x" * 9_000_000, "a.csv:1:1: "),
        ("a.toml", b"[[inputs.modbus]]\nname = \n", "a.toml:2:8: "),
        ("a.toml", b"[agent]\nx = " + b"[" * 5000 + b"]" * 5000, "a.toml:1:1: "),
        ("a.toml", b"[[inputs.modbus]]\nx" + b".a" * 200_000 + b" = 1", "a.toml:2:1: "),
        ("a.toml", b"[[inputs.modbus]]\n" + b"".join(b"k%d = 1\n" % n for n in range(500_000)), "a.toml:1:1: "),
        ("a.toml", b"[[inputs.modbus]]\n" * 100_000, "a.toml:1:1: "),
        ("a.json", b'{"id": 1, "group": {"points": ' + b"[" * 3000 + b"]" * 3000 + b"}}", "a.json:1:1: "),
        ("a.json", b'{"master": {"slaves": [{"host": 1,,}]}}', "a.json:1:35: "),
    ],
)  # fmt: skip
def test_a_hostile_text_is_told_at_its_place(name, raw, place):
    draft, report = taken({name: raw})
    assert str(report.problems.sorted()[0]).startswith(place)
    assert not draft.channels


def test_a_real_zip_of_another_kind_is_no_list():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    _, report = taken({"letter.docx": out.getvalue()})
    assert "there is no sheet in it" in str(report.problems.sorted()[0])
