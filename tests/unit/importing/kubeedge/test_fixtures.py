"""FL-63: the files of KubeEdge's own repositories, with no edit: each row of what must come out of them."""

from __future__ import annotations

from gateway.importing.draft import Options
from gateway.model import Access, ValueType
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from tests.unit.importing.kubeedge.kit import devices_of, draft_of, fixtures, notes_of, only_note, settings_of

TEMPERATURE = ("v1beta1.modbus-temperature-model.yaml", "v1beta1.modbus-temperature-instance.yaml")


def test_all_of_them_load_as_they_are_and_written() -> None:
    files = fixtures()
    assert len(files) == 13
    written, _ = settings_of(files)
    notes: list[object] = []
    tree = {"gateway.yaml": b"gateway: {id: x}\n", **{f"channels/{name}": raw for name, raw in files.items()}}
    loaded = load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None), heard=notes.extend)
    assert set(devices_of(loaded)) == set(devices_of(written)) == {
        "sensor-tag-instance-01", "modbusrtu-device", "modbustcp-device", "lamp", "counter-instance",
        "temperature-instance", "vled-instance-01",
    }  # fmt: skip
    assert len(notes) > 20
    assert [c.id for c in loaded.channels if not c.enabled] == ["opcua-192-168-56-103-4840", "stub-virtualProtocol"]


def test_a_modbus_thermometer_with_one_register_and_a_coil() -> None:
    settings, report = settings_of(fixtures(*TEMPERATURE))
    (channel,) = settings.channels
    assert (channel.driver, channel.settings.url) == ("modbus", "tcp://127.0.0.1:5502")
    (device,) = channel.devices
    tags = {tag.path: tag for tag in device.tags}
    temperature, switch = tags["temperature"], tags["temperature-switch"]
    assert (device.settings.unit_id, temperature.source.address, temperature.type) == (1, "holding/0", ValueType.INT16)
    assert (temperature.transform.scale, temperature.unit) == (0.1, "Celsius")
    assert (temperature.write.minimum, temperature.write.maximum) == (1.0, 100.0)
    assert "wins over 0 of the model" in only_note(report, "changed", "limit 1").text
    assert temperature.access is switch.access is Access.READ_WRITE
    assert (switch.source.address, switch.desired) == ("coil/0-0", 1)
    assert device.schedule.every_s == 10 and not temperature.local
    assert {command.name for command in device.commands} == {"SwitchControl", "UpdateTemperature"}


def test_what_has_no_driver_is_kept_and_not_started() -> None:
    draft, report = draft_of(fixtures("v1beta1.counter-model.yaml", "v1beta1.counter-instance.yaml"))
    channel = draft.channels["stub-virtualProtocol"]
    device = channel["devices"]["counter-instance"]
    assert channel["enabled"] is False
    assert {name: each["tags"] for name, each in device["commands"].items()} == {
        "UpdateStatus": ["status"],
        "SetCount": ["count"],
    }
    tags = draft.profiles["counter-model"]["tags"]
    assert tags["status"]["meta"]["imported.interval"] == "10s"
    assert tags["count"]["meta"] | {} == {
        "imported.name": "count",
        "imported.interval": "1s",
        "imported.report_every": "10s",
    }
    assert "virtualProtocol" in only_note(report, "warning", "no driver").text


def test_nanoseconds_of_an_old_sample_are_a_second_and_a_push_is_told() -> None:
    draft, report = draft_of(fixtures("v1beta1.vled-model.yaml", "v1beta1.vled-instance.yaml"))
    assert draft.profiles["vled-01"]["tags"]["status"]["meta"]["imported.interval"] == "1s"
    assert "nanoseconds, so 1s" in only_note(report, "guessed", "collectCycle").text
    push = only_note(report, "warning", "pushed")
    assert 'urls: ["mqtt://127.0.0.1:1883"]' in push.text and "uplinks" in push.text
    assert draft.channels["stub-virtualProtocol"]["devices"]["vled-instance-01"]["meta"]["imported.baudRate"] == "9600"


