"""`fieldpost profiles`: the older forms, what results of a profile, cases that pass and fail, what is odd about one."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.library import profiles_of

PROFILES = """\
base:
  params: {start: 0, factor: 0.1}
  meta: {maker: Some, model: One, source: "Manual, edition 2, page 7", quality: documented}
  tags:
    voltage: {address: "holding/{start}", type: uint16, scale: "{factor}", unit: V, invalid: [0xFFFF]}
    energy: {address: "holding/{start + 2}", type: uint32, unit: kWh}
    running: {address: coil/3, type: bool}
meter:
  extends: base
  params: {start: 100}
"""
CASES = """\
device: {params: {factor: 1}}
cases:
  at rest:
    source: "Manual, page 9"
    given: {holding: {0x64: [230, 0, 1, 2]}, coil: {3: 1}}
    expect: {voltage: 230, energy: 65538, running: true}
    requests: 2
  no voltage:
    device: {params: {factor: 0.5}}
    given: {holding: {100: "ffff"}}
    expect: {voltage: {quality: bad/sensor}, energy: 0}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (
        ("gateway.yaml", "gateway: {id: g}\nvars: {site: north}\n"),
        ("profiles/meters.yaml", PROFILES),
        ("profiles/meter.cases.yaml", CASES),
        ("channels/line.yaml", "driver: modbus\nurl: tcp://192.0.2.1\ndevices: {m: {unit_id: 1, profile: meter}}\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("FIELDPOST_CONFIG", str(tmp_path))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["profiles", *words])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out + err


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status, out = run(capsys, *words, "--json")
    return status, json.loads(out)


def test_a_file_of_cases_is_no_part_of_the_configuration(folder, capsys):
    assert main(["check", str(folder)]) == 0
    (folder / "profiles" / "meter.cases.yaml").unlink()
    first = capsys.readouterr().out
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("words", [[], ["ls"]])
def test_a_list_has_the_profiles_of_the_configuration_and_of_every_library(folder, capsys, words):
    status, found = answer(capsys, *words)
    rows = {(row["from"], row["name"]): row for row in found["profiles"]}
    assert status == 0
    assert rows["configuration", "meter"] == {
        "name": "meter", "from": "configuration", "driver": "modbus", "maker": "Some", "model": "One",
        "tags": 3, "cases": 2, "quality": "documented",
    }  # fmt: skip
    assert {row["driver"] for (origin, _), row in rows.items() if origin == "library"} >= {"modbus", "ble", "system"}


def test_a_list_of_one_driver_or_of_the_library_alone_has_nothing_else(folder, capsys):
    _, found = answer(capsys, "ls", "--driver", "ble")
    assert {row["driver"] for row in found["profiles"]} == {"ble"}
    _, found = answer(capsys, "--library")
    assert {row["from"] for row in found["profiles"]} == {"library"}
    status, text = run(capsys, "ls", "--driver", "modbuss")
    assert status == 2
    assert "did you mean `modbus`" in text


def test_a_name_alone_shows_the_profile_as_it_is_written(folder, capsys):
    _, text = run(capsys, "waveshare_relay8")
    assert "relay/r1: {address: coil/0" in text
    _, text = run(capsys, "show", "meter")
    assert text == "# profiles/meters.yaml\nmeter:\n  extends: base\n  params: {start: 100}\n"
    status, text = run(capsys, "sdm")
    assert status == 1
    assert "near: eastron_sdm" in text


def test_a_copy_of_a_library_profile_is_shown_before_it_is_written(folder, capsys):
    status, text = run(capsys, "waveshare_relay8", "--write")
    assert status == 0
    assert (folder / "profiles" / "waveshare_relay8.yaml").is_file()
    status, text = run(capsys, "show", "waveshare_relay8", "--write")
    assert (status, "exists already" in text) == (1, True)


def test_show_says_what_results_of_extends_and_parameters(folder, capsys):
    status, text = run(capsys, "show", "meter", "--resolved")
    assert status == 0
    assert "voltage: {address: holding/100, type: uint16, scale: 0.1, unit: V, invalid: [65535]}" in text
    _, found = answer(capsys, "show", "meter", "--param", "start=7", "--param", "factor=2")
    voltage = found["profile"]["tags"]["voltage"]
    assert (voltage["address"], voltage["scale"]) == ("holding/7", 2)
    status, text = run(capsys, "show", "meter", "--param", "strat=7")
    assert status == 78
    assert "profiles/meters.yaml:9:3: the parameter `strat` is not used (did you mean `start`?)" in text


@pytest.mark.parametrize(
    "words",
    [
        ["show"], ["show", "a", "b"], ["ls", "a"], ["ls", "--strict"], ["test", "--write"],
        ["show", "meter", "--strict"], ["show", "meter", "--param", "3"], ["meter", "--write", "--resolved"],
    ],
)  # fmt: skip
def test_words_that_an_action_does_not_know_are_wrong_usage(folder, capsys, words):
    assert run(capsys, *words)[0] == 2


def test_cases_that_hold_pass_by_name_by_file_and_by_their_own_file(folder, capsys):
    for word in ("meter", str(folder / "profiles/meter.cases.yaml")):
        status, found = answer(capsys, "test", word)
        assert (status, found["ok"], found["cases"]) == (0, True, 2)
        (result,) = found["results"]
        assert (result["tags"], result["requests"], result["checked"], result["remarks"]) == (3, 2, 3, [])
    status, text = run(capsys, "test", str(folder / "profiles/meters.yaml"), "--strict")
    assert status == 1
    assert "base: failed" in text
    assert "advice: there are no cases" in text
    assert "meter: ok (modbus, 3 tags, 2 requests, 2 cases, 3 of 3 tags checked)" in text


def test_without_a_name_the_profiles_of_the_configuration_are_tested(folder, capsys):
    _, found = answer(capsys, "test")
    assert [each["name"] for each in found["results"]] == ["base", "meter"]


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "profiles" / "meter.cases.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_a_case_that_does_not_hold_says_what_came_and_what_was_expected(folder, capsys):
    change(folder, "voltage: 230, energy: 65538", "voltage: 23, energy: 65538")
    change(folder, "requests: 2", "requests: 1")
    status, text = run(capsys, "test", "meter")
    assert status == 1
    assert "meter.cases.yaml:3: at rest" in text
    assert "voltage: 230 V, expected 23 V" in text
    assert "2 requests, expected 1: coil/3 x 1, holding/100 x 4" in text
    assert "1 of 1 profile failed, 1 of 2 cases" in text
    status, found = answer(capsys, "test", "meter")
    assert (status, found["ok"], [case["ok"] for case in found["results"][0]["cases"]]) == (1, False, [False, True])


def test_a_file_of_cases_whose_profile_is_not_there_is_told(folder, capsys):
    (folder / "profiles" / "meter.cases.yaml").rename(folder / "profiles" / "metre.cases.yaml")
    status, text = run(capsys, "test")
    assert status == 78
    assert "profiles/metre.cases.yaml:1:1: there is no profile `metre` that these cases are for (did you mean" in text
    assert run(capsys, "test", "meter")[0] == 0


def test_cases_that_a_missing_library_forbids_are_told_and_not_failed(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "drivers.ble.bthomeparser", None)
    name = "bthome_climate"
    status, text = run(capsys, "test", name, "--library")
    assert status == 0
    assert "not played: the library for bthome devices is not installed: pip install 'fieldpost[ble-parsers]'" in text
    assert "not played" in text.splitlines()[-1]
    assert run(capsys, "test", name, "--library", "--strict")[0] == 1


def test_the_example_of_the_reference_holds(tmp_path, capsys):
    page = Path(__file__).parents[3] / "docs" / "reference" / "profiles.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    profiles, cases = (
        next(each for each in blocks if f"# profiles/{name}" in each) for name in ("meters", "meter.cases")
    )
    (tmp_path / "meters.yaml").write_text(profiles)
    (tmp_path / "meter.cases.yaml").write_text(cases)
    status, text = run(capsys, "test", str(tmp_path / "meter.cases.yaml"))
    assert status == 0, text
    assert "ok: 1 profile, 2 cases" in text


def test_a_bad_value_is_expected_by_its_quality(folder, capsys):
    change(folder, "{quality: bad/sensor}", "{value: 3, quality: good}")
    status, text = run(capsys, "test", "meter")
    assert status == 1
    assert "voltage: None (bad/sensor), expected 3 V" in text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("voltage: 230", "volts: 230", "6:14: the profile has no tag `volts`"),
        ("running: true", "running: 1", "`running` is true or false, not 1"),
        ("0x64: [230, 0, 1, 2]", "0: [230]", "5:26: holding/0 is read by no tag"),
        ("[230, 0, 1, 2]", "[70000]", "a register is a number from 0 to 0xFFFF"),
        ('"ffff"', '"fff"', "these are no registers"),
        ("coil: {3: 1}", "coil: {3: 2}", "a coil is 0 or 1"),
        ("coil: {3: 1}", "coils: {3: 1}", "there is no table `coils` (known: "),
        ("given: {holding: {100", "give: {holding: {100", "unknown key `give`"),
        ("bad/sensor", "bad/sensors", "there is no quality `bad/sensors`"),
        ("factor: 1}", "faktor: 1}", "the parameter `faktor` is not used"),
        ("cases:\n", "cases: {}\nnothing:\n", "unknown key `nothing`"),
        ("cases:\n", "cases: [\n", "meter.cases.yaml:"),
        ("requests: 2", "requests: -2", "7:15: `requests` is -2"),
        ("cases:\n", "driver: modbuss\ncases:\n", "driver 'modbuss': there is no such driver"),
        ("params: {factor: 1}", "profile: base", "1:10: `profile` is not for a case to say"),
        ("[230, 0, 1, 2]", "[true]", "a register is a number"),
    ],
)
def test_a_wrong_file_of_cases_is_told_at_its_place_and_nothing_is_run(folder, capsys, old, new, problem):
    change(folder, old, new)
    status, text = run(capsys, "test", "meter")
    assert status == 78
    assert problem in text
    assert "0 of 1 profiles were tried" in text


