"""FL-62: files of EdgeX run as they are, and a device built from the file gives what a reader of the file expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.edgex_device import fill
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.modbus_peer import serial_peer, tcp_peer
from tests.support.parts import EDGEX_FILES, require
from tests.support.serial_line import joined_ports

CASES = Path(__file__).parents[2] / "cases/imports/edgex"
PROFILE, STRINGS, DEVICES = (
    *("modbus.test.device.profile.yml", "modbus.test.device.string.profile.yml", "modbus.test.devices.yaml"),
)


def start(gateway: Gateway, profiles: list[str], devices: str, **more: Any) -> None:
    """A configuration of foreign files only, beside the identity."""
    gateway.write(
        "gateway.yaml",
        {
            "gateway": {"id": "gw"},
            "clock": {"trust": "always"},
            "store": {"path": str(gateway.state)},
            "imports": {"interval": "200ms"},
            **more,
        },
    )
    for number, text in enumerate(profiles):
        gateway.write(f"profiles/p{number}.yml", text)
    gateway.write("channels/devices.yml", devices)
    gateway.start()


def rows(gateway: Gateway, device: str) -> dict[str, Any]:
    found = gateway.ask("tags", "--hidden")["tags"]
    return {row["tag"]: row for row in found if row["device"] == device}


def good(gateway: Gateway, device: str, wanted: dict[str, Any]) -> bool:
    found = rows(gateway, device)
    assert found.keys() == wanted.keys()
    assert all(row["quality"] == "good" for row in found.values()), found
    assert {tag: found[tag]["value"] for tag in wanted} == {
        tag: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value for tag, value in wanted.items()
    }
    return True


def test_fl_62_modbus_files_run_as_they_are_over_tcp_and_over_a_serial_line(gateway: Gateway, seed: int) -> None:
    require("edgex-vectors", "pymodbus")
    texts = {name: (EDGEX_FILES / name).read_text() for name in (PROFILE, STRINGS, DEVICES)}
    main, strings = (yaml.safe_load(texts[name]) for name in (PROFILE, STRINGS))
    tcp, readings = fill(main, seed)
    words, texts_read = fill(strings, seed + 1)
    # one unit: the two devices of the file are one box. Where their registers meet, the texts have them
    both = {table: tcp.get(table, {}) | words.get(table, {}) for table in {*tcp, *words}}
    serial, over_line = fill(main, seed + 2)
    with (
        tcp_peer({1: both}) as peer,
        joined_ports() as (ours, theirs),
        serial_peer(theirs, {1: serial}, 19_200),
    ):
        devices = texts[DEVICES].replace("1502", str(peer.port)).replace("/tmp/slave", ours)
        start(gateway, [texts[PROFILE], texts[STRINGS]], devices)
        wait_until(lambda: good(gateway, "Modbus-RTU-test-device", over_line), 20)
        assert not {*tcp.get("holding", {})} & {*words["holding"]}
        wait_until(lambda: good(gateway, "Modbus-TCP-test-device", readings), 20)
        wait_until(lambda: good(gateway, "Modbus-TCP-Read-String", texts_read), 20)
        shown = rows(gateway, "Modbus-TCP-test-device")
        assert shown["RoomTemperature"]["value"] == pytest.approx(readings["RoomTemperature"])

        def call(*words: str) -> Any:
            return gateway.ask("command", "call", "Modbus-TCP-test-device", *words)

        assert call("Switch", "SwitchA=ON", "SwitchB=OFF")["state"] == "done"
        assert (peer.read(1, "coil", 0), peer.read(1, "coil", 14)) == ([1], [0])
        assert call("HVACValues", "OperationMode=Heat", "FanSpeed=Top", "Temperature=25.1")["state"] == "done"
        assert peer.read(1, "holding", 1, 3) == [1, 0, 4]
        assert peer.read(1, "holding", 5) == [251], "rounded, not cut"
        read = call("HVACValues")["items"]
        assert {name: item["value"] for name, item in read.items()} == {
            "OperationMode": 1,
            "FanSpeed": 4,
            "Temperature": pytest.approx(25.1),
        }
        gateway.stop()


def test_files_of_our_own_of_the_same_shape_run_with_swaps_bits_and_events(gateway: Gateway, seed: int) -> None:
    require("pymodbus")
    profile, devices = ((CASES / name).read_text() for name in ("pump.profile.yaml", "pumps.devices.yaml"))
    tables, readings = fill(yaml.safe_load(profile), seed)
    with tcp_peer({3: tables}) as peer:
        devices = devices.replace("192.0.2.40, Port: 502", f"127.0.0.1, Port: {peer.port}")
        start(gateway, [profile], devices)
        wait_until(lambda: good(gateway, "skid-1", readings), 20)
        status = gateway.ask("devices", "skid-1")
        assert json.dumps(status).count("Control") >= 1
        assert gateway.ask("command", "call", "skid-1", "Control", "Run=ON")["state"] == "done"
        assert (peer.read(3, "coil", 3), peer.read(3, "holding", 21)) == ([1], [2]), "the default is sent with it"
        gateway.stop()
