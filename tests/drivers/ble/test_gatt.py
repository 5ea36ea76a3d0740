"""Connections: shared, polled, notified, written, asked; what a device refuses."""

from __future__ import annotations

import asyncio

import pytest

from drivers.ble.settings import TagSettings
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused, WriteRejected
from gateway.model import Tag, TagSpec, ValueType
from tests.drivers.ble.kit import channel_of, running, until
from tests.support.bluez import BATTERY, BATTERY_SERVICE, HUMIDITY, TEMPERATURE, thermometer

ENV = "AA:BB:CC:00:00:01"
OTHER = "0000181b-0000-1000-8000-00805f9b34fb"
DEVICE = """
  {id}:
    address: "{address}"
    kind: gatt
    interval: {interval}
    tags:
      t: {{address: "gatt/181a/2a6e", type: int16, scale: 0.01, access: rw}}
"""


def channel(*tags: str, head: str = "", device: str = ""):
    return channel_of(
        f"driver: ble\ntimeout: 3s\n{head}\ndevices:\n  d:\n    address: '{ENV}'\n    kind: gatt\n    interval: 100ms\n"
        f"    {device}\n    tags:\n" + "".join(f"      {tag}\n" for tag in tags)
    )


def tag_of(context, path):
    return context.devices[0].tag(path)


async def test_polled_devices_take_turns_on_few_connections(radio):
    addresses = [f"AA:BB:CC:00:01:0{number}" for number in range(6)]
    for address in addresses:
        radio.device(address, **thermometer())
    text = "driver: ble\ntimeout: 3s\nconnections: 2\ndevices:\n" + "".join(
        DEVICE.format(id=f"d{number}", address=address, interval="300ms") for number, address in enumerate(addresses)
    )
    async with running(channel_of(text)) as (driver, context):

        def polls():
            names = [tag.name for batch in context.batches for tag in batch.tags]
            return [names.count(f"d{number}.t") for number in range(6)]

        await until(lambda: min(polls()) >= 4, why=f"each had its turns: {polls()}")
        assert max(polls()) <= min(polls()) + 6, polls()
        look = radio.look()
        assert look["most_connected"] == 2 and look["most_connecting"] == 1, look
        assert not driver.counters()["connect_failures"]
        assert {state for _, state in context.states} == {"online"}
    assert radio.look()["connected"] == 0


async def test_one_characteristic_that_is_refused_or_missing_leaves_the_others(radio):
    world = thermometer()
    world["gatt"].append({"uuid": OTHER, "characteristics": [{"uuid": HUMIDITY, "flags": ["read"], "value": "0100"}]})
    world["gatt"][0]["characteristics"].append({"uuid": BATTERY, "flags": ["write"], "value": "00"})
    radio.device(ENV, **world)
    spec = channel(
        "t: {address: gatt/2a6e, type: int16}",
        "both: {address: gatt/2a6f, type: uint16}",
        "first: {address: gatt/181a/2a6f, type: uint16}",
        "second: {address: 'gatt/2a6f#2', type: uint16}",
        "none: {address: gatt/2a00, type: uint16}",
        "deaf: {address: 'gatt/2a19:uint8', type: uint16}",
        "mute: {address: gatt/181a/2a6f, type: uint16, notify: true}",
    )
    async with running(spec) as (_, context):
        await until(lambda: len(context.latest()) == 7 and len(context.batches) > 12, why="polled")
        rows = {name[2:]: (value, quality.text) for name, (value, quality) in context.latest().items()}
        assert rows["first"] == (5055, "good") and rows["second"] == (1, "good")
        assert rows["t"][1] == "good"
        for path, words in (
            ("both", "in several services"),
            ("none", "no characteristic"),
            ("deaf", "refused"),
            ("mute", ""),
        ):
            assert rows[path] == (None, "bad/config"), path
            assert words in context.remarks[f"d.{path}"]
        assert context.states == [("d", "online")]
        names = [tag.path for batch in context.batches for tag in batch.tags]
        assert names.count("none") == 1, "told once"


async def test_writes_of_whole_values_of_fields_and_of_bits(radio):
    world = thermometer()
    world["gatt"][0]["characteristics"] += [
        {"uuid": BATTERY, "flags": ["read", "write-without-response"], "value": "0102030405"},
    ]
    world["gatt"][0]["characteristics"][0]["period"] = 0
    radio.device(ENV, **world)
    spec = channel(
        "t: {address: gatt/2a6e, type: int16, scale: 0.01, access: rw}",
        "field: {address: 'gatt/2a19+1:uint16be', type: uint16, access: rw}",
        "bits: {address: 'gatt/2a19+0.4-7', type: uint16, access: rw}",
        "h: {address: gatt/2a6f, type: uint16, access: rw}",
    )
    async with running(spec) as (driver, context):
        device = context.devices[0]
        await until(lambda: len(context.latest()) == 4, why="polled")
        await driver.write(device, tag_of(context, "t"), -5.5)
        assert radio.characteristic(ENV)["written"] == [["dafd", "request"]]
        assert [each.values for each in await driver.ask(device, [tag_of(context, "t")])] == [[-5.5]]
        await driver.write(device, tag_of(context, "field"), 0xABCD)
        await driver.write(device, tag_of(context, "bits"), 9)
        assert [row for row, _ in radio.characteristic(ENV, BATTERY)["written"]] == ["01abcd0405", "91abcd0405"]
        assert {kind for _, kind in radio.characteristic(ENV, BATTERY)["written"]} == {"command"}
        with pytest.raises(RequestRefused):
            await driver.write(device, tag_of(context, "h"), 5)
        with pytest.raises(WriteRejected):
            await driver.write(device, tag_of(context, "t"), 1000.0)
        assert driver.counters()["gatt_writes"] == 3