def test_a_wrong_profile_is_told_and_the_others_are_tried(folder, capsys):
    file = folder / "profiles" / "other.yaml"
    file.write_text("other: {tags: {v: {address: holdin/1, type: uint16}}}\n")
    (folder / "channels" / "line2.yaml").write_text(
        "driver: modbus\nurl: tcp://192.0.2.2\ndevices: {o: {unit_id: 1, profile: other}}\n"
    )
    status, text = run(capsys, "test")
    assert status == 78
    assert "profiles/other.yaml:1:29: there is no table 'holdin'" in text
    assert "2 of 3 profiles were tried" in text


def test_a_driver_is_found_by_the_keys_of_a_file_or_named_by_its_cases(tmp_path, capsys):
    profile = tmp_path / "plug.yaml"
    profile.write_text("plug: {tags: {power: {path: $.apower, type: float64, unit: W}}}\n")
    _, found = answer(capsys, "test", str(profile))
    assert found["results"][0]["driver"] == "mqtt"
    cases = tmp_path / "plug.cases.yaml"
    cases.write_text(
        "driver: mqtt\ncases: {on: {given: {messages: [{json: {apower: 12.5}}]}, expect: {power: 12.5}}}\n"
    )
    status, found = answer(capsys, "test", str(cases))
    assert (status, found["results"][0]["checked"]) == (0, 1)


