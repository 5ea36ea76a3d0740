"""FL-65: Kepware tag lists: what each cell becomes, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over

HEADER = (
    "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,"
    "Scaled Data Type,Clamp Low,Clamp High,Eng. Units,Description,Negate Value\n"
)


def taken(*rows: str, encoding: str = "utf-8", **options: Any) -> tuple[Draft, Report]:
    report = Report()
    raw = (HEADER + "".join(f"{row}\n" for row in rows)).encode(encoding)
    return take_over({"list.csv": raw}, report, Options(**options)), report


def tags(*rows: str, **options: Any) -> dict[str, Any]:
    draft, report = taken(*rows, **options)
    assert not report.problems.sorted()
    return draft.profiles["list"]["tags"]


def one(address: str, kind: str, rest: str = ",RO,", **options: Any) -> dict[str, Any]:
    return tags(f'x,"{address}",{kind},1{rest}', **options)["x"]


@pytest.mark.parametrize(
    ("address", "kind", "wanted"),
    [
        ("400001", "Word", {"address": "holding/0", "type": "uint16"}),
        ("40001", "Short", {"address": "holding/0", "type": "int16"}),
        ("465536", "Word", {"address": "holding/65535", "type": "uint16"}),
        ("440101", "Word", {"address": "holding/0x9ca4", "type": "uint16"}),
        ("300010", "Word", {"address": "input/9", "type": "uint16"}),
        ("100001", "Boolean", {"address": "discrete/0", "type": "bool"}),
        ("000001", "Boolean", {"address": "coil/0", "type": "bool"}),
        ("00017", "Default", {"address": "coil/16", "type": "bool"}),
        ("400001", "Default", {"address": "holding/0", "type": "uint16"}),
        ("400005.15", "Boolean", {"address": "holding/4.15", "type": "bool"}),
        ("H40000A", "Word", {"address": "holding/9", "type": "uint16"}),
        ("H40000A.F", "Boolean", {"address": "holding/9.15", "type": "bool"}),
        ("400001.20H", "String", {"address": "holding/0", "type": "string", "length": 20}),
        ("400001.20L", "String", {"address": "holding/0", "type": "string", "length": 20, "word_order": "BADC"}),
        ("400001", "Long", {"address": "holding/0", "type": "int32", "word_order": "CDAB"}),
        ("400001", "Double", {"address": "holding/0", "type": "float64", "word_order": "GHEFCDAB"}),
        ("400001", "LBCD", {"address": "holding/0", "type": "bcd32", "word_order": "CDAB"}),
        ("ns=2;s=Line.Speed", "Double", {"address": "ns=2;s=Line.Speed", "type": "float64"}),
    ],
)
def test_an_address_and_a_type_become_ours(address, kind, wanted):
    assert one(address, kind) == wanted


def test_options_say_what_the_list_does_not():
    assert one("400001", "Long", word_order="ABCD") == {"address": "holding/0", "type": "int32"}
    assert one("400001", "Word", word_order="DCBA")["word_order"] == "BADC"
    assert one("400001", "Word", one_based=False)["address"] == "holding/1"
    draft, _ = taken(
        "x,400001,Word,1,RO,500", interval="5s", url="tcp://192.0.2.1", channel="hall", device="pump", unit=7
    )
    assert draft.profiles["list"]["interval"] == "5s"
    assert draft.channels == {
        "hall": {"driver": "modbus", "url": "tcp://192.0.2.1", "devices": {"pump": {"unit_id": 7, "profile": "list", "interval": "5s"}}}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ("Linear,0,1000,0,100,Float,0,0,,,", {"scale": 0.1}),
        ("Linear,0,4095,-50,150,Float,0,0,,,", {"scale": 200 / 4095, "offset": -50}),
        ("Linear,0,10,0,10,Float,0,0,,,", {}),
        ("Linear,0,1000,100,0,Float,1,1,,,", {"scale": -0.1, "offset": 100, "range": [0, 100]}),
        ("Linear,0,1000,0,100,Float,1,1,,,1", {"scale": -0.1, "range": [-100, 0]}),
        ("None,,,,,,,,,,1", {"scale": -1}),
        ("None,,,,,,,,°C,text,", {"unit": "°C", "description": "text"}),
        ("None,,,,,,,,{a},,", {"unit": "{{a}}"}),
        ('Linear,"0,5","1000,5",0,100,Float,0,0,,,', {"scale": 0.1, "offset": -0.05}),
    ],
)
def test_scaling_becomes_scale_offset_and_range(cells, wanted):
    found = one("400001", "Word", f",RO,,{cells}")
    assert found == {"address": "holding/0", "type": "uint16", **wanted}


def test_the_usual_scan_rate_is_the_profiles_and_others_are_the_tags():
    draft, report = taken(
        "a,400001,Word,1,RO,100", "b,400002,Word,1,RO,100", "c,400003,Word,1,RO,60000", "d,400004,Word,1,RO,0"
    )
    profile = draft.profiles["list"]
    assert profile["interval"] == "100ms"
    assert [profile["tags"][name].get("interval") for name in "abcd"] == [None, None, "60s", None]
    assert profile["tags"]["d"]["on_demand"] is True
    assert any("read on demand only" in note.text for note in report.notes)


def test_dotted_names_are_folders_and_no_name_is_lost():
    found = tags(
        '"Line 1.Motor.Speed",400001,Word',
        "Line_1.Motor.Speed,400002,Word",
        "a.b.c.d.e.f,400003,Word",
        "_x,400004,Word",
    )
    assert list(found) == ["Line_1_2/Motor/Speed", "Line_1/Motor/Speed", "a/b/c/d/e_f", "x_x"]
    assert found["Line_1_2/Motor/Speed"]["meta"] == {"name": "Line 1.Motor.Speed"}


def test_arrays_become_a_tag_for_each_value():
    found = tags("z,400001 [2][2],Float Array,1,R/W,100,,,,,,,,,bar,")
    assert [(path, each["address"]) for path, each in found.items()] == [
        ("z/0", "holding/0"), ("z/1", "holding/2"), ("z/2", "holding/4"), ("z/3", "holding/6"),
    ]  # fmt: skip
    assert all(each["access"] == "rw" and each["unit"] == "bar" for each in found.values())


def test_every_bad_row_is_told_at_its_cell_and_the_good_ones_are_there():
    draft, report = taken(
        "good,400001,Word,1,RO,100",
        "area,500001,Word,1,RO,100",
        "zero,400000,Word,1,RO,100",
        "far,465536,Long,1,RO,100",
        "kind,400001,Real,1,RO,100",
        "bit,400001.16,Boolean,1,RO,100",
        "coil,000001,Word,1,RO,100",
        "text,400001,String,1,RO,100",
        "who,400001,Word,1,maybe,100",
        "rate,400001,Word,1,RO,fast",
        "way,400001,Word,1,RO,100,Cubic",
        "line,400001,Word,1,RO,100,Linear,0,x,0,1",
        "flat,400001,Word,1,RO,100,Linear,5,5,0,1",
        "good,400002,Word,1,RO,100",
        ",400002,Word,1,RO,100",
        "s7,DB1.DBW0,Word,1,RO,100",
        "wide,400001,Word" + "," * 14 + ",a,b,c",
    )
    assert list(draft.profiles["list"]["tags"]) == ["good"]
    places = [(problem.line, problem.column) for problem in report.problems.sorted()]
    assert places == [
        (3, 2), (4, 2), (5, 2), (6, 3), (7, 2), (8, 3), (9, 2), (10, 5), (11, 6), (12, 7), (13, 9), (14, 9), (15, 1), (16, 1),
        (17, 2), (18, 1),
    ]  # fmt: skip


def test_an_ansi_list_is_read_and_told():
    draft, report = taken("t,400001,Word,1,RO,100,,,,,,,,,°C,Kühlung", encoding="cp1252")
    assert draft.profiles["list"]["tags"]["t"]["unit"] == "°C"
    assert draft.profiles["list"]["tags"]["t"]["description"] == "Kühlung"
    assert any("Windows-1252" in note.text for note in report.notes)
    assert tags("t,400001,Word,1,RO,100,,,,,,,,,°C,", encoding="utf-16")["t"]["unit"] == "°C"


def test_semicolons_part_cells_too():
    report = Report()
    raw = HEADER.replace(",", ";") + '"a.b";400001;Word;1;RO;100;Linear;0;1000;0;"12,5"\n'
    draft = take_over({"list.csv": raw.encode()}, report)
    assert draft.profiles["list"]["tags"]["a/b"]["scale"] == 0.0125


def test_five_thousand_rows_are_all_there():
    rows = [f"g{n // 100}.t{n},{400001 + 2 * n},Float,1,R/W,{100 * (1 + n % 3)}" for n in range(5000)]
    draft, report = taken(*rows, url="tcp://192.0.2.1")
    assert not report.problems.sorted()
    assert len(draft.profiles["list"]["tags"]) == 5000
    assert draft.profiles["list"]["tags"]["g49/t4999"]["address"] == "holding/9998"


def test_without_a_url_a_profile_is_made_and_the_channel_is_asked_for():
    draft, report = taken("a,400001,Word", channel="hall")
    assert list(draft.profiles) == ["list"]
    assert not draft.channels
    assert any("--url" in note.text for note in report.notes)


def test_a_tag_whose_name_is_a_path_keeps_it():
    rows = ("x/y,400001,Word,1,RO", "x_y,400002,Word,1,RO", "a.b/c,400003,Word,1,RO", "a.b_c,400004,Word,1,RO")
    found = {path: keys["address"] for path, keys in tags(*rows).items()}
    assert found == {"x_y_2": "holding/0", "x_y": "holding/1", "a/b_c_2": "holding/2", "a/b_c": "holding/3"}
