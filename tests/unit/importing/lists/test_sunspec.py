"""FL-65: SunSpec models: where points lie, what they mean, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over

HEAD = [{"name": "ID", "type": "uint16", "size": 1}, {"name": "L", "type": "uint16", "size": 1}]


def taken(points: list[Any], groups: list[Any] | None = None, **options: Any) -> tuple[Draft, Report]:
    report = Report()
    group = {"name": "g", "type": "group", "points": [*HEAD, *points], "groups": groups or []}
    raw = json.dumps({"id": 64000, "group": group}).encode()
    return take_over({"model.json": raw}, report, Options(**options)), report


def tags(points: list[Any], groups: list[Any] | None = None, **options: Any) -> dict[str, Any]:
    draft, report = taken(points, groups, **options)
    assert not report.problems.sorted()
    return draft.profiles["sunspec_64000"]["tags"]


def place(offset: int) -> str:
    return f"holding/0x{{base + {offset}:x}}"


@pytest.mark.parametrize(
    ("kind", "ours", "registers", "invalid"),
    [
        ("int16", "int16", 1, 0x8000), ("uint16", "uint16", 1, 0xFFFF), ("acc16", "uint16", 1, None),
        ("enum16", "uint16", 1, 0xFFFF), ("bitfield16", "uint16", 1, 0xFFFF), ("raw16", "uint16", 1, 0xFFFF),
        ("count", "uint16", 1, None), ("int32", "int32", 2, 0x80000000), ("uint32", "uint32", 2, 0xFFFFFFFF),
        ("acc32", "uint32", 2, None), ("enum32", "uint32", 2, 0xFFFFFFFF), ("bitfield32", "uint32", 2, 0xFFFFFFFF),
        ("int64", "int64", 4, 1 << 63), ("uint64", "uint64", 4, (1 << 64) - 1), ("acc64", "uint64", 4, None),
        ("float32", "float32", 2, None), ("float64", "float64", 4, None), ("ipaddr", "bytes", 2, None),
        ("ipv6addr", "bytes", 8, None), ("eui48", "bytes", 4, None),
    ],
)  # fmt: skip
def test_types_give_size_and_the_value_of_what_is_not_there(kind, ours, registers, invalid):
    found = tags([{"name": "x", "type": kind}, {"name": "after", "type": "uint16"}])
    assert found["x"]["type"] == ours
    assert found["x"]["address"] == place(2)
    assert found["x"].get("invalid") == (None if invalid is None else [invalid])
    assert found["after"]["address"] == place(2 + registers)


def test_the_model_id_is_expected_where_the_profile_points():
    draft, _ = taken([])
    profile = draft.profiles["sunspec_64000"]
    assert profile["params"] == {"base": 40070}
    assert profile["tags"]["ID"] == {"address": place(0), "type": "uint16", "hidden": True, "expect": 64000}


def test_scale_factors_are_tags_or_powers_of_ten():
    found = tags([
        {"name": "A", "type": "uint16", "sf": "A_SF"}, {"name": "A_SF", "type": "sunssf"},
        {"name": "B", "type": "uint16", "sf": -2}, {"name": "C", "type": "uint16", "sf": 3},
    ])  # fmt: skip
    assert found["A"]["scale_from"] == "A_SF"
    assert found["A_SF"] == {"address": place(3), "type": "int16", "invalid": [0x8000], "hidden": True}
    assert found["B"]["scale"] == 0.01
    assert found["C"]["scale"] == 1000


def test_symbols_are_labels_of_numbers_and_texts_of_bits():
    symbols = [{"name": "OFF", "value": 0}, {"name": "{ON}", "value": 1}]
    found = tags(
        [{"name": "e", "type": "enum16", "symbols": symbols}, {"name": "b", "type": "bitfield32", "symbols": symbols}]
    )
    assert found["e"]["labels"] == {0: "OFF", 1: "{{ON}}"}
    assert found["b"]["meta"] == {"bit 0": "OFF", "bit 1": "{{ON}}"}


MODULE = [{"name": "module", "count": "N", "points": [{"name": "W", "type": "int16", "sf": "W_SF"}]}]
FIXED = [{"name": "W_SF", "type": "sunssf"}, {"name": "N", "type": "count"}]


def test_groups_are_repeated_as_often_as_the_person_says():
    found = tags(FIXED, MODULE, repeat=3)
    assert [found[f"module/{n}/W"]["address"] for n in (1, 2, 3)] == [place(4), place(5), place(6)]
    assert found["module/3/W"]["scale_from"] == "W_SF"
    _, report = taken(FIXED, MODULE)
    assert any("--repeat N" in note.text for note in report.notes)


def test_groups_with_a_number_or_none_and_groups_in_groups():
    points = [{"name": "V", "type": "uint16"}]
    inner = {"name": "Pt", "count": 2, "points": points}
    found = tags([], [{"name": "Crv", "count": 2, "points": [{"name": "On", "type": "uint16"}], "groups": [inner]},
                      {"name": "one", "points": points}])  # fmt: skip
    assert list(found)[2:] == [
        "Crv/1/On",
        "Crv/1/Pt/1/V",
        "Crv/1/Pt/2/V",
        "Crv/2/On",
        "Crv/2/Pt/1/V",
        "Crv/2/Pt/2/V",
        "one/V",
    ]
    assert found["one/V"]["address"] == place(8)


@pytest.mark.parametrize("points", [[], [{"name": "x", "type": "uint64"}]])
def test_groups_in_groups_without_end_are_refused_at_once(points):
    groups: list[Any] = []
    for _ in range(5):
        groups = [{"name": "g", "count": 1000, "points": points, "groups": groups}]
    _, report = taken([], groups)
    (problem,) = report.problems.sorted()
    assert "more than 20000 groups" in str(problem) or "longer than all registers" in str(problem)


def test_what_lies_too_far_from_its_factor_is_left_out_and_told():
    draft, report = taken(FIXED, MODULE, repeat=200)
    found = draft.profiles["sunspec_64000"]["tags"]
    assert "module/123/W" in found
    assert "module/124/W" not in found
    assert sum("too far for one request" in note.text for note in report.notes) == 200 - 123


def test_texts_pads_and_access():
    found = tags([{"name": "Mn", "type": "string", "size": 16, "label": "Maker"}, {"name": "Pad", "type": "pad"},
                  {"name": "Lim", "type": "uint16", "access": "RW", "units": "Pct", "desc": "a {limit} "}])  # fmt: skip
    assert found["Mn"] == {"address": place(2), "type": "string", "length": 32, "description": "Maker"}
    assert "Pad" not in found
    assert found["Lim"] == {
        "address": place(19), "type": "uint16", "invalid": [0xFFFF], "unit": "Pct", "access": "rw", "description": "a {{limit}}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "point",
    [{"name": "x", "type": "uint17"}, {"type": "uint16"}, {"name": "x", "type": "uint16", "size": 2}, {"name": "x", "type": "string"},
     {"name": "x", "type": "uint16", "sf": "NO_SF"}, {"name": "ID", "type": "uint16"}, "x", {"name": "x", "type": "uint16", "size": "a"}],
)  # fmt: skip
def test_what_is_wrong_is_told_once_at_its_place(point):
    draft, report = taken([{"name": "good", "type": "uint16"}, point])
    assert "good" in draft.profiles["sunspec_64000"]["tags"]
    (problem,) = report.problems.sorted()
    assert problem.line == 1
    assert problem.column > 1
