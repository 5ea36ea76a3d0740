"""Files of KubeEdge's own repositories in a running gateway, with devices made after them: what a reader of the files expects.

Only addresses are other ones (a port, a pseudo-terminal, paths of certificates); the Bluetooth files are taken as they are.
"""

from __future__ import annotations

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua.pki import Pki, self_signed
from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice
from tests.support.opcua_plant import PASSWORD, USER
from tests.support.opcua_process import PlantProcess
from tests.support.parts import KUBEEDGE_FILES, require
from tests.support.serial_line import Answer, SerialLine

SENSOR_TAG = "BC:6A:29:AE:CC:96"


def place(gateway, *names, **replaced):
    """Put files into the configuration: models into profiles/, devices into channels/. `replaced`: old text -> new."""
    require("kubeedge-files")
    for name in names:
        text = (KUBEEDGE_FILES / name).read_text()
        for old, new in replaced.get("texts", {}).items():
            text = text.replace(old, new)
        gateway.write(f"{'profiles' if 'model' in name else 'channels'}/{name}", text)


def rows(gateway, device):
    return {row["tag"]: row for row in gateway.ask("tags", device)["tags"]}


def read(gateway, name):
    (row,) = gateway.ask("read", name)["tags"]
    return row["value"]


@pytest.fixture
def field():
    made = [FieldDevice(), FieldDevice()]
    yield made
    for each in made:
        each.close()


