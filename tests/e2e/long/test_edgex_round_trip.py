"""EdgeX files to a running gateway and back to EdgeX: OPC UA, MQTT, events, and transforms as EdgeX computes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.support.edgex_device import fill, hold
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.modbus_peer import tcp_peer
from tests.support.mosquitto import Broker
from tests.support.mqtt_device import MqttDevice
from tests.support.opcua_nodes import opcua_nodes
from tests.support.parts import EDGEX_FILES, EDGEX_VECTORS, require
from tests.support.sink import Sink
from tests.unit.edgexevents.edgex_schema import opened

MakeSink = Callable[..., Sink]
FLOAT = re.compile(r"-?[0-9](\.[0-9]+)?e[+-][0-9]{2,3}")


def start(gateway: Gateway, profile: str, devices: str, **more: Any) -> None:
    """A configuration of foreign files only, beside gateway.yaml."""
    main = {"gateway": {"id": "gw"}, "clock": {"trust": "always"}, "store": {"path": str(gateway.state)}}
    gateway.write("gateway.yaml", {**main, "imports": {"interval": "200ms"}, **more})
    gateway.write("profiles/profile.yml", profile)
    gateway.write("channels/devices.yml", devices)
    gateway.start()


def values(gateway: Gateway) -> dict[str, Any]:
    """Good values by tag."""
    found = gateway.ask("tags", "--hidden")["tags"]
    return {row["tag"]: row["value"] for row in found if row["quality"] == "good"}


def test_fl_62_the_opc_ua_files_read_and_write_the_nodes_that_they_name(gateway: Gateway) -> None:
    require("edgex-vectors", "asyncua")
    profile = (EDGEX_FILES / "OpcuaServer.profile.yaml").read_text()
    ids = {each["name"]: each["attributes"]["nodeId"] for each in yaml.safe_load(profile)["deviceResources"]}
    nodes = {ids["Constant"]: ("Double", 1.25), ids["Counter"]: ("Int32", 41), ids["Random"]: ("Double", -0.5)}
    with opcua_nodes(nodes) as server:
        devices = (EDGEX_FILES / "opcua.Simple-Devices.yaml").read_text()
        endpoint = yaml.safe_load(devices)["deviceList"][0]["protocols"]["opcua"]["Endpoint"]
        start(gateway, profile, devices.replace(endpoint, server.url))
        wait_until(lambda: values(gateway) == {"Constant": 1.25, "Counter": 41, "Random": -0.5}, 20)
        server.write(ids["Counter"], 42, "Int32")
        wait_until(lambda: values(gateway)["Counter"] == 42, 20)
        assert gateway.ask("command", "call", "SimulationServer", "ConstantNum", "Constant=7.5")["state"] == "done"
        assert server.read(ids["Constant"]) == 7.5
        assert gateway.cli("write", "SimulationServer.Counter=1").code != 0, "R in the profile"
        gateway.stop()


MQTT_DEVICE = """
deviceList:
  - name: my-custom-device
    profileName: Test-Device-MQTT-Profile
    protocols:
      mqtt: {Host: 127.0.0.1, Port: PORT, CommandTopic: command/my-custom-device}
