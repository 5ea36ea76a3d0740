"""Bluetooth devices through the installed gateway, with real bleak and a BlueZ on a private bus."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.local.client import Client, OpError
from tests.support.bluez import BTHOME, BTHOME_DATA, RUUVI_DATA, TEMPERATURE, thermometer
from tests.support.eventually import wait_until

HALL, ENV, FREEZER = "AA:BB:CC:00:00:02", "AA:BB:CC:00:00:01", "AA:BB:CC:00:00:03"
CHANNEL = f"""
driver: ble
adapter: hci0
timeout: 5s
devices:
  hall:
    address: "{HALL}"
    kind: bthome
    away_after: 2s
    interval: 100ms
    tags:
      temperature: {{address: bthome/temperature, type: float64, unit: °C}}
      battery: {{address: battery, type: uint16, unit: "%"}}
      rssi: {{address: rssi, type: int16}}
  env:
    address: "{ENV}"
    kind: gatt
    away_after: 2s
    interval: 200ms
    tags:
      t: {{address: "gatt/2a6e", type: int16, scale: 0.01, access: rw}}
      h: {{address: "gatt/181a/2a6f", type: uint16, scale: 0.01, notify: true}}
"""


def world(bluetooth):
    """A thermometer whose humidity notifies, and two beacons."""
    device = thermometer()
    temperature, humidity = device["gatt"][0]["characteristics"]
    temperature["period"] = 0
    humidity.update(flags=["read", "notify"], period=0.1)
    bluetooth.device(ENV, **device)
    bluetooth.device(HALL, name="hall", service={BTHOME: BTHOME_DATA})
    bluetooth.device(FREEZER, name="Ruuvi 884F", manufacturer={str(0x0499): RUUVI_DATA}, type="random")


def rows(gateway):
    return {f"{row['device']}.{row['tag']}": row for row in gateway.ask("tags")["tags"]}


def all_good(gateway):
    return all(row["quality"] == "good" for row in rows(gateway).values())


def descriptors(gateway):
    return len(os.listdir(Path(f"/proc/{gateway.pid}/fd")))


def test_a_radio_from_its_file_to_values_writes_and_a_scan(bluetooth, make_gateway):
    world(bluetooth)
    gateway = make_gateway(env=bluetooth.env)
    gateway.write_main(uplinks={})
    gateway.write("channels/radio.yaml", CHANNEL)
    gateway.start()
    wait_until(lambda: all_good(gateway), 15, why="all good")
    shown = rows(gateway)
    assert (shown["hall.temperature"]["value"], shown["hall.battery"]["value"]) == (25.06, 100)
    humidity = shown["env.h"]["value"]
    wait_until(lambda: rows(gateway)["env.h"]["value"] > humidity + 0.02, 10, why="notifications come")

    written = gateway.cli("write", "env.t=-12.34")
    assert written.code == 0 and "yes" in written.out.splitlines()[1], "written and read back"
    assert bluetooth.characteristic(ENV)["written"] == [["2efb", "request"]]
    assert gateway.ask("read", "env.t")["tags"][0]["value"] == -12.34
    refused = gateway.cli("write", "env.h=5")
    assert refused.code != 0 and "read-only" in refused.out

    with Client(gateway.state / "fieldpost.sock") as client:
        rows_seen = list(client.stream("scan", {"channel": "radio", "options": {"seconds": 1}}))
        with pytest.raises(OpError, match="no option"):
            list(client.stream("scan", {"channel": "radio", "options": {"units": "1-3"}}))
    found = {row["address"]: row for row in rows_seen if "address" in row}
    assert {"done": 1, "of": 1} in rows_seen
    ruuvi = found[FREEZER]
    assert (ruuvi["kind"], ruuvi["name"], ruuvi["rssi"]) == ("ruuvi", "Ruuvi 884F", -60)
    assert ruuvi["values"]["temperature"] == 24.3
    assert ruuvi["keys"] == {"address": FREEZER, "kind": "ruuvi"}
    assert found[HALL]["device"] == "hall"


def test_a_scan_of_an_adapter_that_no_channel_has(bluetooth, make_gateway):
    world(bluetooth)
    gateway = make_gateway(env=bluetooth.env)
    gateway.write_main(uplinks={})
    gateway.start()
    with Client(gateway.state / "fieldpost.sock") as client:
        for _ in range(2):
            options = {"seconds": 1, "name": "884f"}
            rows = list(client.stream("scan", {"driver": "ble", "settings": {"adapter": "hci0"}, "options": options}))
            assert {row["address"] for row in rows if "address" in row} == {FREEZER}
    wait_until(lambda: not bluetooth.look()["scanning"], 10, why="the scan has ended with whoever asked")


def test_a_device_a_daemon_and_the_bus_go_and_come_back_in_one_process(bluetooth, make_gateway):
    world(bluetooth)
    gateway = make_gateway(env=bluetooth.env)
    gateway.write_main(uplinks={})
    gateway.write("channels/radio.yaml", CHANNEL)
    gateway.start()
    wait_until(lambda: all_good(gateway), 15, why="all good")
    pid = gateway.pid
    wait_until(lambda: "ready" in gateway.log(), 5, why="ready")
    before = descriptors(gateway)
    for address in (HALL, ENV):
        bluetooth.ask("vanish", address=address)
    wait_until(lambda: {row["quality"] for row in rows(gateway).values()} == {"bad/comm"}, 15, why="away")
    for address in (HALL, ENV):
        bluetooth.ask("return", address=address)
    wait_until(lambda: all_good(gateway), 15, why="back")

    bluetooth.stop_bus()
    wait_until(lambda: any(row["id"] == "bluetooth_away" for row in gateway.issues()), 15, why="an issue")
    wait_until(lambda: {row["quality"] for row in rows(gateway).values()} == {"bad/comm"}, 15, why="away")
    bluetooth.start()
    wait_until(lambda: all_good(gateway), 40, why="back after the bus")
    wait_until(
        lambda: not any(row["id"] == "bluetooth_away" for row in gateway.issues()), 10, why="the issue has ended"
    )
    assert gateway.pid == pid and gateway.process.alive
    wait_until(lambda: descriptors(gateway) <= before, 10, why="descriptors are given back")
    assert gateway.cli("write", "env.t=1").code == 0
    assert bluetooth.characteristic(ENV, TEMPERATURE)["value"] == "6400"
    assert gateway.stop() == 0
    assert bluetooth.look()["connected"] == 0, "a connection was left open"
