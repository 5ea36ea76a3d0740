"""Inputs, connectors and lists that share a name: each stays a device or profile of its own, and that is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over

KEPWARE = "Tag Name,Address,Data Type,Client Access\n{tag},400001,Word,RO\n"
NEURON = "group,name,address,attribute,type\ng,{tag},1!400001,Read,UINT16\n"
EDGEX = """\
name: boiler
deviceResources:
- {name: x, attributes: {primaryTable: COILS, startingAddress: 0}, properties: {valueType: Bool, readWrite: R}}
"""


def taken(files: Mapping[str, str], **options: Any) -> tuple[Draft, list[str]]:
    report = Report()
    draft = take_over({name: text.encode() for name, text in files.items()}, report, Options(**options))
    assert not report.problems.sorted()
    return draft, [str(note) for note in report.notes]


def devices_of(draft: Draft) -> dict[str, tuple[str, Any]]:
    """Device id -> where it is asked."""
    return {
        device: (channel["url"], keys.get("unit_id"))
        for channel in draft.channels.values()
        for device, keys in channel["devices"].items()
    }


def telegraf(host: int, slave: int) -> str:
    return (
        f'[[inputs.modbus]]\nname = "Device"\nslave_id = {slave}\ncontroller = "tcp://192.0.2.{host}:502"\n'
        f'holding_registers = [{{ name = "t{host}{slave}", data_type = "UINT16", address = [0]}}]\n'
    )


def slave(host: int, unit: int) -> dict[str, Any]:
    entry = {"tag": f"t{host}{unit}", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": 1}
    where = {"host": f"192.0.2.{host}", "port": 502, "type": "tcp", "unitId": unit, "deviceName": "Device"}
    return {**where, "byteOrder": "BIG", "wordOrder": "BIG", "timeseries": [entry]}


def connector(*slaves: dict[str, Any]) -> str:
    return json.dumps({"master": {"slaves": slaves}})


@pytest.mark.parametrize(
    "files",
    [
        {"a.conf": telegraf(1, 1) + telegraf(2, 1) + telegraf(1, 2)},
        {"a.conf": telegraf(1, 1), "b.conf": telegraf(2, 1) + telegraf(1, 2)},
        {"a.json": connector(slave(1, 1), slave(2, 1), slave(1, 2))},
        {"a.json": connector(slave(1, 1)), "b.json": connector(slave(2, 1)), "c.json": connector(slave(1, 2))},
        {"a.conf": telegraf(1, 1) + telegraf(1, 2), "b.json": connector(slave(2, 1))},
    ],
)
def test_modbus_devices_of_one_name_are_all_there_and_the_second_name_is_told(files):
    draft, notes = taken(files)
    found = devices_of(draft)
    assert sorted(found.values()) == [
        ("tcp://192.0.2.1:502", 1),
        ("tcp://192.0.2.1:502", 2),
        ("tcp://192.0.2.2:502", 1),
    ]
    tags = [tag for channel in draft.channels.values() for each in channel["devices"].values() for tag in each["tags"]]
    assert sorted(tags) == ["t11", "t12", "t21"]
    for device in set(found) - {"Device"}:
        assert any(f"another device `Device`: this one is called `{device}` here" in note for note in notes)


@pytest.mark.parametrize("url", ["opc.tcp://192.0.2.1:4840", "opc.tcp://192.0.2.2:4840"])
def test_opcua_inputs_of_one_name_are_all_there(url):
    text = '[[inputs.opcua]]\nname = "plc"\nendpoint = "{}"\nnodes = [{{name = "{}", id = "ns=2;s=A"}}]\n'
    draft, notes = taken({"a.conf": text.format("opc.tcp://192.0.2.1:4840", "a") + text.format(url, "b")})
    found = devices_of(draft)
    assert sorted(where for where, _ in found.values()) == sorted(["opc.tcp://192.0.2.1:4840", url])
    assert any("another device `plc`: this one is called `plc_2` here" in note for note in notes)


def test_thingsboard_opcua_connectors_of_one_name_are_all_there():
    def text(host: int) -> str:
        mapping = [
            {
                "deviceNodePattern": "ns=2;s=Boiler",
                "deviceInfo": {"deviceNameExpression": "Boiler"},
                "timeseries": [{"key": "t", "type": "identifier", "value": "${ns=2;s=T}"}],
            }
        ]
        return json.dumps({"server": {"url": f"192.0.2.{host}:4840", "name": "plc"}, "mapping": mapping})

    draft, notes = taken({"a.json": text(1), "b.json": text(2)})
    assert sorted(devices_of(draft).values()) == [
        ("opc.tcp://192.0.2.1:4840", None),
        ("opc.tcp://192.0.2.2:4840", None),
    ]
    assert any("another channel `plc`" in note for note in notes)
    assert any("another device `Boiler`" in note for note in notes)


@pytest.mark.parametrize("text", [KEPWARE, NEURON])
def test_lists_of_one_name_become_profiles_of_their_own(text):
    draft, notes = taken({"k1/boiler.csv": text.format(tag="a"), "k2/boiler.csv": text.format(tag="b")})
    assert [next(iter(profile["tags"]))[-1] for profile in draft.profiles.values()] == ["a", "b"]
    assert list(draft.profiles) == ["boiler", "boiler_2"]
    assert any("k2/boiler.csv" in note and "this one is called `boiler_2` here" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "said"), [("", "the list has a header and no tags"), ("a,400001,,RO\n", "the tag has no type")]
)
def test_a_list_without_tags_or_types_is_refused(rows, said):
    report = Report()
    take_over({"boiler.csv": ("Tag Name,Address,Data Type,Client Access\n" + rows).encode()}, report)
    assert [said in str(problem) for problem in report.problems.sorted()] == [True]


def test_a_name_without_end_is_not_repeated_whole():
    _, notes = taken({"boiler.csv": KEPWARE.format(tag="a b" * 20_000)})
    assert max(map(len, notes)) < 500


def test_a_list_beside_a_profile_of_its_name_from_another_tool_becomes_one_of_its_own():
    draft, _ = taken({"boiler.csv": KEPWARE.format(tag="a"), "e.yaml": EDGEX})
    assert {name: list(profile["tags"]) for name, profile in draft.profiles.items()} == {
        "boiler": ["x"],
        "boiler_2": ["a"],
    }


def test_lists_of_one_name_with_a_url_are_two_devices():
    files = {"k1/boiler.csv": KEPWARE.format(tag="a"), "k2/boiler.csv": KEPWARE.format(tag="b")}
    draft, _ = taken(files, url="tcp://192.0.2.1:502")
    (channel,) = draft.channels.values()
    assert {device: keys["profile"] for device, keys in channel["devices"].items()} == {
        "boiler": "boiler",
        "boiler_2": "boiler_2",
    }
