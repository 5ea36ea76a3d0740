"""Modbus visitors: types by data type and number of registers, swaps, scales, channels by connection."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.importing.draft import Options
from gateway.model import Access, ValueType
from tests.unit.importing.kubeedge.kit import (
    CASES,
    MODEL,
    device,
    devices_of,
    draft_of,
    errors_of,
    notes_of,
    settings_of,
)


def tag_of(config: str, kind: str = "INT", access: str = "ReadOnly") -> dict[str, Any]:
    """The keys of a tag with this configuration of its visitor."""
    model = MODEL.replace("INT", kind).replace("ReadWrite", access)
    draft, report = draft_of(model + device(f"[{{name: a, visitors: {{configData: {{{config}}}}}}}]"))
    assert not len(report.problems), report.problems.sorted()
    tag: dict[str, Any] = draft.profiles["m"]["tags"]["a"]
    return tag


@pytest.mark.parametrize(
    ("words", "kind", "want"),
    [
        ("limit: 1", "INT", {"type": "uint16"}),
        ("limit: 2", "INT", {"type": "uint32"}),
        ("limit: 4", "INT", {"type": "uint64"}),
        ("limit: 2, signed: true", "INT", {"type": "int32"}),
        ("limit: 1", "FLOAT", {"type": "int16"}),
        ("limit: 2", "FLOAT", {"type": "float32"}),
        ("limit: 4", "DOUBLE", {"type": "float64"}),
        ("limit: 2, dataType: double", "FLOAT", {"type": "float32"}),
        ("dataType: int", "FLOAT", {"type": "uint16"}),
        ("limit: 1", "BOOLEAN", {"type": "bool"}),
        ("limit: 4", "STRING", {"type": "string", "length": 8}),
        ("limit: 3", "BYTES", {"type": "bytes", "length": 6}),
        ("limit: 1, scale: 0.1", "INT", {"type": "uint16", "scale": 0.1}),
        ("limit: 1, scale: 1.0", "INT", {"type": "uint16"}),
        ("limit: 2, isRegisterSwap: true", "FLOAT", {"type": "float32", "word_order": "CDAB"}),
        ("limit: 2, isSwap: 'true'", "FLOAT", {"type": "float32", "word_order": "BADC"}),
        ("limit: 2, isSwap: true, isRegisterSwap: true", "INT", {"type": "uint32", "word_order": "DCBA"}),
        ("limit: 4, isRegisterSwap: true", "DOUBLE", {"type": "float64", "word_order": "GHEFCDAB"}),
        ("limit: 1, isRegisterSwap: true", "INT", {"type": "uint16"}),
        ("limit: 1, isSwap: true, isRegisterSwap: true", "INT", {"type": "uint16", "word_order": "BADC"}),
    ],
)
def test_data_type_and_limit_make_the_type_on_the_wire(words: str, kind: str, want: dict[str, Any]) -> None:
    found = tag_of(f"register: HoldingRegister, offset: 7, {words}", kind)
    assert found.pop("address") == "holding/7"
    assert found == want


@pytest.mark.parametrize(
    ("register", "offset", "address"),
    [
        ("CoilRegister", 3, "coil/3-3"),
        ("discreteinputregister", 0, "discrete/0-0"),
        ("InputRegister", 9999, "input/9999"),
        ("HoldingRegister", 40100, "holding/0x9ca4"),
        ("HoldingRegister", '"5"', "holding/5"),
    ],
)
def test_tables_and_offsets_count_from_zero(register: str, offset: object, address: str) -> None:
    assert tag_of(f"register: {register}, offset: {offset}, limit: 1")["address"] == address


@pytest.mark.parametrize(
    ("limit", "kind", "want"),
    [
        (1, "BOOLEAN", {"address": "coil/3", "type": "bool"}),
        (1, "INT", {"address": "coil/3-3", "type": "uint8"}),
        (8, "INT", {"address": "coil/3-10", "type": "uint8"}),
        (12, "INT", {"address": "coil/3-14", "type": "uint16"}),
        (16, "INT", {"address": "coil/3-18", "type": "uint16", "word_order": "DCBA"}),
        (64, "INT", {"address": "coil/3-66", "type": "uint64", "word_order": "DCBA"}),
    ],
)
def test_a_whole_number_over_coils_stays_one(limit: int, kind: str, want: dict[str, Any]) -> None:
    assert tag_of(f"register: CoilRegister, offset: 3, limit: {limit}, scale: 1", kind) == want


def test_what_cannot_be_written_there_is_read_only() -> None:
    text = "register: InputRegister, offset: 1, limit: 1"
    assert "access" not in tag_of(text, access="ReadWrite")


def test_a_file_of_several_documents_gives_channels_by_connection() -> None:
    settings, report = settings_of({"press.yaml": (CASES / "press.yaml").read_bytes()})
    channels = {channel.id: channel for channel in settings.channels}
    assert channels["modbus-192-0-2-10-5020"].settings.url == "tcp://192.0.2.10:5020"
    assert channels["modbus-ttyUSB7"].settings.serial == {"port": "/dev/ttyUSB7", "line": "19200-8N2"}
    one, two = devices_of(settings)["press-1"], devices_of(settings)["press-2"]
    tags = {tag.path: tag for tag in one.tags}
    assert tags["oil_temperature"].source.address == "input/4" and tags["oil_temperature"].transform.scale == 0.1
    assert dict(tags["oil_temperature"].meta)["name"] == "oil temperature"
    assert "the property `oil temperature` is called `oil_temperature` here" in notes_of(report, "changed")
    assert (tags["setpoint"].source.word_order, tags["setpoint"].type) == ("GHEFCDAB", ValueType.FLOAT64)
    assert (tags["setpoint"].write.minimum, tags["setpoint"].write.maximum, tags["setpoint"].desired) == (0, 60.0, 21.5)
    assert tags["setpoint"].schedule is not None and tags["setpoint"].schedule.every_s == 2
    assert tags["oil_temperature"].schedule is not None and tags["oil_temperature"].schedule.every_s == 0.5
    assert tags["oil_temperature"].report.every_s == 10
    assert (tags["run"].local, tags["run"].access, tags["setpoint"].local) == (True, Access.READ_WRITE, False)
    assert dict(one.meta)["hall"] == "north"
    commands = {command.name: command for command in one.commands}
    assert [item.path for item in commands["Prepare"].items] == ["setpoint", "run"]
    assert (commands["Prepare"].access, commands["Look"].access) == (Access.READ_WRITE, Access.READ)
    assert {tag.path: tag.type for tag in two.tags} == {
        "oil_temperature": ValueType.INT16,
        "parts": ValueType.INT16,
    }
    assert two.settings.unit_id == 3


def test_only_devices_of_the_node_that_is_asked_for() -> None:
    settings, report = settings_of({"press.yaml": (CASES / "press.yaml").read_bytes()}, Options(node="edge-2"))
    assert list(devices_of(settings)) == ["press-2"]
    assert [text for text in notes_of(report, "ignored") if "press-1" in text] == [
        "device `press-1` is left out: its node is edge-1, not edge-2"
    ]


def test_devices_share_a_connection_and_a_line_has_one_speed() -> None:
    entry = "[{name: a, visitors: {configData: {register: CoilRegister}}}]"
    two = MODEL + device(entry) + "---\n" + device(entry, name="e")
    draft, _ = draft_of(two)
    assert list(draft.channels) == ["modbus-192-0-2-1-502"]
    assert list(draft.channels["modbus-192-0-2-1-502"]["devices"]) == ["d", "e"]
    line = "{{protocolName: modbus, configData: {{serialPort: /dev/ttyS1, baudRate: {}, slaveID: 1}}}}"
    other = MODEL + device(entry, line.format(9600)) + "---\n" + device(entry, line.format(19200), name="e")
    assert [error.split(": ", 1)[1][:50] for error in errors_of(other)] == [
        "another device on this line is connected by other "
    ]


@pytest.mark.parametrize(
    ("config", "protocol", "words"),
    [
        ("register: Coils", "", "is no register"),
        ("offset: 1", "", "names no `register`"),
        ("register: HoldingRegister, offset: 70000", "", "not within 0 and 65535"),
        ("register: HoldingRegister, offset: 010", "", "a number is wanted"),
        ("register: HoldingRegister, limit: 5", "", "5 registers make no int"),
        ("register: CoilRegister, limit: 65", "", "65 coils make no int"),
        ("register: HoldingRegister, isSwap: on", "", "true or false"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {port: 1}}", "has no `ip`"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {ip: '${env:X}'}}", "cannot be an address"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {ip: a, port: 99999}}", "not within"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {serialPort: /a, parity: mark}}", "no parity"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {communicateMode: X, ip: a}}", "is no mode"),
        ("register: CoilRegister", "{protocolName: modbus, configData: {ip: a, slaveID: 300}}", "not within"),
    ],
)
def test_what_has_no_meaning_is_an_error_with_its_line(config: str, protocol: str, words: str) -> None:
    errors = errors_of(MODEL + device(f"[{{name: a, visitors: {{configData: {{{config}}}}}}}]", protocol))
    assert len(errors) == 1 and words in errors[0] and int(errors[0].split(":")[0]) > 8, errors
