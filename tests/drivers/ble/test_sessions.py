"""Devices and Bluetooth itself come and go: nobody is restarted, nothing is left behind (FL-38)."""

from __future__ import annotations

import asyncio

import pytest

from drivers.ble import SPEC
from drivers.ble import driver as driver_module
from gateway.testing import examine
from tests.drivers.ble.kit import away, channel_of, descriptors, running, turns, until
from tests.support.bluez import BTHOME, BTHOME_DATA, TEMPERATURE, thermometer

HALL, ENV = "AA:BB:CC:00:00:02", "AA:BB:CC:00:00:01"
CHANNEL = """
driver: ble
timeout: 5s
devices:
  hall:
    address: "AA:BB:CC:00:00:02"
    kind: bthome
    interval: 100ms
    away_after: 1s
    tags: {temperature: {address: bthome/temperature, type: float64}, rssi: {address: rssi, type: int16}}
  env:
    address: "AA:BB:CC:00:00:01"
    kind: gatt
    interval: 100ms
    away_after: 1s
    tags:
      t: {address: "gatt/2a6e", type: int16, scale: 0.01, notify: true, access: rw}
      h: {address: "gatt/181a/2a6f", type: uint16, scale: 0.01}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses that a test can wait for."""
    monkeypatch.setattr(driver_module, "RETRY_FIRST_S", 0.1)
    monkeypatch.setattr(driver_module, "RETRY_CAP_S", 0.3)
    monkeypatch.setattr("drivers.ble.gatt.RETRY_FIRST_S", 0.05)
    monkeypatch.setattr("drivers.ble.gatt.RETRY_CAP_S", 0.2)


def good(context):
    rows = context.latest()
    return len(rows) == 4 and all(quality == 0 for _, quality in rows.values())


async def test_the_driver_keeps_the_contract(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA})
    radio.device(ENV, **thermometer())
    await asyncio.sleep(0)
    report = await examine(SPEC, channel_of(CHANNEL))
    assert report.findings == []
    assert {"run", "cancel-run", "leaks", "away-and-back", "looks"}.isdisjoint(report.skipped)
    assert radio.look()["connected"] == 0, "a connection was left open"
    assert radio.look()["filters"] in ({}, {"Transport": "le", "DuplicateData": True}), "steady beacons would be silent"
    assert not radio.look()["scanning"]


async def test_a_device_vanishes_and_returns_a_hundred_times(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA}, every=0.05)
    radio.device(ENV, **thermometer(), every=0.05)
    async with running(channel_of(CHANNEL.replace("away_after: 1s", "away_after: 10s"))) as (driver, context):
        await until(lambda: good(context), why="all good")
        await asyncio.sleep(0.3)
        before = descriptors(), len(asyncio.all_tasks())
        for number in range(100):
            connects = driver.counters()["connects"]
            await asyncio.to_thread(radio.ask, "vanish", address=ENV, forget=number % 3 == 0)
            await until(lambda: driver.counters()["connected"] == 0 or driver.counters()["disconnects"], why="gone")
            await asyncio.to_thread(radio.ask, "return", address=ENV)
            await until(lambda c=connects: driver.counters()["connects"] > c, why=f"connection {number}")
        await asyncio.sleep(0.5)
        await until(lambda: descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1], 5, "all given back")
        assert driver.counters()["disconnects"] >= 100
        assert ("env", "offline") not in {(name, state[:7]) for name, state in context.states}
        assert driver.counters()["faults"] == 0
    assert radio.look()["connected"] == 0


async def test_a_device_that_is_silent_is_away_once_and_comes_back(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA})
    radio.device(ENV, **thermometer())
    async with running(channel_of(CHANNEL)) as (_, context):
        await until(lambda: good(context), why="all good")
        for _ in range(2):
            for address in (HALL, ENV):
                await asyncio.to_thread(radio.ask, "vanish", address=address)
            await until(lambda: away(context) == {"hall", "env"}, why="both away")
            assert dict(context.states)["hall"] == "offline: not heard for 1 s"
            for address in (HALL, ENV):
                await asyncio.to_thread(radio.ask, "return", address=address)
            await until(lambda: not away(context), why="both back")
        there_and_back = ["online", "offline", "online", "offline", "online"]
        assert turns(context, "hall") == turns(context, "env") == there_and_back, context.states


async def test_the_bus_and_bluez_are_restarted(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA})
    radio.device(ENV, **thermometer())
    async with running(channel_of(CHANNEL.replace("away_after: 1s", "away_after: 30s"))) as (driver, context):
        await until(lambda: good(context), why="all good")
        await asyncio.sleep(0.3)
        before = descriptors(), len(asyncio.all_tasks())
        for number in range(6):
            sessions, count = driver.counters()["sessions"], driver.counters()["connects"]
            if number % 2:
                await asyncio.to_thread(radio.stop_bluez)
                await until(lambda: context.issues, why="an issue")
                assert "BlueZ" in str(context.issues) and "systemctl" in str(context.issues)
                await asyncio.to_thread(radio.start_bluez)
            else:
                await asyncio.to_thread(radio.stop_bus)
                await until(lambda: context.issues, why="an issue")
                assert "D-Bus" in str(context.issues)
                await asyncio.to_thread(radio.start)
            await until(
                lambda s=sessions, c=count: driver.counters()["sessions"] > s and driver.counters()["connects"] > c
            )
            await until(lambda: not context.issues, why="the issue has ended")
        await asyncio.sleep(0.5)
        await until(lambda: descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1], 5, "all given back")
        assert [name for name, _ in context.states if name == "hall"] == ["hall"], context.states
        assert driver.counters()["faults"] == 0