ODD = """\
odd:
  tags:
    a: {address: holding/0, type: uint32, unit: kwh}
    b: {address: holding/1, type: uint16, scale: 0.1}
    c: {address: holding/0, type: uint32, scale: 10, unit: kWh}
    d: {address: holding/4, type: uint16, invalid: [70000], unit: V}
    e: {address: holding/5, type: uint16, mask: 0x0F, labels: {0: "off", 16: "on"}}
    f: {address: holding/6, type: int16, unit: V, range: [50000, 60000]}
    state: {address: holding/7, type: uint16}
    g: {address: holding/9, type: uint16, unit: A}
    h: {address: holding/9, type: int16, unit: A}
    i: {address: holding/9.3, type: bool}
    j: {address: holding/20, type: uint32, unit: A}
    k: {address: holding/21, type: uint32, unit: A}
    l: {address: coil/1, type: bool, unit: V}
"""


def test_what_is_odd_about_a_profile_is_told_and_what_is_wrong_fails(tmp_path, capsys):
    (tmp_path / "odd.yaml").write_text(ODD)
    status, found = answer(capsys, "test", str(tmp_path / "odd.yaml"))
    assert status == 1
    told = {(each["tag"], each["level"]): each["text"] for each in found["results"][0]["remarks"] if each["tag"]}
    assert told == {
        ("a", "advice"): "the unit kwh is written kWh",
        ("b", "advice"): "is a part of what `c` reads: holding 0-1 and holding 1",
        ("c", "fault"): "reads what `a` reads, with another meaning",
        ("d", "fault"): "`invalid` has 70000, which uint16 never is",
        ("e", "fault"): "the label 16 (on) is a value that the tag never has",
        ("f", "fault"): "`range` 50000 to 60000 has no value that the tag can have",
        ("state", "advice"): "what do its numbers mean? `labels`, or a `description`",
        ("h", "fault"): "reads what `g` reads, as int16 AB and not as uint16 AB",
        ("k", "fault"): "overlaps `j`: holding 20-21 and holding 21-22",
        ("l", "advice"): "a bool has no unit",
    }
    whole = {each["text"].partition(":")[0] for each in found["results"][0]["remarks"] if not each["tag"]}
    missing = {f"`meta.{key}` is missing" for key in ("maker", "model", "source", "quality")}
    assert whole == {*missing, "there are no cases"}


