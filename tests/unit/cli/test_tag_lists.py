"""A tag list that goes out as CSV and comes back is the same configuration, whatever the cells look like."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import threading
import types
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.cli.main import main
from gateway.cli.taglist import value_of
from gateway.settings.loader import load_tree
from gateway.settings.yaml_reader import read_documents

GATEWAY = "gateway: {id: plant-7}\n"


def tree(folder: Path, tags: dict) -> Path:
    (folder / "channels").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(GATEWAY)
    device = {"unit_id": 1, "tags": tags}
    groups = {"fast": "250ms", "energy": {"every": "15m", "align": "clock"}}
    channel = {"driver": "modbus", "url": "tcp://192.0.2.10", "groups": groups, "devices": {"pump": device}}
    (folder / "channels" / "line.yaml").write_text(json.dumps(channel))
    return folder


def run(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(list(words)) == 0, out.getvalue()
    return out.getvalue()


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
units = st.sampled_from(
    [
        "",
        "kWh",
        "%",
        "=SUM(A1)",
        "+",
        "-x",
        "@home",
        'a"b',
        "a,b",
        "a;b",
        "1e5",
        "007",
        "°C",
        "true",
        "'",
        "'=x",
        "''",
        "on",
    ]
)
floats = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: abs(x) > 1e-12)
wholes = st.integers(0, 60_000)
period = st.one_of(
    st.fixed_dictionaries({"interval": st.sampled_from(["500ms", "2s", "90s"])}),
    st.fixed_dictionaries({"group": st.sampled_from(["fast", "energy"])}),
    st.just({}),
)
keys = st.fixed_dictionaries(
    {},
    optional={
        "unit": units,
        "scale": floats,
        "offset": floats,
        "deadband": floats.map(abs),
        "range": st.tuples(floats, floats).map(sorted).filter(lambda ends: ends[0] < ends[1]),
        "invalid": st.lists(wholes, min_size=1, max_size=3),
        "labels": st.dictionaries(wholes.map(str), st.sampled_from(["off", "heat, cool", "ä: {", "7"]), min_size=1, max_size=3),
        "on_change": st.just(True),
        "heartbeat": st.sampled_from(["15m", "1.5s"]),
        "tolerance": floats.map(abs),
        "on_demand": st.just(True),
        "hidden": st.just(True),
        "shadow": st.just(True),
        "coherent": st.sampled_from(["set", "12"]),
        "description": units.filter(bool),
        "meta": st.dictionaries(st.sampled_from(["name", "panel A"]), units, min_size=1, max_size=2),
        "report_every": st.sampled_from(["10s", "1.5s"]),
        "local": st.just(True),
        "expect": st.integers(0, 100),
        "strict_edgex": st.sampled_from([True, "float32"]),
    },
)  # fmt: skip
kinds = st.sampled_from(
    [
        {"type": "int16"},
        {"type": "uint32", "word_order": "CDAB"},
        {"type": "uint16", "mask": 240, "shift": -4},
        {"type": "uint16", "base": 2},
        {"type": "uint32", "wrap": 1_000_000},
        {"type": "int16", "access": "rw", "write": {"min": -3, "max": 10.5, "rate": "5/min"}, "momentary": True},
        {"type": "int16", "access": "rw", "verify": {"settle": "2s"}, "write_with": "multiple"},
        {"type": "int8", "access": "rw", "desired": 5, "on_reconnect": {"reapply": "2h"}, "conflict": "local_wins"},
        {"type": "uint16", "access": "rw", "write": {"max_change": 5, "allow": ["cloud"], "while": "{pump.run}"}},
        {"type": "uint16", "access": "rw", "address_base": 1, "bit_base": 1},
    ]
)
places = st.integers(1, 1_000).flatmap(lambda n: st.sampled_from([f"holding/{n}", f"holding/0x{n:x}", 400_001 + n]))
plain = st.builds(lambda *parts: {key: value for part in parts for key, value in part.items()}, kinds, keys, period)
tag = st.builds(lambda rest, place: {"address": place, **rest}, plain, places)


def usable(folder: Path, tags: dict) -> bool:
    """Whether it is a configuration at all: not every mixture of keys is one."""
    with contextlib.redirect_stdout(io.StringIO()):
        return main(["check", "--config", str(tree(folder, tags))]) == 0


def settings_of(folder: Path) -> dict[str, object]:
    (channel,) = load_tree(folder).channels
    return {each.path: each for device in channel.devices for each in device.tags}


@settings(max_examples=25, deadline=None)
@given(tags=st.dictionaries(names, tag, min_size=1, max_size=6))
def test_out_and_in_again_changes_nothing_and_makes_the_same_from_nothing(tags):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assume(usable(folder / "try", tags))
        full = tree(folder / "full", tags)
        first = next(iter(tags))
        empty = tree(folder / "empty", {first: tags[first]})
        listed = run("export", "--config", str(full))
        file = folder / "tags.csv"
        file.write_text(listed)
        before = (full / "channels" / "line.yaml").read_bytes()
        assert run("import", str(file), "--write", "--config", str(full)).strip() == "nothing to change"
        assert (full / "channels" / "line.yaml").read_bytes() == before
        run("import", str(file), "--write", "--config", str(empty))
        assert sorted(run("export", "--config", str(empty)).splitlines()) == sorted(listed.splitlines())
        assert settings_of(empty) == settings_of(full), "what no column shows is the same too"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("0", 0), ("0.5", 0.5),
        ("007", "007"), ("000123", "000123"), ("1_000", "1_000"), ("nan", "nan"), ("inf", "inf"), ("0x64", "0x64"),
        ("½", "½"), ("٣", "٣"), (" ", " "), ("", ""),
    ],
)  # fmt: skip
def test_a_cell_is_a_number_only_where_yaml_and_people_would_say_so(cell, value):
    found = value_of(cell)
    assert (found, type(found)) == (value, type(value))


PUMP = {
    "flow": {"address": "40001.10", "type": "bool"},
    "temp": {"address": "holding/5", "type": "int16", "group": "fast", "labels": {"0": "off", "1": "ä"}},
}


def refused(folder: Path, list_: bytes, *words: str) -> list[str]:
    """The lines of a refused import; nothing was written."""
    file = folder / "tags.csv"
    file.write_bytes(list_)
    before = (folder / "channels" / "line.yaml").read_bytes()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["import", str(file), "--write", "--config", str(folder), *words]) == 1, out.getvalue()
    assert (folder / "channels" / "line.yaml").read_bytes() == before
    return out.getvalue().splitlines()[:-1]


@pytest.mark.parametrize(
    ("list_", "places"),
    [
        (b"device,tag,type,scale\npump,flow,uint15,\npump,temp,int16,wide\n", ["2:3", "3:4"]),
        (b"device,tag,address,type\npump,new,holding/40101,uint16\n", ["2:3"]),
        (b"device,tag,interval\npump,flow,\npump,temp,2s\n", []),
        (b"device,tag,group,interval\npump,temp,fast,2s\n", ["2:4"]),
        (b"device,tag\npump,new\n", ["2:2", "2:2"]),
        (b"flow,400001,Word,RO\ntemp,400002,Word,RO\n", ["1:1"]),
        (b"device,tag,unit\n,flow,V\npump,,V\npump,flow\nnobody,x,V\n", ["2:1", "3:2", "4:1", "5:1"]),
        (b"device,tag,unit\npump,flow,\xb0C\n", ["2:3"]),
        (b'device,tag,unit\npump,flow,"V\n', ["2:1"]),
        (b"device,tag,unit\npump,flow," + b"x" * 200_000, ["2:1"]),
        (b"device,tag,unit,unit\npump,flow,V,A\n", ["1:4"]),
        (b"device,tag,labels\npump,temp,{0: on\n", ["2:3"]),
        (b"device,tag,range_low,range_high\npump,temp,5,\npump,flow,,\n", ["2:3"]),
        (b"device,tag,range_high\npump,temp,5\n", ["2:3"]),
        (b"device,tag,type,range_low\npump,flow,uint15,\nnobody,x,bool,\npump,temp,int16,5\n", ["2:3", "3:1", "4:4"]),
    ],
)
def test_every_wrong_cell_is_told_at_its_place_in_the_list_all_at_once(tmp_path, list_, places):
    tree(tmp_path, PUMP)
    if not places:  # a tag of a group: its period cannot be changed beside the group
        places = ["3:3"]
    said = refused(tmp_path, list_)
    assert [line.split(": ")[0] for line in said] == [f"tags.csv:{place}" for place in places], said


def test_a_list_for_a_device_that_is_not_there_says_so_and_nothing_of_the_columns_of_its_driver(tmp_path):
    folder = tree(tmp_path, {})
    (folder / "channels" / "line.yaml").write_text("driver: system\ndevices: {box: {}}\n")
    lines = refused(
        folder, b"device,tag,address,type,word_order\nboiler,a,holding/0,uint16,\nboiler,b,holding/1,uint16,\n"
    )
    assert [line.partition(": ")[2] for line in lines] == ["there is no device boiler: `fieldpost add` makes one"]
    assert lines[0].startswith("tags.csv:2:1")
    wrong = refused(folder, b"device,tag,adress\nbox,cpu,x\n")
    assert "unknown column `adress`" in wrong[0]


def test_tags_that_come_into_a_device_of_one_line_can_be_reviewed_line_by_line(tmp_path):
    tree(tmp_path, {})
    channel = tmp_path / "channels" / "line.yaml"
    old = "    p: {unit_id: 0x01, tags: {old: {address: holding/0x10, type: int16}}}   # hall 2\n    q: {unit_id: 2, tags: {}}\n"
    channel.write_text(f"driver: modbus\nurl: tcp://192.0.2.10\ndevices:\n{old}")
    rows = "".join(f"{device},t{n},holding/{n},int16\n" for device in "pq" for n in range(20))
    (tmp_path / "tags.csv").write_text(f"device,tag,address,type\n{rows}p,old,holding/18,int16\n")
    lines = run("import", str(tmp_path / "tags.csv"), "--write", "--config", str(tmp_path)).splitlines()
    assert max(map(len, lines)) < 120
    for device in "pq":
        assert run("export", "--config", str(tmp_path), device).count("holding/") == (21 if device == "p" else 20)
    text = channel.read_text()
    assert "      unit_id: 0x01\n      tags:\n" in text and "# hall 2" in text
    assert "        t0: {address: holding/0, type: int16}\n" in text


def test_a_list_does_not_parse_the_configuration_for_each_of_its_rows(tmp_path):
    def parses(rows: int) -> int:
        folder = tree(
            tmp_path / str(rows), {f"t{n}": {"address": f"holding/{n}", "type": "int16"} for n in range(rows)}
        )
        listed = run("export", "--config", str(folder)).replace(",int16,", ",uint16,")
        (tmp_path / "tags.csv").write_text(listed)
        seen: list[str] = []
        sys.setprofile(lambda frame, event, _: seen.append(event) if is_parse(frame, event) else None)
        try:
            run("import", str(tmp_path / "tags.csv"), "--config", str(folder))
        finally:
            sys.setprofile(None)
        return len(seen)

    def is_parse(frame: types.FrameType, event: str) -> bool:
        return event == "call" and frame.f_code is read_documents.__code__

    assert 0 < parses(5) == parses(50)


def test_a_list_in_utf_16_or_from_a_pipe_is_read(tmp_path):
    folder = tree(tmp_path / "full", PUMP)
    for number, encoding in enumerate(("utf-16", "utf-8", "utf-8-sig")):
        os.mkfifo(pipe := tmp_path / f"pipe{number}")
        raw = b"device\ttag\tunit\npump\ttemp\t\xc2\xb0C\n".decode().encode(encoding)
        writer = threading.Thread(target=pipe.write_bytes, args=(raw,))
        writer.start()
        assert "unit: °C" in run("import", str(pipe), "--config", str(folder))
        writer.join()


def test_bit_ten_is_not_bit_one(tmp_path):
    tree(tmp_path / "full", PUMP)
    listed = run("export", "--config", str(tmp_path / "full"))
    (tmp_path / "tags.csv").write_text(listed.replace("40001.10", "40001.1"))
    assert "+" in run("import", str(tmp_path / "tags.csv"), "--config", str(tmp_path / "full"))


def test_what_a_profile_says_cannot_be_emptied_by_a_list(tmp_path):
    tree(tmp_path, {})
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "p.yaml").write_text("p: {tags: {x: {address: holding/1, type: int16, unit: V}}}\n")
    channel = tmp_path / "channels" / "line.yaml"
    channel.write_text(channel.read_text().replace('"tags": {}', '"profile": "p"'))
    assert "comes from a profile" in refused(tmp_path, b"device,tag,unit\npump,x,\n")[0]
    assert "comes from a profile" in refused(tmp_path, b"device,tag\npump,y\n", "--prune")[0]


def test_of_a_folder_the_conf_files_of_telegraf_are_taken_and_others_are_not(tmp_path):
    (tmp_path / "telegraf.conf").write_text(
        '[[inputs.modbus]]\nname = "d"\nslave_id = 1\ncontroller = "tcp://192.0.2.1:502"\n'
        'coils = [{ name = "a", address = [0] }]\n'
    )
    (tmp_path / "nginx.conf").write_text("events { }\n")
    text = run("import", str(tmp_path), "--config", str(tmp_path / "nowhere"))
    assert "0 profiles, 1 channel, 1 device" in text
