"""FL-62: upstream's own files load without an edit and mean what they say."""

from __future__ import annotations

import json

from drivers.modbus.requests import plan_requests
from gateway.importing.writing import files_of
from gateway.model import Device, Tag
from tests.support.parts import EDGEX_FILES, require
from tests.unit.importing.edgex.kit import device, draw, drawn, fixture, load, modbus, notes, profile, tag

MODBUS = ("modbus.test.device.profile.yml", "modbus.test.device.string.profile.yml", "modbus.test.devices.yaml")
SIMPLE = ("Simple-Driver.profile.yaml", "simple-device.yml")


def tags_of(settings, name):
    (found,) = [each for channel in settings.channels for each in channel.devices if each.id == name]
    return {spec.path: spec for spec in found.tags}


def test_fl_62_all_files_of_edgex_together_load_with_no_edit_and_twice_the_same():
    require("edgex-vectors")
    names = sorted(each.name for each in EDGEX_FILES.iterdir() if each.suffix in {".yml", ".yaml"})
    draft, report = fixture(*names)
    again, _ = fixture(*reversed(names))
    assert files_of(draft) == files_of(again)
    assert (len(names), len(draft.profiles), len(draft.channels)) == (10, 6, 4)
    settings = load(draft)
    assert sum(len(channel.devices) for channel in settings.channels) == 6
    assert all(key in notes(report) for key in ("IdleTimeout", "apiVersion", "`Port` is the property"))


def test_the_modbus_profile_gives_seven_tags_and_three_commands():
    draft, _ = fixture(*MODBUS)
    made = draft.profiles["Test-Device-Modbus-Profile"]
    tags = made["tags"]
    assert list(tags) == [
        *("SwitchA", "SwitchB", "OperationMode", "CommunicationFailure", "FanSpeed", "RoomTemperature", "Temperature")
    ]
    assert tags["CommunicationFailure"]["address"] == "holding/10.10"
    room = tags["RoomTemperature"]
    assert (room["address"], room["type"], room["scale"]) == ("input/3", "int16", 0.1)
    assert room["meta"]["valueType"] == "Float32"
    assert (tags["FanSpeed"]["address"], tags["FanSpeed"]["type"]) == ("holding/2", "int32")
    assert list(made["commands"]) == ["Switch", "Values", "HVACValues"]
    assert list(made["commands"]["HVACValues"]["tags"]) == ["OperationMode", "FanSpeed", "Temperature"]
    assert tags["SwitchA"]["labels"] == tags["SwitchB"]["labels"] == {"1": "ON", "0": "OFF"}
    assert (tags["OperationMode"]["labels"]["8"], tags["FanSpeed"]["labels"]["7"]) == ("VAM Auto", "VAM Super Hi")
    assert "write" not in tags["SwitchA"], "limits of a bool are the whole bool"
    assert tags["OperationMode"]["write"] == {"min": 0, "max": 11}


def test_texts_have_two_bytes_a_register():
    draft, _ = fixture(*MODBUS)
    tags = draft.profiles["Test-Device-Modbus-String-Profile"]["tags"]
    assert [(each["address"], each["length"]) for each in tags.values()] == [("input/1", 2), ("holding/15", 10)]


def test_devices_on_one_address_share_a_channel_and_read_what_their_events_name():
    draft, report = fixture(*MODBUS)
    settings = load(draft)
    serial, tcp = settings.channels
    assert [each.id for each in tcp.devices] == ["Modbus-TCP-test-device", "Modbus-TCP-Read-String"]
    assert [each.settings.unit_id for each in tcp.devices] == [1, 1]
    assert (serial.settings.serial, serial.timeout_s) == ({"port": "/tmp/slave", "line": "19200-8N1"}, 5.0)
    first = tags_of(settings, "Modbus-TCP-test-device")
    polled = {path: (spec.group, spec.schedule.every_s) for path, spec in first.items() if not spec.on_demand}
    assert polled == dict.fromkeys(("OperationMode", "FanSpeed", "Temperature"), ("HVACValues", 20.0))
    second = tags_of(settings, "Modbus-TCP-Read-String")
    assert [(path, spec.group) for path, spec in second.items() if not spec.on_demand] == [("StringA", "ReadString")]
    assert all(spec.on_demand for spec in tags_of(settings, "Modbus-RTU-test-device").values())
    assert "0.0.0.0 is no address of a device" in notes(report)
    assert "`Modbus-RTU-test-device` has no schedule" in notes(report)


def test_an_interval_reads_what_has_no_schedule():
    draft, _ = fixture(*MODBUS, interval="10s")
    settings = load(draft)
    tags = tags_of(settings, "Modbus-TCP-test-device")
    assert not any(spec.on_demand for spec in tags.values())
    (found,) = [d for c in settings.channels for d in c.devices if d.id == "Modbus-RTU-test-device"]
    assert found.schedule.every_s == 10.0
    assert tags["OperationMode"].schedule.every_s == 20.0


def test_the_opc_ua_files_give_one_channel_with_nodes_and_numeric_defaults():
    draft, report = fixture("OpcuaServer.profile.yaml", "opcua.Simple-Devices.yaml")
    (channel,) = load(draft).channels
    assert channel.settings.url == "opc.tcp://192.168.123.21:53530/OPCUA/SimulationServer"
    (found,) = channel.devices
    shown = [(spec.path, spec.source.address, spec.type, spec.access) for spec in found.tags]
    assert shown == [
        ("Constant", "ns=3;i=1001", "float64", "rw"),
        ("Counter", "ns=3;i=1002", "int32", "r"),
        ("Random", "ns=3;i=1003", "float64", "r"),
    ]
    assert found.commands[0].items[0].default == 0.0
    assert "write `security`" in notes(report)