def test_old_modbus_samples_have_coils_without_swaps_and_five_seconds() -> None:
    names = [f"v1alpha2.{name}.yaml" for name in ("modbus-device-model", "modbustcp-device-instance")]
    settings, report = settings_of(fixtures(*names, "v1alpha2.modbusrtu-device-instance.yaml"))
    devices = devices_of(settings)
    tcp = {tag.path: tag for tag in devices["modbustcp-device"].tags}
    assert tcp["temperature"].source.address == "coil/0-0" and tcp["temperature"].type is ValueType.UINT8
    assert devices["modbustcp-device"].schedule.every_s == 5
    serial = next(channel for channel in settings.channels if channel.settings.serial)
    assert serial.settings.serial == {"port": "/dev/ttyS0", "line": "9600-8E1"}
    assert len([text for text in notes_of(report, "ignored") if "no effect on coils" in text]) == 8
    assert tcp["temperature-enable"].desired is None


def test_twins_of_a_cluster_seed_what_is_wanted_only_when_asked() -> None:
    names = [f"v1alpha2.{name}.yaml" for name in ("modbus-device-model", "modbustcp-device-instance")]
    settings, report = settings_of(fixtures(*names), Options(seed_shadow=True))
    tags = {tag.path: tag for tag in devices_of(settings)["modbustcp-device"].tags}
    assert tags["temperature-enable"].desired == 0
    assert tags["temperature"].desired is None
    assert not [text for text in notes_of(report) if "--seed-shadow" in text]


def test_opc_ua_has_credentials_and_certificates_by_reference() -> None:
    settings, report = settings_of(fixtures("v1alpha2.opcua-model.yaml", "v1alpha2.opcua-device.yaml"))
    (channel,) = settings.channels
    security = channel.settings.security
    assert (security.policy, security.mode) == ("Basic256Sha256", "Sign")
    assert security.certificate.endswith("/ca/clientcert.pem") and security.key.endswith("/ca/clientkey.pem")
    assert (channel.settings.identity.user, channel.settings.identity.password) == ("testuser", "secret lamp_password")
    draft, _ = draft_of(fixtures("v1alpha2.opcua-model.yaml", "v1alpha2.opcua-device.yaml"))
    assert "/ca/pass" not in str(draft.channels) and list(draft.credentials) == ["lamp_password"]
    assert "/ca/servercert.pem" in only_note(report, "warning", "trusted").text
    tags = {tag.path: tag for tag in channel.devices[0].tags}
    assert (tags["temperature"].type, tags["temperature"].access) == (ValueType.INT64, Access.READ)
    assert (tags["switcher"].type, tags["switcher"].access) == (ValueType.BOOL, Access.READ_WRITE)
    assert tags["switcher"].source.address == "ns=2;i=3"


def test_the_sensor_tag_reads_reversed_bytes_and_writes_words() -> None:
    settings, report = settings_of(
        fixtures("v1alpha2.CC2650-device-model.yaml", "v1alpha2.CC2650-device-instance.yaml")
    )
    (device,) = settings.channels[0].devices
    tags = {tag.path: tag for tag in device.tags}
    assert len(tags) == 6
    temperature = tags["temperature"]
    assert temperature.source.address == "gatt/f000aa01-0451-4000-b000-000000000000:uint16le"
    assert (temperature.transform.shift, temperature.transform.scale) == (2, 0.03125)
    assert dict(tags["temperature-enable"].labels) == {1: "ON", 0: "OFF"}
    assert [text for _, text in tags["io-data"].labels] == [
        "Red", "Green", "RedGreen", "Buzzer", "BuzzerRed", "BuzzerGreen", "BuzzerRedGreen",
    ]  # fmt: skip
    assert (device.settings.address, device.settings.kind) == ("BC:6A:29:AE:CC:96", "gatt")
    beside = [text for text in notes_of(report, "guessed") if "stands beside" in text]
    assert len(beside) == 3


def test_the_same_files_in_any_order_give_the_same_text() -> None:
    files = fixtures()
    one, _ = settings_of(files)
    other, _ = settings_of(dict(reversed(files.items())))
    assert one.hash == other.hash