async def test_reads_on_demand_and_of_addresses_that_nobody_configured(radio):
    world = thermometer()
    world["gatt"].append(
        {"uuid": BATTERY_SERVICE, "characteristics": [{"uuid": BATTERY, "flags": ["read"], "value": "55"}]}
    )
    radio.device(ENV, **world, manufacturer={"1": "0a0b"})
    spec = channel("t: {address: gatt/2a6e, type: int16, on_demand: true}", "rssi: {address: rssi, type: int16}")
    async with running(spec) as (driver, context):
        device = context.devices[0]
        await until(lambda: "d.rssi" in context.latest(), why="heard")

        async def ask(**addresses):
            tags = [
                Tag("d", path, -1, 0, TagSpec(path, ValueType.UINT16, TagSettings(address=address)))
                for path, address in addresses.items()
            ]
            return await driver.ask(device, tags)

        assert [each.values for each in await driver.ask(device, [tag_of(context, "t")])] == [[0x09CA]]
        found = await ask(level="battery", name="manufacturer/1+0:uint16be", none="gatt/2a00")
        heard, read = found
        assert (heard.values, heard.index, heard.quality) == ([0x0A0B], [1], None)
        assert (read.values, read.index, read.quality) == ([0x55, None], [0, 2], [0, 132])
        assert heard.ts < read.ts, "an advert has its own time"
        with pytest.raises(RequestRefused, match="no characteristic"):
            await ask(none="gatt/2a00")
        with pytest.raises(RequestRefused, match="no address"):
            await ask(none="what")
        await asyncio.to_thread(radio.ask, "value", address=ENV, uuid=TEMPERATURE, hangs=True)
        with pytest.raises((DeviceUnavailable, LinkLost)):
            await ask(t="gatt/2a6e")


async def test_a_request_that_was_given_up_is_never_done_later(radio):
    radio.device(ENV, **thermometer(refuses=True))
    async with running(channel("t: {address: gatt/2a6e, type: int16, access: rw}")) as (driver, context):
        device = context.devices[0]
        await until(lambda: driver.counters()["connect_failures"], why="it refuses")
        with pytest.raises((DeviceUnavailable, LinkLost)):
            await driver.write(device, tag_of(context, "t"), 7)
        write = asyncio.ensure_future(driver.write(device, tag_of(context, "t"), 8))
        await asyncio.sleep(0.01)
        write.cancel()
        await asyncio.to_thread(radio.device, ENV, refuses=False)
        await until(lambda: "d.t" in context.latest(), why="connected")
        assert "written" not in radio.characteristic(ENV)


async def test_notifications_are_limited_and_begin_again_after_a_loss(radio):
    world = thermometer()
    world["gatt"][0]["characteristics"][0].update(period=0.01, value="0000")
    radio.device(ENV, **world)
    spec = channel("n: {address: 'gatt/2a6e:uint16', type: uint16, notify: true}")
    async with running(spec) as (driver, context):
        await until(lambda: driver.counters()["notifications"] > 100, why="many")
        told = [batch.values[0] for batch in context.batches]
        assert told == sorted(told)
        assert len(told) < driver.counters()["notifications"] / 4
        for _ in range(3):
            count = driver.counters()["connects"]
            await asyncio.to_thread(radio.ask, "drop", address=ENV)
            await until(lambda c=count: driver.counters()["connects"] > c, why="connected again")
            seen = driver.counters()["notifications"]
            await until(lambda s=seen: driver.counters()["notifications"] > s + 5, why="they come again")
        assert {state for _, state in context.states} == {"online"}


async def test_a_connection_that_a_dead_daemon_left_is_ended_and_made_anew(radio):
    radio.device(ENV, **thermometer(left=True))
    async with running(channel("t: {address: gatt/2a6e, type: int16}", head="connect_timeout: 60s")) as (
        driver,
        context,
    ):
        await until(lambda: "d.t" in context.latest(), 15, why="connected")
        assert driver.counters()["connects"] == 1
    assert radio.look()["connects"][ENV] >= 1


async def test_frames_show_what_goes_over_the_air(radio):
    radio.device(ENV, **thermometer(), manufacturer={"1": "0a0b"})
    async with running(channel("t: {address: gatt/2a6e, type: int16, access: rw}")) as (driver, context):
        frames = []
        driver.trace(frames.append)
        await until(lambda: "d.t" in context.latest(), why="polled")
        await driver.write(context.devices[0], tag_of(context, "t"), 258)
        await until(lambda: any("read" in frame.text for frame in frames), why="a read")
        assert any(frame.data.hex().startswith("05ff01000a0b") and "-60 dBm" in frame.text for frame in frames)
        assert [(frame.sending, frame.data.hex()) for frame in frames if "write" in frame.text] == [(True, "0201")]
        assert all(driver.owns_frame(context.devices[0], frame) for frame in frames)
        driver.trace(None)