class Coils:
    """A serial unit with coils, after the specification (Modbus Application Protocol V1.1b3, 6.1 and 6.5)."""

    def __init__(self, *on):
        self.on = set(on)

    def __call__(self, _unit, pdu):
        code, first, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if code == 5:
            (self.on.add if count == 0xFF00 else self.on.discard)(first)
            return Answer(pdu)
        if code != 1:
            return Answer(bytes((code | 0x80, 1)))
        bits = sum((first + n in self.on) << n for n in range(count))
        data = bits.to_bytes((count + 7) // 8, "little")
        return Answer(bytes((code, len(data))) + data)


def test_modbus_over_tcp_and_a_serial_line(make_gateway, field):
    thermometer, old = field
    thermometer.server.registers[1, 0] = 235
    thermometer.server.coils[1, 0] = False
    old.server.coils.update({(1, 0): True, (1, 3): False})
    serial = Coils(3)
    gateway = make_gateway()
    gateway.write_main(uplinks={})
    place(
        gateway, "v1beta1.modbus-temperature-model.yaml", "v1beta1.modbus-temperature-instance.yaml",
        texts={"5502": str(thermometer.port)},
    )  # fmt: skip
    place(
        gateway, "v1alpha2.modbus-device-model.yaml", "v1alpha2.modbustcp-device-instance.yaml",
        texts={"192.168.33.1": "127.0.0.1", "port: 502": f"port: {old.port}"},
    )  # fmt: skip
    with SerialLine(serial, units=(1,)) as line:
        texts = {"/dev/ttyS0": line.port, "parity: even": "parity: none"}  # a pseudo-terminal has none
        place(gateway, "v1alpha2.modbusrtu-device-instance.yaml", texts=texts)
        gateway.start()
        wait_until(lambda: (0, 0xFF00) in thermometer.writes(), 20, why="what is wanted is written once it is online")

        def good():
            devices = ("temperature-instance", "modbustcp-device", "modbusrtu-device")
            return all(row["quality"] == "good" for name in devices for row in rows(gateway, name).values())

        wait_until(good, 20, why="all are read")
        assert rows(gateway, "temperature-instance")["temperature"]["value"] == 23.5
        assert read(gateway, "temperature-instance.temperature-switch") == 1
        thermometer.server.registers[1, 0] = 0x10000 - 75
        assert read(gateway, "temperature-instance.temperature") == -7.5
        assert gateway.cli("write", "temperature-instance.temperature=41.2").code == 0
        assert thermometer.server.registers[1, 0] == 412
        assert gateway.cli("write", "temperature-instance.temperature=100.5").code != 0, "above the visitor's maximum"
        called = gateway.cli("command", "call", "temperature-instance", "SwitchControl", "temperature-switch=0")
        assert called.code == 0 and thermometer.server.coils[1, 0] is False, called

        assert {tag: row["value"] for tag, row in rows(gateway, "modbustcp-device").items()} == {
            "temperature": 1,
            "temperature-enable": 0,
        }
        assert gateway.cli("write", "modbustcp-device.temperature-enable=1").code == 0
        assert old.server.coils[1, 3] is True
        assert {tag: row["value"] for tag, row in rows(gateway, "modbusrtu-device").items()} == {
            "temperature": 0,
            "temperature-enable": 1,
        }
        assert gateway.cli("write", "modbusrtu-device.temperature=1").code == 0
        assert serial.on == {2, 3}
        assert gateway.stop() == 0


def certificates_of(folder, state):
    """A server that takes our certificate only, and its own in our trust list. Returns its words."""
    server = Pki(folder / "server")
    own = server.own("urn:plant.example:server", ["127.0.0.1"], name="Plant")
    (folder / "server/own.pem").write_bytes(own.key)  # asyncua reads keys with the suffix .pem only
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ours = self_signed(key, "urn:lamp", name="lamp")
    pem = serialization.Encoding.PEM
    (folder / "clientcert.pem").write_bytes(ours.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "clientkey.pem").write_bytes(secret)
    (folder / "clientkey.pem").chmod(0o600)
    (server.trusted / "lamp.der").write_bytes(ours.public_bytes(serialization.Encoding.DER))
    trusted = state / "opcua/trusted"
    trusted.mkdir(parents=True)
    certificate = x509.load_der_x509_certificate(own.certificate)
    (trusted / "servercert.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    return {"certificate": str(server.own_certificate), "key": str(folder / "server/own.pem"), "only": True, "trusted": str(server.trusted)}  # fmt: skip


def test_opc_ua_with_a_signed_connection_a_user_and_certificates(make_gateway, tmp_path):
    require("asyncua")
    gateway = make_gateway(env={"STATE_DIRECTORY": str(tmp_path / "gateway/state")})
    plant = PlantProcess(1, json.dumps(certificates_of(tmp_path, gateway.state)))
    try:
        plant.tell("node", "temperature", 2, 2, 21, "Int32")
        plant.tell("node", "switcher", 2, 3, False, "Boolean")
        gateway.write_main(uplinks={})
        texts = {
            "opc.tcp://192.168.56.103:4840": plant.url,
            "testuser": USER,
            "/ca/client": f"{tmp_path}/client",
        }
        place(gateway, "v1alpha2.opcua-model.yaml", "v1alpha2.opcua-device.yaml", texts=texts)
        waits = gateway.cli("check")
        assert waits.code == 0 and "not started: it needs credentials/lamp_password" in waits.out
        credential = gateway.config / "credentials/lamp_password"
        credential.parent.mkdir()
        credential.write_text(PASSWORD)
        credential.chmod(0o600)
        gateway.start()

        def values():
            return {tag: (row["value"], row["quality"]) for tag, row in rows(gateway, "lamp").items()}

        wait_until(
            lambda: values() == {"temperature": (21, "good"), "switcher": (False, "good")},
            30,
            why=lambda: f"{values()} {gateway.issues()}",
        )
        plant.tell("put", "temperature", -3)
        wait_until(lambda: values()["temperature"] == (-3, "good"), 10, why=lambda: str(values()))
        assert gateway.cli("write", "lamp.switcher=true").code == 0
        assert plant.tell("get", "switcher") is True
        assert gateway.cli("write", "lamp.temperature=5").code != 0, "it is read only"
        assert gateway.stop() == 0
    finally:
        plant.close()


def uuid(short):
    """Texas Instruments' own range."""
    return f"f000{short}-0451-4000-b000-000000000000"


def test_the_sensor_tag_with_its_files_as_they_are(bluetooth, make_gateway):
    def at(short, value):
        return {"uuid": uuid(short), "flags": ["read", "write"], "value": value, "period": 0}

    gatt = [
        {"uuid": uuid("aa00"), "characteristics": [at("aa01", "a00b"), at("aa02", "00")]},
        {"uuid": uuid("aa64"), "characteristics": [at("aa65", "02"), at("aa66", "01")]},
    ]
    bluetooth.device(SENSOR_TAG, name="SensorTag", uuids=[uuid("aa00")], gatt=gatt)
    gateway = make_gateway(env=bluetooth.env)
    gateway.write_main(uplinks={})
    place(gateway, "v1alpha2.CC2650-device-model.yaml", "v1alpha2.CC2650-device-instance.yaml")
    gateway.start()

    def values():
        return {tag: row["value"] for tag, row in rows(gateway, "sensor-tag-instance-01").items()}

    # bytes [1], [0] are 0x0ba0; two bits are flags; a step is 1/32 of a degree
    wanted = {
        "temperature": (0x0BA0 >> 2) * 0.03125,
        "temperature-enable": 0, "io-config-initialize": 1, "io-data-initialize": 2, "io-config": 1, "io-data": 2,
    }  # fmt: skip
    wait_until(lambda: values() == wanted, 30, why=lambda: str(values()))
    assert wanted["temperature"] == 23.25
    assert gateway.cli("write", "sensor-tag-instance-01.temperature-enable=ON").code == 0
    assert [data for data, _ in bluetooth.characteristic(SENSOR_TAG, uuid("aa02"))["written"]] == ["01"]
    assert gateway.cli("write", "sensor-tag-instance-01.io-data=Buzzer").code == 0
    assert [data for data, _ in bluetooth.characteristic(SENSOR_TAG, uuid("aa65"))["written"]] == ["04"]
    assert gateway.cli("write", "sensor-tag-instance-01.io-data=Trumpet").code != 0
    bluetooth.ask("value", address=SENSOR_TAG, uuid=uuid("aa01"), value="fc7f")
    wait_until(lambda: values()["temperature"] == (0x7FFC >> 2) * 0.03125, 15, why=lambda: str(values()))
    assert gateway.stop() == 0
