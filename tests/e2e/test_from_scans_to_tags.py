"""From `scan` over `add` and `browse` to tags that are read, for each protocol with its real counterpart."""

from __future__ import annotations

import json

import pytest

from tests.support.bluez import BTHOME, BTHOME_DATA, RUUVI_DATA
from tests.support.eventually import wait_until
from tests.support.mqtt_device import MqttDevice
from tests.support.opcua_process import PlantProcess
from tests.support.parts import require
from tests.support.ports import free_port

HALL, FREEZER = "AA:BB:CC:00:00:02", "AA:BB:CC:00:00:03"


@pytest.fixture
def gateway(make_gateway):
    made = make_gateway()
    made.write_main(uplinks={})
    return made


@pytest.fixture
def plant():
    require("asyncua")
    made = PlantProcess(10)
    yield made
    made.close()


def values(gateway):
    return {f"{row['device']}.{row['tag']}": row["value"] for row in gateway.ask("tags")["tags"]}


def qualities(gateway, *names):
    rows = {f"{row['device']}.{row['tag']}": row["quality"] for row in gateway.ask("tags")["tags"]}
    return {rows.get(name) for name in names}


def test_an_opc_ua_server_is_scanned_added_browsed_and_its_nodes_are_picked(gateway, plant):
    gateway.start()
    offered = gateway.cli("scan", "opcua", plant.url)
    assert (offered.code, "anonymous" in offered.out) == (0, True)
    assert gateway.cli("add", "opcua", plant.url, "--channel", "plant", "--name", "press", "--write").code == 0
    assert gateway.cli("apply").code == 0
    answer = gateway.cli("browse", plant.url, "--json")
    items = [json.loads(line) for line in answer.out.splitlines()]
    assert {item["path"] for item in items} >= {"Line", "Line/Speed", "Line/Bulk/N0009"}
    words = ["browse", "plant", "--add", "press", "--pick", "Line/Sp*", "--pick", "*/N000?"]
    assert gateway.cli(*words, "--write").code == 0
    assert "nothing to change" in gateway.cli(*words).out
    gateway.cli("confirm")
    assert gateway.cli("apply").code == 0
    wait_until(
        lambda: qualities(gateway, "press.Speed", "press.N0009") == {"good"}, 20, why=lambda: str(values(gateway))
    )
    assert len(values(gateway)) == 12


def test_a_broker_is_scanned_and_a_topic_becomes_a_device(gateway, broker):
    device = MqttDevice(broker.port, "boiler")
    try:
        gateway.start()
        device.publish("plant/boiler/state", {"water": {"temp": 71.5}, "pump": True}, retain=True)
        seen = gateway.cli("scan", "mqtt", broker.url, "--topic", "plant/#", "--for", "1s")
        assert (seen.code, "plant/boiler/state" in seen.out) == (0, True)
        words = ["add", "mqtt", broker.url, "--topic", "plant/boiler/state", "--for", "1s", "--channel", "broker"]
        assert gateway.cli(*words, "--write").code == 0
        assert gateway.cli("apply").code == 0
        wait_until(lambda: values(gateway).get("boiler.water_temp") == 71.5, 20, why=lambda: str(values(gateway)))
        assert values(gateway)["boiler.pump"] is True
        again = gateway.ask("command", "rescan", "channel=broker", "--args", '{"options": {"for": 1}}')
        assert [row["topic"] for row in again["out"]["found"]] == ["plant/boiler/state"]
    finally:
        device.close()


def test_a_radio_is_scanned_and_what_it_hears_becomes_devices(bluetooth, make_gateway):
    bluetooth.device(HALL, name="hall", service={BTHOME: BTHOME_DATA})
    bluetooth.device(FREEZER, name="Ruuvi 884F", manufacturer={str(0x0499): RUUVI_DATA}, type="random")
    gateway = make_gateway(env=bluetooth.env)
    gateway.write_main(uplinks={})
    gateway.start()
    heard = gateway.cli("scan", "ble", "hci0", "--for", "2s", "--filter", "hall")
    assert (heard.code, HALL in heard.out, FREEZER in heard.out) == (0, True, False), heard
    assert gateway.cli("add", "ble", HALL, "--for", "2s", "--write").code == 0
    before = {file: file.read_text() for file in gateway.config.rglob("*.yaml")}
    early = gateway.cli("add", "ble", "AA:BB:CC:00:00:09", "--for", "1s", "--write")
    assert early.code == 1
    assert "fieldpost apply first" in early.err
    assert {file: file.read_text() for file in gateway.config.rglob("*.yaml")} == before
    channel = "watch: {ruuvi: {match: {name: 'Ruuvi *'}}}\n"
    path = gateway.config / "channels/ble.yaml"
    path.write_text(path.read_text() + channel)
    assert gateway.cli("apply").code == 0
    wait_until(lambda: qualities(gateway, "hall.temperature") == {"good"}, 20, why=lambda: str(values(gateway)))
    wait_until(lambda: FREEZER in gateway.cli("discovered").out, 20, why="it is heard")
    assert gateway.cli("discovered", "approve", FREEZER, "--as", "freezer").code == 0
    wait_until(lambda: qualities(gateway, "freezer.temperature") == {"good"}, 20, why=lambda: str(values(gateway)))


def test_who_cannot_be_reached_is_told_with_the_reason_and_words_of_another_protocol_are_refused(gateway):
    gateway.start()
    port = free_port()
    for words in (["mqtt", f"mqtt://127.0.0.1:{port}", "--for", "1s"], ["opcua", f"opc.tcp://127.0.0.1:{port}"]):
        failed = gateway.cli("scan", *words)
        assert failed.code == 1
        assert len(failed.err.splitlines()) == 1
        assert "refused" in failed.err.lower() or "connect" in failed.err.lower(), failed.err
    assert gateway.cli("scan", "opcua", f"opc.tcp://127.0.0.1:{port}", "--units", "3").code == 2
    assert gateway.cli("scan", "mqtt").code == 2
    assert gateway.cli("add", "ble", HALL, "--unit", "3").code == 2
    assert gateway.cli("browse", "gopher://x").code == 2
    assert gateway.cli("browse", "x", "--pick", "a").code == 2
    assert gateway.cli("add", "system", "--write").code == 0
    assert gateway.cli("apply").code == 0
    wait_until(
        lambda: qualities(gateway, "gateway.cpu/usage", "gateway.disk/free") == {"good"}, 20, why="its own machine"
    )