def test_a_library_profile_is_copied_with_what_it_extends(folder, capsys, monkeypatch):
    texts = {"small": "small: {extends: large}\n", "large": "large: {tags: {v: {address: coil/1, type: bool}}}\n"}
    monkeypatch.setattr("gateway.cli.profiletests.sources.profile_texts", lambda _driver: texts)
    assert main(["add", "modbus", "192.0.2.9", "--profile", "small", "--write"]) == 0
    capsys.readouterr()
    assert {path.name for path in (folder / "profiles").iterdir()} >= {"small.yaml", "large.yaml"}


def test_an_unchanged_copy_of_a_library_profile_has_its_cases_and_what_it_extends_has_the_same_driver(folder, capsys):
    words = ["--profile", "huawei_sun2000_battery", "--write"]
    assert main(["add", "modbus", "192.0.2.8", *words]) == 0
    capsys.readouterr()
    rows = {row["name"]: row for row in answer(capsys)[1]["profiles"] if row["from"] == "configuration"}
    assert {name: (row["driver"], row["cases"]) for name, row in rows.items() if "huawei" in name} == {
        "huawei_sun2000": ("modbus", 1),
        "huawei_sun2000_battery": ("modbus", 2),
    }
    assert answer(capsys, "test", "huawei_sun2000")[0] == 0
    copy = folder / "profiles" / "huawei_sun2000.yaml"
    copy.write_text(copy.read_text().replace("scale: 0.01", "scale: 0.1"))
    assert answer(capsys, "test", "huawei_sun2000")[1]["cases"] == 0


def test_a_profile_of_the_library_comes_with_what_it_extends():
    found = profiles_of("modbus", "huawei_sun2000_battery")
    assert list(found) == ["huawei_sun2000_battery", "huawei_sun2000"]
    assert profiles_of("modbus", "nothing_of_that_name") == {}
