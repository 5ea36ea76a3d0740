"""`fieldpost import --partial`: what is right is written, what is wrong is told, and so is what goes with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files, read_tree

PROFILE = """name: Pump
deviceResources:
- {{name: Speed, attributes: {{primaryTable: HOLDING_REGISTERS, startingAddress: 1}}, properties: {{valueType: Int16, readWrite: RW}}}}
- {{name: Wrong, attributes: {{primaryTable: HOLDING_REGISTERS, startingAddress: {at}}}, properties: {{valueType: Int16, readWrite: RW, shift: {shift}}}}}
deviceCommands:
- {{name: Both, readWrite: R, resourceOperations: [{{deviceResource: Speed}}, {{deviceResource: Wrong}}]}}
- {{name: Only, readWrite: R, resourceOperations: [{{deviceResource: Wrong}}]}}
"""
DEVICES = """deviceList:
- name: North
  profileName: Pump
  protocols: {modbus-tcp: {Address: 10.0.0.1, Port: 502, UnitID: 1}}
  autoEvents: [{interval: 10s, sourceName: Both}, {interval: 5s, sourceName: Only}]
- {name: South, profileName: Pump, protocols: {modbus-tcp: {Address: 10.0.0.1, Port: 502, UnitID: 999}}}
- {name: Lost, profileName: Nowhere, protocols: {modbus-tcp: {Address: 10.0.0.1, Port: 502, UnitID: 3}}}
"""
MODEL = """apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: oven}
spec: {protocol: modbus, properties: [{name: heat, type: INT}, {name: door, type: WRONG}]}
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: oven-1}
spec:
  deviceModelRef: {name: oven}
  protocol: {protocolName: modbus, configData: {communicateMode: TCP, ip: 10.0.0.2, port: 502, slaveID: 1}}
  properties:
  - {name: heat, visitors: {protocolName: modbus, configData: {register: HoldingRegister, offset: 1, limit: 1, dataType: int}}}
  - {name: door, visitors: {protocolName: modbus, configData: {register: HoldingRegister, offset: 2, limit: 1, dataType: int}}}
  methods:
  - {name: look, propertyNames: [heat, door]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "files"
    found.mkdir()
    return found


def answer(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["import", str(folder), "--write", str(folder.parent / "site"), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def places(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(Path(row["file"]).name, row["line"], row["column"]) for row in rows]


def told(shown: dict[str, Any], file: str, line: int) -> list[str]:
    return [row["text"] for row in shown["notes"] if Path(row["file"]).name == file and row["line"] == line]


def tags(folder: Path) -> dict[str, list[str]]:
    """Tags by device of what was written, as the gateway loads it."""
    tree = {"gateway.yaml": b"gateway: {id: site}\n", **read_tree(folder)}
    loaded = load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None))
    return {device.id: [tag.path for tag in device.tags] for channel in loaded.channels for device in channel.devices}


def test_one_wrong_file_of_many_stops_the_import_unless_it_may_be_partial(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "good.yaml").write_text(PROFILE.format(at=2, shift=0))
    (folder / "cut.yaml").write_text('name: "Cut\ndeviceResources: []')
    code, shown = answer(capsys, folder)
    assert (code, shown["written"], places(shown["errors"])) == (1, [], [("cut.yaml", 1, 7)])
    assert not (folder.parent / "site").exists()
    code, shown = answer(capsys, folder, "--partial")
    assert (code, shown["written"], places(shown["errors"])) == (1, ["profiles/Pump.yaml"], [("cut.yaml", 1, 7)])


def test_what_names_a_wrong_resource_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pump.yaml").write_text(PROFILE.format(at=-5, shift=0))
    (folder / "devices.yaml").write_text(DEVICES)
    code, shown = answer(capsys, folder, "--partial")
    assert code == 1
    assert places(shown["errors"]) == [("devices.yaml", 6, 99), ("devices.yaml", 7, 29), ("pump.yaml", 4, 80)]
    assert tags(folder.parent / "site") == {"North": ["Speed"]}
    assert told(shown, "pump.yaml", 6) == ["`Wrong` has faults: it is left out of `Both`"]
    assert "the command `Only` is left out: its resources have faults" in told(shown, "pump.yaml", 7)
    assert told(shown, "devices.yaml", 5) == ["`Only` of `Pump` has faults: this schedule is left out"]


def test_what_names_a_tag_that_only_the_loader_refuses_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pump.yaml").write_text(PROFILE.format(at=2, shift=20))
    (folder / "devices.yaml").write_text(DEVICES.split("- {name: South", maxsplit=1)[0])
    code, shown = answer(capsys, folder, "--partial")
    assert code == 1
    assert places(shown["errors"]) == [("pump.yaml", 4, 3)]
    assert tags(folder.parent / "site") == {"North": ["Speed"]}
    left = [row for row in shown["notes"] if row["text"].startswith("left out with what is wrong: ")]
    assert {place[0] for place in places(left)} == {"pump.yaml", "devices.yaml"}
    assert "Wrong" in " ".join(row["text"] for row in left)


def test_properties_that_a_model_has_wrong_are_told_where_devices_name_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "oven.yaml").write_text(MODEL)
    code, shown = answer(capsys, folder, "--partial")
    assert (code, places(shown["errors"])) == (1, [("oven.yaml", 4, 83)])
    assert tags(folder.parent / "site") == {"oven-1": ["heat"]}
    assert "`door` is left out, as it is of its model" in told(shown, "oven.yaml", 14)
    assert told(shown, "oven.yaml", 16) == ["`door` is no tag here: this method goes without it"]


def test_what_is_left_out_is_no_error_of_its_own_where_notes_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pump.yaml").write_text(PROFILE.format(at=-5, shift=0))
    code, shown = answer(capsys, folder, "--strict")
    assert (code, places(shown["errors"])) == (1, [("pump.yaml", 4, 80)])