def test_the_simple_driver_is_a_stub_with_every_kind_of_value():
    draft, report = fixture(*SIMPLE)
    (channel,) = load(draft).channels
    assert not channel.enabled
    first, second = channel.devices
    tags = {spec.path: spec for spec in first.tags}
    assert {name: tags[name].type for name in ("Image", "StringArray", "Uint8Array", "Counter")} == {
        "Image": "bytes",
        "StringArray": "object",
        "Uint8Array": "object",
        "Counter": "object",
    }
    assert dict(tags["Image"].meta)["mediaType"] == "image/jpeg"
    assert dict(tags["Uint8Array"].meta)["valueType"] == "Uint8Array"
    assert "Image" in {command.name for command in first.commands}
    assert (tags["Image"].group, tags["SwitchButton"].group) == ("Image", "Switch")
    assert (second.id, second.enabled, second.tags) == ("ProfileScan-Simple-Device", False, ())
    assert "`ProfileScan-Simple-Device` has no profile" in notes(report)
    assert "nobody here speaks the protocol `other`" in notes(report)


def test_mqtt_and_virtual_profiles_keep_limits_defaults_and_commands():
    draft, _ = fixture("mqtt.test.device.profile.yml", "device.virtual.int.profile.yaml")
    mqtt, virtual = draft.profiles["Test-Device-MQTT-Profile"], draft.profiles["Random-Integer-Device"]
    assert mqtt["tags"]["randfloat32"]["write"] == {"min": 0, "max": 100}
    assert mqtt["tags"]["ping"]["meta"]["defaultValue"] == "oops"
    assert mqtt["commands"]["allValues"]["tags"]["randfloat32"] == {"default": 0.0}
    assert virtual["tags"]["EnableRandomization_Int8"]["access"] == "w"
    command = virtual["commands"]["WriteInt8ArrayValue"]
    assert command == {
        "access": "w",
        "tags": {"Int8Array": {"default": [0]}, "EnableRandomization_Int8Array": {"default": False}},
    }


def test_a_virtual_device_is_simulated_and_what_is_only_written_is_never_polled():
    require("edgex-vectors")
    text = device("v", "Random-Integer-Device", "device-virtual-protocol: {Address: x, Protocol: '300'}")
    draft, _ = drawn((EDGEX_FILES / "device.virtual.int.profile.yaml").read_text(), text, interval="5s")
    (channel,) = load(draft).channels
    assert (channel.driver, channel.enabled) == ("sim", True)
    written = [spec for spec in channel.devices[0].tags if spec.access == "w"]
    assert len(written) == 8


def test_fl_66_the_watcher_accepts_simple01_on_port_300_and_refuses_the_blocked_ports():
    draft, report = fixture(*SIMPLE, "Simple-Provision-Watcher.yml")
    settings = load(draft)
    assert settings.watch == (), "nobody looks for devices of the protocol `other`"
    assert "is kept and disabled" in notes(report)
    (rule,) = draft.channels["other"]["watch"].values()
    assert (rule["enabled"], rule["approve"], rule["profile"]) == (False, "auto", "Simple-Device")
    rule["enabled"] = True
    (watch,) = load(draft).watch

    def fits(address, port):
        return watch.fits({"address": address, "port": port})

    assert fits("simple01", "300")
    assert fits("my-simple7", "13000"), "EdgeX finds a pattern anywhere"
    assert not any(fits("simple01", port) for port in ("397", "398", "399"))
    assert watch.blocks({"address": "simple01", "port": "397"})
    assert not fits("other01", "300")
    assert not fits("Simple01", "300"), "case counts"
    assert watch.keys["tags"]["SwitchButton"]["group"] == "SwitchButton"
    assert dict(watch.keys["meta"]) == {"testPropertyA": "weather", "testPropertyB": "meter"}


def test_every_scalar_of_the_table_of_starting_addresses_is_read_as_edgex_reads_it():
    require("edgex-vectors")
    table = json.loads((EDGEX_FILES / "transform_vectors.json").read_text())["startingAddress"]
    assert len(table) == 6
    for row in table:
        text = modbus(f"startingAddress: {row['yaml_scalar']}", "Bool")
        if "edgex" in row:
            _, report = draw(profile(text))
            (problem,) = report.problems.sorted()
            assert "`50`, which is not a bit" in str(problem)
            continue
        keys, _ = tag(text)
        assert keys["address"] == f"holding/{row['register']}.{row['bit']}", row


def test_the_whole_modbus_profile_is_read_in_at_most_four_requests():
    draft, _ = fixture(*MODBUS, interval="1s")
    channel = next(each for each in load(draft).channels if each.settings.url)
    spec = channel.devices[0]
    tags = tuple(Tag(spec.id, each.path, i, i, each) for i, each in enumerate(spec.tags))
    requests = plan_requests(channel, Device(spec.id, channel.id, spec, tags), tags)
    assert len(requests) <= 4
    assert sorted(tag.path for request in requests for tag in request.block.tags) == sorted(t.path for t in tags)
