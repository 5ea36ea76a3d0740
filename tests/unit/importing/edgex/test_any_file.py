"""Whatever becomes of a file, it gives problems or a configuration, and never anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from gateway.importing.writing import files_of
from tests.unit.importing.edgex.kit import draw, drawn, load

CASES = Path(__file__).parents[3] / "cases/imports/edgex"
FILES = {path.name: path.read_text() for path in sorted(CASES.iterdir())}
ODD = [
    "",
    "[]",
    "{}",
    "null",
    "-1",
    "1e999",
    "0x",
    "010",
    "'{n}'",
    "${env:X}",
    "!x",
    "&a",
    "*a",
    "text",
    "[[1]]",
    "{a: 1}",
]


@st.composite
def broken(pick: st.DrawFn) -> dict[str, bytes]:
    """The files with lines taken out, doubled, cut, or with one of their values replaced."""
    name = pick(st.sampled_from(sorted(FILES)))
    lines = FILES[name].splitlines()
    for _ in range(pick(st.integers(1, 3))):
        at = pick(st.integers(0, len(lines) - 1))
        match pick(st.sampled_from(["out", "double", "cut", "value", "indent"])):
            case "out" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "cut":
                lines[at] = lines[at][: pick(st.integers(0, len(lines[at])))]
            case "indent":
                lines[at] = " " * pick(st.integers(0, 6)) + lines[at].lstrip()
            case _:
                parts = lines[at].split(": ")
                part = pick(st.integers(0, len(parts) - 1))
                parts[part] = pick(st.sampled_from(ODD))
                lines[at] = ": ".join(parts)
    return {**{each: text.encode() for each, text in FILES.items()}, name: "\n".join(lines).encode()}


@given(broken())
@settings(max_examples=150, deadline=None)
def test_any_broken_file_gives_problems_with_places_or_a_configuration(files):
    report = Report()
    draft = take_over(files, report)
    assert all(problem.line > 0 for problem in report.problems.sorted())
    if len(report.problems) == 0:
        try:
            load(draft)
        except ConfigError as error:
            assert error.problems


def test_our_own_files_of_these_shapes_load_and_give_the_same_twice():
    texts = list(FILES.values())
    first, _ = drawn(*texts)
    second, _ = drawn(*texts)
    assert files_of(first) == files_of(second)
    made = load(first)
    assert [channel.id for channel in made.channels] == ["modbus-rtu-dev-ttyS1", "modbus-tcp-192-0-2-40-502"]
    assert [list(channel["watch"]) for channel in first.channels.values()] == [["New-Skids"], ["New-Skids"]]


HOSTILE = {
    "aliases": "deviceResources:\n- &a [1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"- &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)),
    "depth": "deviceResources: " + "[" * 5000,
    "kinds": "name: [1]\ndeviceResources: {a: 1}\ndeviceCommands: 7\n",
    "nul": "deviceResources:\n  - name: \x00\n",
    "itself": "deviceResources: &a [*a]\n",
    "twice": "deviceList: []\ndeviceList: []\n",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_fl_64_a_hostile_file_is_refused_at_its_place_and_at_once(name):
    report = Report()
    take_over({"h.yaml": HOSTILE[name].encode()}, report)
    assert len(report.problems) > 0
    assert all(problem.line > 0 for problem in report.problems.sorted())


def test_fl_64_fifty_megabytes_are_refused_before_they_are_read():
    report = Report()
    take_over({"h.yaml": b"deviceList:\n" + b"  - {name: d}\n" * 3_600_000}, report)
    assert "larger than" in str(report.problems.sorted()[0])


def test_requests_to_and_answers_of_core_metadata_hold_the_same_as_files():
    profile, devices, watcher = (yaml.safe_load(text) for text in FILES.values())
    forms = (
        (
            [{"apiVersion": "v3", "requestId": "1", "profile": profile}],
            [{"apiVersion": "v3", "device": each} for each in devices["deviceList"]],
            [{"apiVersion": "v3", "provisionwatcher": watcher}],
        ),
        (
            {"apiVersion": "v3", "statusCode": 200, "totalCount": 1, "profiles": [profile]},
            {"apiVersion": "v3", "statusCode": 200, "devices": devices["deviceList"]},
            {"apiVersion": "v3", "provisionWatchers": [watcher]},
        ),
        (profile, devices["deviceList"], watcher),
    )
    wanted = data_of(drawn(*FILES.values())[0])
    for form in forms:
        assert data_of(drawn(*map(json.dumps, form))[0]) == wanted


def data_of(draft):
    return {"profiles": draft.profiles, "channels": draft.channels}


def test_a_device_of_a_list_without_a_name_is_an_error_whatever_holds_it():
    for text in ("deviceList: [{protocols: {}}]", '{"apiVersion": "v3", "devices": [{"protocols": {}}]}'):
        _, report = draw(text)
        assert "a device needs a `name`" in str(report.problems.sorted()[0])
