"""FL-65: connectors of the ThingsBoard gateway: what each entry becomes, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over


def taken(connector: Any, **options: Any) -> tuple[Draft, Report]:
    report = Report()
    return take_over({"connector.json": json.dumps(connector).encode()}, report, Options(**options)), report


def slave(**keys: Any) -> dict[str, Any]:
    return {"host": "192.0.2.1", "port": 502, "type": "tcp", "unitId": 1, "deviceName": "d", "byteOrder": "BIG",
            "wordOrder": "BIG", **keys}  # fmt: skip


def device(**keys: Any) -> dict[str, Any]:
    draft, report = taken({"master": {"slaves": [slave(**keys)]}})
    assert not report.problems.sorted()
    return draft.channels["d"]["devices"]["d"]


def tag(entry: dict[str, Any], **keys: Any) -> dict[str, Any]:
    entry = {"tag": "x", "functionCode": 3, "objectsCount": 1, "address": 7, **entry}
    return device(timeseries=[entry], **keys)["tags"]["x"]


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"type": "16int"}, {"address": "holding/7", "type": "int16"}),
        ({"type": "16uint", "functionCode": 4}, {"address": "input/7", "type": "uint16"}),
        ({"type": "32float", "objectsCount": 2}, {"address": "holding/7", "type": "float32"}),
        ({"type": "64int", "objectsCount": 4}, {"address": "holding/7", "type": "int64"}),
        ({"type": "int", "objectsCount": 2}, {"address": "holding/7", "type": "int32"}),
        ({"type": "long", "objectsCount": 4}, {"address": "holding/7", "type": "int64"}),
        ({"type": "uint", "objectsCount": 1}, {"address": "holding/7", "type": "uint16"}),
        ({"type": "double", "objectsCount": 4}, {"address": "holding/7", "type": "float64"}),
        ({"type": "8int"}, {"address": "holding/7.high", "type": "int8"}),
        ({"type": "string", "objectsCount": 5}, {"address": "holding/7", "type": "string", "length": 10}),
        ({"type": "bytes", "objectsCount": 2}, {"address": "holding/7", "type": "bytes", "length": 4}),
        ({"type": "bits", "functionCode": 1}, {"address": "coil/7", "type": "bool"}),
        ({"type": "bits", "functionCode": 2}, {"address": "discrete/7", "type": "bool"}),
        ({"type": "bits", "bit": 12}, {"address": "holding/7.12", "type": "bool"}),
        ({"type": "bits", "functionCode": 1, "objectsCount": 8, "bit": 3}, {"address": "coil/10", "type": "bool"}),
        ({"type": "16int", "divider": 10}, {"address": "holding/7", "type": "int16", "scale": 0.1}),
        ({"type": "16int", "multiplier": 5}, {"address": "holding/7", "type": "int16", "scale": 5}),
        ({"type": "16int", "divider": 4, "multiplier": 5}, {"address": "holding/7", "type": "int16", "scale": 0.25}),
    ],
)
def test_an_entry_becomes_a_tag(entry, wanted):
    assert tag(entry) == wanted


@pytest.mark.parametrize(
    ("orders", "single", "double", "long"),
    [
        (("BIG", "BIG"), None, None, None),
        (("LITTLE", "BIG"), "BADC", "BADC", "BADCFEHG"),
        (("BIG", "LITTLE"), None, "CDAB", "GHEFCDAB"),
        (("LITTLE", "LITTLE"), "BADC", "DCBA", "HGFEDCBA"),
    ],
)
def test_byte_and_word_order_together_are_letters(orders, single, double, long):
    keys = dict(zip(("byteOrder", "wordOrder"), orders, strict=True))
    assert tag({"type": "16int"}, **keys).get("word_order") == single
    assert tag({"type": "32int", "objectsCount": 2}, **keys).get("word_order") == double
    assert tag({"type": "64float", "objectsCount": 4, **keys}).get("word_order") == long


def test_a_missing_order_is_little_as_there_and_told():
    bare = {key: value for key, value in slave().items() if not key.endswith("Order")}
    entry = {"tag": "x", "type": "32int", "functionCode": 3, "objectsCount": 2, "address": 0}
    draft, report = taken({"master": {"slaves": [{**bare, "timeseries": [entry]}]}})
    assert draft.channels["d"]["devices"]["d"]["tags"]["x"]["word_order"] == "DCBA"
    assert any("LITTLE, as ThingsBoard takes it" in note.text for note in report.notes)
    draft, _ = taken({"master": {"slaves": [{**bare, "timeseries": [entry]}]}}, word_order="ABCD")
    assert "word_order" not in draft.channels["d"]["devices"]["d"]["tags"]["x"]


def test_bits_without_a_number_are_a_tag_each():
    found = device(timeseries=[{"tag": "in", "type": "bits", "functionCode": 2, "objectsCount": 3, "address": 4}])[
        "tags"
    ]
    assert {path: each["address"] for path, each in found.items()} == {
        "in/0": "discrete/4", "in/1": "discrete/5", "in/2": "discrete/6",
    }  # fmt: skip


def test_a_range_of_addresses_is_a_tag_for_each_value():
    entry = {"tag": "t_${address}", "type": "32uint", "functionCode": 4, "objectsCount": 2, "address": "10-15"}
    found = device(timeseries=[entry, {**entry, "tag": "plain", "address": "20-21"}])["tags"]
    assert {path: each["address"] for path, each in found.items()} == {
        "t_10": "input/10", "t_12": "input/12", "t_14": "input/14", "plain_20": "input/20",
    }  # fmt: skip


def test_what_is_written_elsewhere_makes_the_tag_writable_and_calls_become_commands():
    entry = {"type": "16int", "functionCode": 3, "objectsCount": 1, "address": 2}
    found = device(
        timeseries=[{"tag": "level", **entry}],
        attributeUpdates=[
            {"tag": "level", **entry, "functionCode": 6},
            {"tag": "new", **entry, "functionCode": 16, "address": 9},
        ],
        rpc=[
            {"tag": "set", **entry, "functionCode": 6},
            {"tag": "get", **entry},
            {"tag": "peek", **entry, "address": 30},
        ],
    )
    assert found["tags"]["level"] == {"address": "holding/2", "type": "int16", "access": "rw"}
    assert found["tags"]["new"] == {"address": "holding/9", "type": "int16", "access": "w"}
    assert found["tags"]["peek"] == {"address": "holding/30", "type": "int16", "on_demand": True}
    assert found["commands"] == {"set": {"access": "w", "tags": ["level"]}, "get": {"access": "r", "tags": ["level"]}}


def test_a_call_that_reads_behind_the_one_that_writes_makes_the_tag_readable():
    entry = {"type": "bits", "objectsCount": 1, "address": 31}
    write = {"tag": "setValue", **entry, "functionCode": 5}
    read = {"tag": "getValue", **entry, "functionCode": 1}
    for calls in ([write, read], [read, write]):
        found = device(rpc=calls)
        first, second = (call["tag"] for call in calls)
        assert found["tags"] == {first: {"address": "coil/31", "type": "bool", "access": "rw", "on_demand": True}}
        assert found["commands"] == {second: {"access": "r" if second == "getValue" else "w", "tags": [first]}}


def test_reports_follow_the_strategy_of_the_tag_or_the_device():
    kinds = {
        "ON_CHANGE": {"on_change": True},
        "ON_REPORT_PERIOD": {"report_every": "5s"},
        "ON_CHANGE_OR_REPORT_PERIOD": {"on_change": True, "heartbeat": "5s"},
        "ON_RECEIVED": {},
    }
    plain = {"address": "holding/7", "type": "int16"}
    for kind, wanted in kinds.items():
        strategy = {"reportStrategy": {"type": kind, "reportPeriod": 5000}}
        assert tag({"type": "16int", **strategy}) == plain | wanted
        assert tag({"type": "16int"}, **strategy) == plain | wanted
    assert tag({"type": "16int"}, sendDataOnlyOnChange=True) == plain | {"on_change": True}
    attribute = {"tag": "x", "type": "16int", "functionCode": 3, "address": 7}
    assert device(attributes=[attribute])["tags"]["x"] == plain | {"on_change": True}


def test_slaves_share_a_connection_and_serial_ones_have_a_line():
    serial = {"type": "serial", "method": "rtu", "port": "/dev/ttyUSB0", "baudrate": 9600, "parity": "E", "stopbits": 1,
              "bytesize": 8, "unitId": 3, "deviceName": "s", "pollPeriod": 5000}  # fmt: skip
    draft, report = taken(
        {"master": {"slaves": [slave(), slave(unitId=2, deviceName="e"), serial, slave(type="udp", deviceName="u")]}}
    )
    assert draft.channels["d"]["devices"].keys() == {"d", "e"}
    assert draft.channels["s"]["serial"] == {"port": "/dev/ttyUSB0", "line": "9600-8E1"}
    assert draft.channels["s"]["devices"]["s"]["interval"] == "5s"
    assert ["UDP" in str(problem) for problem in report.problems.sorted()] == [True]


def test_every_bad_entry_is_told_and_the_good_ones_are_there():
    good = {"tag": "good", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": 0}
    bad = [
        {**good, "functionCode": 7}, {**good, "type": "16float"}, {**good, "type": "int", "objectsCount": 3},
        {**good, "address": 70000}, {**good, "address": "9-3"}, {**good, "divider": 0}, {**good, "tag": ""}, "x", good,
        {**good, "tag": "y", "type": "string", "objectsCount": 200},
    ]  # fmt: skip
    draft, report = taken({"master": {"slaves": [slave(timeseries=[good, *bad])]}})
    assert list(draft.channels["d"]["devices"]["d"]["tags"]) == ["good"]
    assert len(report.problems.sorted()) == len(bad)


def test_a_connector_as_the_user_interface_exports_it_is_the_same():
    entry = {"tag": "x", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": 7}
    plain = {"master": {"slaves": [slave(timeseries=[entry])]}}
    inside, report = taken({"name": "Modbus", "type": "modbus", "logLevel": "INFO", "configurationJson": plain})
    assert inside.channels == taken(plain)[0].channels
    assert not report.notes


def test_unknown_keys_are_told_with_their_place():
    entry = {"tag": "x", "type": "16int", "functionCode": 3, "address": 7, "size": 1}
    _, report = taken({"master": {"slaves": [slave(colour="red", timeseries=[entry])], "turbo": 1}})
    assert {note.text for note in report.notes} == {
        "`master.slaves[0].colour` has no meaning here", "`master.turbo` has no meaning here",
        "`master.slaves[0].timeseries[0].size` has no meaning here",
    }  # fmt: skip


def test_an_opc_ua_connector_of_the_old_form_is_read_and_patterns_are_refused():
    server = {
        "url": "localhost:4840",
        "security": "Basic128Rsa15",
        "identity": {"type": "anonymous"},
        "mapping": [
            {"deviceNodePattern": "Root\\.Objects\\.Press", "deviceNamePattern": "Press",
             "timeseries": [{"key": "force", "path": "${Force}"}, {"key": "far", "path": "${Root\\.Objects\\.Oven\\.Heat}"}]},
            {"deviceNodePattern": "Root\\.Objects\\.Line[0-9]+", "deviceNamePattern": "L"},
            {"deviceNodePattern": "${ns=2;s=Pump}", "deviceNamePattern": "Device ${Root\\.Name}",
             "timeseries": [{"key": "speed", "path": "${ns=2;s=Pump.Speed}"}, {"key": "rel", "path": "${Speed}"}]},
        ],
    }  # fmt: skip
    draft, report = taken({"server": server})
    (channel,) = draft.channels.values()
    assert channel["url"] == "opc.tcp://localhost:4840"
    assert "security" not in channel
    assert channel["devices"]["Press"]["root"] == "/Objects/Press"
    assert {path: each["address"] for path, each in channel["devices"]["Press"]["tags"].items()} == {
        "force": "Force", "far": "/Objects/Oven/Heat",
    }  # fmt: skip
    assert list(channel["devices"]["Pump"]["tags"]) == ["speed"]
    texts = [str(problem) for problem in report.problems.sorted()]
    assert len(texts) == 2
    assert "is a pattern" in texts[0]
    assert "is not one node" in texts[1]
    assert any("not safe any more" in note.text for note in report.notes)


def test_settings_of_its_own_client_are_told():
    _, report = taken({"master": {"slaves": [slave(retries=True, connectAttemptCount=3)]}})
    texts = [note.text for note in report.notes]
    assert "`master.slaves[0].retries` has no meaning here" in texts
    assert "`master.slaves[0].connectAttemptCount` has no meaning here" in texts
    _, report = taken({"server": {"url": "192.0.2.1:4840", "showMap": True}, "mapping": []})
    assert "`server.showMap` has no meaning here" in [note.text for note in report.notes]