async def test_the_adapter_is_switched_off_and_unplugged(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA})
    radio.device(ENV, **thermometer())
    async with running(channel_of(CHANNEL.replace("away_after: 1s", "away_after: 1h"))) as (driver, context):
        await until(lambda: good(context), why="all good")
        await asyncio.to_thread(radio.ask, "power", on=False)
        await until(lambda: "bluetoothctl power on" in str(context.issues), why="the issue says what helps")
        await until(lambda: away(context) == {"hall", "env"}, why="both away")
        await asyncio.to_thread(radio.ask, "power", on=True)
        await until(lambda: not context.issues and context.linked, why="it goes on")
        count = len(context.states)
        await asyncio.to_thread(radio.ask, "unplug")
        await until(lambda: "adapter" in str(context.issues), why="the issue names the adapter")
        await until(lambda: "adapter" in context.link_lost, why="the link says why it is down")
        await until(lambda: {"hall", "env"} <= {n for n, s in context.states[count:] if "adapter" in s}, why="reason")
        await asyncio.to_thread(radio.ask, "adapter")
        await until(lambda: not context.issues and context.linked, why="it goes on")
        await until(lambda: context.states[-1][1] == "online", why="a device is back")
        assert driver.counters()["sessions"] >= 3


async def test_without_bluetooth_there_is_an_issue_and_nothing_grows(radio, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    async with running(channel_of(CHANNEL)) as (_, context):
        await until(lambda: "there is no D-Bus" in str(context.issues), why="the issue")
        await until(lambda: away(context) == {"hall", "env"}, why="both away")
        before = descriptors(), len(asyncio.all_tasks())
        await asyncio.sleep(1.5)
        await until(lambda: descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1], 5, "all given back")
        assert {state for _, state in context.states} == {"offline: there is no D-Bus to reach BlueZ by for 1 s"}
        assert len(context.states) == 2, "each device is told away once"
        for name, value in radio.env.items():
            monkeypatch.setenv(name, value)
        await until(lambda: not context.issues and context.linked, why="it goes on by itself")


@pytest.mark.parametrize("wanted", ["hci1", "00:00:00:00:00:02"])
async def test_an_adapter_that_is_not_there_is_named_with_those_that_are(radio, wanted):
    async with running(channel_of(CHANNEL.replace("timeout: 5s", f'timeout: 5s\nadapter: "{wanted}"'))) as (_, context):
        await until(lambda: f"no adapter {wanted}" in str(context.issues), why="the issue")
        assert "hci0 (00:00:00:00:00:01)" in str(context.issues)


async def test_a_passive_scan_and_where_bluez_has_none(radio):
    radio.device(HALL, service={BTHOME: BTHOME_DATA})
    text = CHANNEL.replace("timeout: 5s", "timeout: 5s\nscanning: passive")
    async with running(channel_of(text)) as (_, context):
        await until(lambda: "hall.temperature" in context.latest(), why="heard")
        assert radio.look()["passive"]
        assert not context.issues
    await asyncio.to_thread(radio.stop_bluez)
    radio._adapter = {"experimental": False}
    await asyncio.to_thread(radio.start_bluez)
    async with running(channel_of(text)) as (_, context):
        await until(lambda: "hall.temperature" in context.latest(), why="heard")
        await until(
            lambda: "--experimental" in str(context.issues), why="adverts may come before the scan is confirmed"
        )


async def test_a_connection_that_hangs_or_is_refused_is_given_up(radio):
    radio.device(ENV, **thermometer(never_resolves=True))
    text = CHANNEL.replace("timeout: 5s", "timeout: 5s\nconnect_timeout: 1s")
    async with running(channel_of(text)) as (driver, context):
        await until(lambda: driver.counters()["connect_failures"] >= 2, why="given up twice")
        await asyncio.to_thread(radio.device, ENV, never_resolves=False, refuses=True)
        count = driver.counters()["connect_failures"]
        await until(lambda: driver.counters()["connect_failures"] > count + 1, why="refused")
        before, count = descriptors(), driver.counters()["connect_failures"]
        await until(lambda: driver.counters()["connect_failures"] > count + 10, why="refused often")
        await until(lambda: descriptors() <= before, 5, "descriptors are given back")
        await asyncio.to_thread(radio.device, ENV, refuses=False)
        await until(lambda: "env.h" in context.latest(), why="it answers in the end")
        await asyncio.to_thread(radio.ask, "value", address=ENV, uuid=TEMPERATURE, period=0)