"""


def test_fl_62_an_mqtt_device_that_publishes_as_those_of_edgex_do_is_read_and_written(
    gateway: Gateway, broker: Broker
) -> None:
    require("edgex-vectors")
    profile = (EDGEX_FILES / "mqtt.test.device.profile.yml").read_text()
    start(gateway, profile, MQTT_DEVICE.replace("PORT", str(broker.port)))
    device = MqttDevice(broker.port)
    try:
        root = "incoming/data/my-custom-device"
        document = {"randfloat32": 26.5, "randfloat64": "51.25", "message": "Hello"}

        def heard() -> bool:
            device.publish(f"{root}/allValues", document)
            device.publish(f"{root}/ping", "pong")
            device.publish(f"{root}/json", {"a": [1, 2]})
            return len(values(gateway)) == 5

        wait_until(heard, 20, every=0.3, why=lambda: str(values(gateway)))
        assert values(gateway) == {
            "randfloat32": 26.5,
            "randfloat64": 51.25,
            "message": "Hello",
            "ping": "pong",
            "json": {"a": [1, 2]},
        }
        device.publish(f"{root}/randfloat32", "27.5")
        device.publish(f"{root}/message", "alone")
        wait_until(lambda: values(gateway)["randfloat32"] == 27.5 and values(gateway)["message"] == "alone", 20)
        assert not [issue for issue in gateway.issues() if issue["id"] == "unreadable_payloads"]
        device.subscribe("command/my-custom-device/#")
        assert gateway.cli("write", "my-custom-device.randfloat32=12.5").code == 0
        wait_until(lambda: device.commands, 20)
        topic, payload = device.commands[0]
        assert re.fullmatch("command/my-custom-device/randfloat32/set/[^/]+", topic)
        assert json.loads(payload) == {"randfloat32": 12.5}
        assert gateway.cli("write", "my-custom-device.randfloat32=101").code != 0, "above the profile's maximum"
    finally:
        device.close()


def events(sink: Sink, device: str) -> list[dict[str, Any]]:
    found = (opened(message.topic, message.payload) for message in sink.messages if "/events/" in message.topic)
    return [event for event in found if event["deviceName"] == device]


def latest(sink: Sink, device: str) -> dict[str, dict[str, Any]]:
    """The last reading of each resource."""
    return {reading["resourceName"]: reading for event in events(sink, device) for reading in event["readings"]}


def test_fl_67_edgex_files_come_back_as_events_with_edgexs_names_types_units_and_values(
    gateway: Gateway, broker: Broker, make_sink: MakeSink, seed: int
) -> None:
    require("edgex-vectors", "pymodbus")
    text = (EDGEX_FILES / "modbus.test.device.profile.yml").read_text()
    profile = yaml.safe_load(text)
    profile["deviceResources"][5]["properties"]["units"] = "degC"
    text = text.replace('readWrite: "R"\n    scale: 0.1', 'readWrite: "R"\n    units: degC\n    scale: 0.1')
    device = yaml.safe_load((EDGEX_FILES / "modbus.test.devices.yaml").read_text())["deviceList"][0]
    device["name"] = "Room 7"
    device["autoEvents"][0]["interval"] = "300ms"
    tables, readings = fill(profile, seed)
    sink = make_sink(broker.port, client_id="core-data", topic="edgex/#", root="edgex")
    with tcp_peer({1: tables}) as peer:
        device["protocols"]["modbus-tcp"] |= {"Address": "127.0.0.1", "Port": peer.port}
        start(
            gateway,
            text,
            yaml.safe_dump({"deviceList": [device]}),
            uplinks={"edgex": {"urls": [broker.url], "codec": "edgex"}},
        )
        wait_until(lambda: latest(sink, "Room 7").keys() == readings.keys(), 20, why=lambda: str(sink.messages[-1:]))
        gateway.stop()
    found = latest(sink, "Room 7")
    for resource in profile["deviceResources"]:
        reading, wanted = found[resource["name"]], readings[resource["name"]]
        kind = resource["properties"]["valueType"]
        assert reading["valueType"] == kind
        assert reading["profileName"] == profile["name"]
        assert reading.get("units", "") == resource["properties"].get("units", "")
        if kind.startswith("Float"):
            assert FLOAT.fullmatch(reading["value"])
            assert float(reading["value"]) == pytest.approx(wanted, rel=1e-6)
        else:
            assert reading["value"] == (str(wanted).lower() if kind == "Bool" else str(wanted))
    sources = {event["sourceName"] for event in events(sink, "Room 7")}
    assert "HVACValues" in sources


def vector_profile(vectors: list[dict[str, Any]]) -> dict[str, Any]:
    """A resource for each vector, two registers apart."""
    resources = []
    for number, vector in enumerate(vectors):
        attributes = {"primaryTable": "HOLDING_REGISTERS", "startingAddress": 4 * number}
        if "rawType" in vector:
            attributes["rawType"] = vector["rawType"]
        factors = {key: vector[key] for key in ("mask", "shift", "base", "scale", "offset") if key in vector}
        properties = {"valueType": vector["valueType"], "readWrite": "R", **factors}
        resources.append({"name": f"v{number}", "attributes": attributes, "properties": properties})
    return {"name": "Vectors", "deviceResources": resources}


@pytest.mark.parametrize("strict", [True, False])
def test_fl_29_every_vector_through_a_real_device_and_out_again(
    gateway: Gateway, broker: Broker, make_sink: MakeSink, strict: bool
) -> None:
    require("edgex-vectors", "pymodbus")
    vectors = json.loads(EDGEX_VECTORS.read_text())["vectors"]
    profile = vector_profile(vectors)
    tables: dict[str, dict[int, int]] = {}
    for resource, vector in zip(profile["deviceResources"], vectors, strict=True):
        hold(tables, resource, vector["raw"])
    sink = make_sink(broker.port, client_id="core-data", topic="edgex/#", root="edgex")
    with tcp_peer({1: tables}) as peer:
        block = {"Address": "127.0.0.1", "Port": peer.port, "UnitID": 1, "Timeout": 5}
        device = {"name": "d", "profileName": "Vectors", "protocols": {"modbus-tcp": block}}
        start(
            gateway,
            yaml.safe_dump(profile),
            yaml.safe_dump({"deviceList": [device]}),
            imports={"interval": "300ms", "strict_edgex": strict},
            uplinks={"edgex": {"urls": [broker.url], "codec": "edgex"}},
        )
        numbers = {f"v{number}": vector["edgex" if strict else "want"] for number, vector in enumerate(vectors)}
        sent = {name: want for name, want in numbers.items() if strict or not isinstance(want, str)}
        wait_until(lambda: latest(sink, "d").keys() >= sent.keys(), 20, why=lambda: str(latest(sink, "d").keys()))
        rows = {row["tag"]: row for row in gateway.ask("tags")["tags"]}
        gateway.stop()
    found = latest(sink, "d")
    for name, want in numbers.items():
        check(vectors[int(name[1:])], want, rows[name], found.get(name, {}), strict=strict)


def check(vector: dict[str, Any], want: Any, row: dict[str, Any], reading: dict[str, Any], *, strict: bool) -> None:
    """A vector's tag and its reading in the last event."""
    if want == "String:overflow":
        assert (row["quality"], row["value"]) == ("bad/range", None), vector
        assert (reading["valueType"], reading["value"]) == ("String", "overflow"), vector
    elif isinstance(want, str):  # a correct gateway may choose, but never tell another number
        wider = vector["base"] ** vector["raw"] if "base" in vector else vector["raw"] + vector["offset"]
        assert row["quality"] != "good" or row["value"] == wider, vector
    else:
        assert float(reading["value"]) == pytest.approx(want, rel=1e-6), vector
        assert row["value"] == pytest.approx(want, rel=1e-6), vector
        assert not strict or reading["valueType"] == vector["valueType"], vector
