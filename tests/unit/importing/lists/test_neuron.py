"""FL-65: Neuron tag lists, xlsx or CSV: what each cell becomes, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from tests.support.lists import case, cells_of, xlsx

HEADER = ["group", "name", "address", "attribute", "type", "description", "decimal", "precision", "bias", "value"]


def taken(*rows: list[str], **options: Any) -> tuple[Draft, Report]:
    report = Report()
    text = "\n".join(",".join(row) for row in (HEADER, *rows))
    return take_over({"list.csv": text.encode()}, report, Options(**options)), report


def one(address: str, kind: str, attribute: str = "Read", **options: Any) -> dict[str, Any]:
    draft, report = taken(["g", "x", address, attribute, kind], **options)
    assert not report.problems.sorted()
    (profile,) = draft.profiles.values()
    return profile["tags"]["g/x"]


@pytest.mark.parametrize(
    ("address", "kind", "wanted"),
    [
        ("1!400001", "INT16", {"address": "holding/0", "type": "int16"}),
        ("1!300004#B", "INT16", {"address": "input/3", "type": "int16", "word_order": "BADC"}),
        ("1!300004#L", "UINT16", {"address": "input/3", "type": "uint16"}),
        ("1!400004#LL", "INT32", {"address": "holding/3", "type": "int32"}),
        ("1!400004#LB", "UINT32", {"address": "holding/3", "type": "uint32", "word_order": "BADC"}),
        ("1!400004#BL", "FLOAT", {"address": "holding/3", "type": "float32", "word_order": "CDAB"}),
        ("1!400004#BB", "float", {"address": "holding/3", "type": "float32", "word_order": "DCBA"}),
        ("1!400004#BL", "DOUBLE", {"address": "holding/3", "type": "float64", "word_order": "GHEFCDAB"}),
        ("1!400010.4", "BIT", {"address": "holding/9.4", "type": "bool"}),
        ("1!400010.10", "BIT", {"address": "holding/9.10", "type": "bool"}),
        ("1!000001", "BIT", {"address": "coil/0", "type": "bool"}),
        ("1!100001", "BIT", {"address": "discrete/0", "type": "bool"}),
        ("1!400001.10", "STRING", {"address": "holding/0", "type": "string", "length": 10}),
        ("1!400001.10L", "STRING", {"address": "holding/0", "type": "string", "length": 10, "word_order": "BADC"}),
        ("1!400001.10", "BYTES", {"address": "holding/0", "type": "bytes", "length": 10}),
        ("1!40001", "INT16", {"address": "holding/0", "type": "int16"}),
    ],
)
def test_an_address_and_a_type_become_ours(address, kind, wanted):
    assert one(address, kind) == wanted


def test_the_type_decides_what_a_number_behind_a_point_is():
    assert one("1!400001.10", "STRING")["length"] == 10
    assert one("1!400001.10", "BIT")["address"] == "holding/0.10"


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        ("Read", {}), ("Write", {"access": "w"}), ("Read Write", {"access": "rw"}), ("Read,Write", {"access": "rw"}),
        ("Subscribe", {"on_change": True}), ("read|subscribe|write", {"access": "rw", "on_change": True}),
    ],
)  # fmt: skip
def test_attributes_say_who_reads_and_writes(attribute, wanted):
    report = Report()
    text = "group;name;address;attribute;type\n" + f"g;x;1!400001;{attribute};INT16\n"
    draft = take_over({"list.csv": text.encode()}, report)
    assert draft.profiles["list"]["tags"]["g/x"] == {"address": "holding/0", "type": "int16", **wanted}


def test_addresses_may_count_from_zero_and_the_node_may_have_its_order():
    assert one("1!400000", "INT16", one_based=False)["address"] == "holding/0"
    assert one("1!400001", "INT32", word_order="CDAB")["word_order"] == "CDAB"
    assert "word_order" not in one("1!400001#LL", "INT32", word_order="CDAB")


def test_factors_offsets_digits_and_texts():
    draft, report = taken(["g", "x", "1!400001", "Read", "UINT16", "what it is", "0.1", "2", "-5"])
    assert draft.profiles["list"]["tags"]["g/x"] == {
        "address": "holding/0", "type": "uint16", "scale": 0.1, "offset": -5, "meta": {"imported.precision": "2"},
        "description": "what it is",
    }  # fmt: skip
    assert any(note.kind == "ignored" and "not rounded" in note.text for note in report.notes)


def test_static_tags_are_constants():
    draft, report = taken(
        ["g", "a", "", "Static", "INT16", "", "", "", "", "12"],
        ["g", "b", "", "Static", "STRING", "", "", "", "", "hall {1}"],
        ["g", "c", "", "Static", "BIT", "", "", "", "", "1"],
        ["g", "d", "", "Static", "INT16"],
    )
    assert not report.problems.sorted()
    assert draft.profiles["list"]["tags"] == {
        "g/a": {"type": "int16", "value": "12"},
        "g/b": {"type": "string", "value": '"hall {{1}}"'},
        "g/c": {"type": "bool", "value": "true"},
    }
    assert any("says nothing" in note.text for note in report.notes)


def test_each_slave_is_a_device_with_a_profile():
    draft, _ = taken(
        ["g", "a", "1!400001", "Read", "INT16"], ["g", "a", "17!400001", "Read", "INT16"], url="tcp://192.0.2.1"
    )
    assert list(draft.profiles) == ["list_1", "list_17"]
    assert draft.channels["list"]["devices"] == {
        "list_1": {"unit_id": 1, "profile": "list_1"}, "list_17": {"unit_id": 17, "profile": "list_17"},
    }  # fmt: skip


def test_every_bad_row_is_told_at_its_cell():
    draft, report = taken(
        ["g", "good", "1!400001", "Read", "INT16"],
        ["g", "a", "400001", "Read", "INT16"],
        ["g", "b", "1!500001", "Read", "INT16"],
        ["g", "c", "1!400000", "Read", "INT16"],
        ["g", "d", "1!400001", "Look", "INT16"],
        ["g", "e", "1!400001", "Read", "INT17"],
        ["g", "f", "1!400001.16", "Read", "BIT"],
        ["g", "h", "1!400001", "Read", "STRING"],
        ["g", "i", "1!400001.8D", "Read", "STRING"],
        ["g", "j", "1!000001", "Read", "INT16"],
        ["g", "k", "1!465536", "Read", "INT32"],
        ["g", "l", "1!400001", "Read", "INT16", "", "much"],
        ["g", "good", "1!400002", "Read", "INT16"],
        ["g", "m", "999!400001", "Read", "INT16"],
    )
    assert [list(profile["tags"]) for profile in draft.profiles.values()] == [["g/good"], []]
    assert [(problem.line, problem.column) for problem in report.problems.sorted()] == [
        (3, 3), (4, 3), (5, 3), (6, 4), (7, 5), (8, 3), (9, 3), (10, 3), (11, 5), (12, 3), (13, 7), (14, 2), (15, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("shared", [True, False])
def test_a_spreadsheet_is_the_same_list(shared):
    rows = cells_of(case("neuron/line.csv"))
    first = take_over({"line.csv": case("neuron/line.csv")}, Report())
    second = take_over({"line.xlsx": xlsx(rows, shared=shared)}, Report())
    assert second.profiles == first.profiles
    assert first.profiles


def test_five_thousand_rows_of_a_spreadsheet_are_all_there():
    rows = [["g", f"t{n}", f"1!{400001 + n}", "Read", "INT16"] for n in range(5000)]
    draft = take_over({"list.xlsx": xlsx([HEADER[:5], *rows], shared=False)}, Report())
    assert len(draft.profiles["list"]["tags"]) == 5000


def test_a_list_with_missing_columns_says_which():
    report = Report()
    take_over({"list.xlsx": xlsx([["group", "name", "address"], ["g", "x", "1!400001"]])}, report)
    assert [str(problem) for problem in report.problems.sorted()] == [
        "list.xlsx:1:1: no list of Neuron: there is no column attribute, type (group, name, address, attribute, type)"
    ]
