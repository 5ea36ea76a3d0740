"""How often a tag is reported, and with which time."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from drivers.ble.asking import heard_last
from drivers.ble.driver import BleDriver
from drivers.ble.station import Station, counters
from drivers.ble.strangers import MOST, MOST_NEWS, Strangers
from gateway.errors import DeviceUnavailable
from gateway.testing import FakeContext, ManualClock
from tests.drivers.ble.kit import advert_of, channel_of
from tests.support.parts import require

BEGIN = 1_800_000_000_000
ADDRESS = "AA:BB:CC:00:00:01"
CHANNEL = """
driver: ble
away_after: 10s
devices:
  d:
    address: "AA:BB:CC:00:00:01"
    interval: 2s
    tags:
      n: {address: "manufacturer/1+0:uint8", type: uint16}
      beat: {address: "manufacturer/1+1:uint8", type: uint16, heartbeat: 5s, on_change: true}
      rssi: {address: rssi, type: int16, interval: 4s}
"""


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock(BEGIN)
        self.context = FakeContext(channel_of(CHANNEL), self.clock)
        self.station = Station(self.context, self.context.devices[0], counters())
        self.station.watch()

    def hear(self, data: str, rssi: int = -60) -> None:
        raw = f"{len(bytes.fromhex(data)) + 3:02x}ff0100{data}"
        now = self.clock.wall_ms()
        self.station.heard(advert_of(raw, ts=now, mono=self.clock.mono(), rssi=rssi))

    def told(self, tag: str) -> list[tuple[int, object]]:
        rows = []
        for batch in self.context.batches:
            for each, value in zip(batch.tags, batch.values, strict=True):
                if each.path == tag:
                    rows.append((batch.ts - BEGIN, value))
        return rows


async def test_each_tag_has_its_interval_and_the_newest_value_with_its_own_time():
    rig = Rig()
    for number in range(40):
        rig.hear(f"{number:02x}01", rssi=-60 - number % 7)
        await rig.clock.advance(0.25)
    await rig.clock.advance(5)
    assert rig.told("n") == [(0, 0), (1750, 7), (3750, 15), (5750, 23), (7750, 31), (9750, 39)]
    assert [ts for ts, _ in rig.told("rssi")] == [0, 3750, 7750, 9750]
    assert rig.station.reporter.merged > 30
    rig.station.close()


async def test_the_same_data_is_no_reading_but_keeps_the_device_fresh_and_beats():
    rig = Rig()
    for _ in range(80):
        rig.hear("0501")
        await rig.clock.advance(0.25)
    assert rig.told("n") == [(0, 5)]
    beats = [ts for ts, _ in rig.told("beat")]
    assert beats[0] == 0 and len(beats) == 4 and all(b - a == 5000 for a, b in itertools.pairwise(beats))
    assert 15 <= len(rig.context.fresh_devices) <= 20
    rig.station.close()


async def test_silence_is_told_once_and_the_first_value_after_it_passes_at_once():
    rig = Rig()
    rig.hear("0101")
    await rig.clock.advance(0.5)
    rig.hear("0201")  # waits for the end of the interval
    await rig.clock.advance(60)
    assert rig.context.states == [("d", "online"), ("d", "offline: not heard for 10 s")]
    rig.hear("0201")
    assert rig.told("n") == [(0, 1), (500, 2), (60_500, 2)]
    assert rig.context.states[-1] == ("d", "online")
    rig.station.close()
    assert rig.clock.pending == 0, "a timer is left"


async def test_a_measurement_that_is_sent_no_more_is_stale_once_and_confirms_nothing_until_it_comes_again():
    require("bthome_ble")
    tags = "{t: {address: bthome/temperature, type: float64}, b: {address: bthome/battery, type: uint16}}"
    text = f"driver: ble\ndevices:\n  d: {{address: '{ADDRESS}', kind: bthome, interval: 1s, stale_after: 30s, tags: {tags}}}"
    clock = ManualClock(BEGIN)
    context = FakeContext(channel_of(text), clock)
    station = Station(context, context.devices[0], counters())
    hear = lambda data: station.heard(advert_of(data, ts=clock.wall_ms(), mono=clock.mono()))  # noqa: E731
    hear("0716d2fc4002ca09")
    for _ in range(60):
        await clock.advance(2)
        hear("0616d2fc400161")
    told = [
        (b.ts - BEGIN, v, b.quality)
        for b in context.batches
        for t, v in zip(b.tags, b.values, strict=True)
        if t.path == "t"
    ]
    assert told == [(0, 25.06, None), (30_000, None, [130])]
    assert context.remarks["d.t"] == "not in what the device sends since 2027-01-15 08:00:00 UTC"
    assert context.fresh_tags[0] == ["t"] and {*map(tuple, context.fresh_tags[1:])} == {("b",)}
    assert context.states == [("d", "online")]
    tag = context.devices[0].tag("t")
    assert heard_last(station, tag, station.decoder.addresses[0])[:2] == (None, 130)
    hear("0716d2fc4002ca09")
    assert context.batches[-1].values == [25.06] and "d.t" not in context.remarks
    station.close()
    assert clock.pending == 0


async def test_data_that_no_tag_is_in_is_told_with_what_there_is():
    rig = Rig()
    rig.station.heard(advert_of("05ff99050102", ts=rig.clock.wall_ms(), mono=rig.clock.mono()))
    assert (
        rig.context.remarks["d.n"]
        == "manufacturer/0x0001 is not in what the device sends; it sends manufacturer/0x0599"
    )
    assert "d.rssi" not in rig.context.remarks
    rig.station.close()


async def test_one_that_was_never_heard_is_away_too():
    rig = Rig()
    await rig.clock.advance(11)
    assert rig.context.states == [("d", "offline: not heard for 10 s")]
    rig.station.close()


async def test_a_replay_is_refused_over_a_restart_and_another_key_begins_anew():
    require("bthome_ble")
    text = """
driver: ble
devices:
  d:
    address: "54:48:E6:8F:80:A5"
    kind: bthome
    key: 231d39c1d7cc1ab1aee224cd096db932
    tags: {t: {address: bthome/temperature, type: float64}}
"""
    newer, older = (
        (Path(__file__).parent / "cases/bthome_encrypted/adverts.txt").read_text().splitlines()[row].split()[2]
        for row in (1, 0)
    )
    clock, memory = ManualClock(BEGIN), None
    told = []
    for data, key in ((newer, ""), (older, ""), (older, "f")):
        context = FakeContext(channel_of(text.replace("key: 2", f"key: {key or 2}")), clock)
        context.memory = memory or context.memory
        memory = context.memory
        counts = counters()
        station = Station(context, context.devices[0], counts)
        station.heard(advert_of(data, address="54:48:E6:8F:80:A5", ts=clock.wall_ms(), mono=clock.mono()))
        told.append((len(context.batches), counts["refused"], bool(context.issues)))
        station.close()
    assert told == [(1, 0, False), (0, 1, False), (0, 1, True)]
    assert "231d39" not in str(memory.items())


async def test_a_measurement_that_the_device_never_sends_is_said_with_those_it_sends():
    require("bthome_ble")
    tags = "{t: {address: bthome/temprature, type: float64}, h: {address: bthome/humidity, type: float64}}"
    text = f"driver: ble\ndevices:\n  d: {{address: '{ADDRESS}', kind: bthome, tags: {tags}}}\n"
    context = FakeContext(channel_of(text), ManualClock(BEGIN))
    station = Station(context, context.devices[0], counters())
    station.heard(advert_of("0716d2fc4002ca09", ts=BEGIN, mono=0.0))
    assert set(context.remarks) == {"d.t", "d.h"}
    station.heard(advert_of("0716d2fc4003bf13", ts=BEGIN, mono=1.0))
    assert context.remarks == {"d.t": "'temprature' is not in what the device sends; it sends humidity, temperature"}
    station.close()


async def test_a_tag_on_demand_waits_until_it_is_asked():
    context = FakeContext(
        channel_of(CHANNEL.replace("type: uint16}", "type: uint16, on_demand: true}")), ManualClock(BEGIN)
    )
    driver = BleDriver()
    driver._ctx = context
    device = context.devices[0]
    station = driver._stations["d"] = Station(context, device, counters())
    with pytest.raises(DeviceUnavailable, match="not been heard"):
        await driver.ask(device, [device.tag("n")])
    station.heard(advert_of("05ff01000701", ts=BEGIN, mono=0.0))
    await context.clock.advance(7)
    assert {tag.path for batch in context.batches for tag in batch.tags} == {"beat", "rssi"}
    (found,) = await driver.ask(device, [device.tag("n")])
    assert (found.values, found.quality, found.ts) == ([7], None, BEGIN), "what was heard last, with its time"
    station.close()


async def test_strangers_are_bounded_and_told_when_they_are_new():
    told = []
    strangers = Strangers(told.append)
    for number in range(MOST + 200):
        address = f"00:00:00:00:{number >> 8:02X}:{number & 255:02X}"
        for value in range(3):  # data that moves is no news
            strangers.heard(advert_of(f"05ff9905{value:02x}00", address=address, mono=number * 0.05))
    assert strangers.put_off == 0
    assert len(strangers) == MOST
    assert len(told) == MOST + 200
    strangers.heard(advert_of("05ff99050000 04096e6577", address=f"00:00:00:00:{(MOST + 199) >> 8:02X}:BB"))
    assert told[-1].name == "new"
    strangers.heard(advert_of("05ff99050000", address="4A:00:00:00:00:01").__class__(
        "4A:00:00:00:00:01", "phone", -60, None, {1: b""}, {}, (), 0, 0.0, public=False
    ))  # fmt: skip
    assert told[-1].name == "new", "an address that changes every quarter of an hour is no device"


async def test_a_crowd_is_looked_into_at_a_bounded_rate_and_each_has_its_turn():
    told = []
    strangers = Strangers(told.append)
    for turn in range(10):
        for number in range(400):
            address = f"00:00:00:00:{number >> 8:02X}:{number & 255:02X}"
            strangers.heard(advert_of("05ff99050000", address=address, mono=10.0 + turn))
        assert len(told) == min(400, MOST_NEWS * (turn + 1))
    assert len({sighting.identity for sighting in told}) == 400
    assert strangers.put_off == sum(400 - MOST_NEWS * turn for turn in range(1, 8))
    strangers.heard(advert_of("04096e6577", address="00:00:00:00:00:05", mono=30.0))
    assert told[-1].name == "new"


async def test_an_advert_that_cannot_be_decoded_is_a_fault_and_no_end():
    rig = Rig()
    driver = BleDriver()
    driver._ctx = rig.context
    driver._fault(ValueError("strange"))
    assert driver.counters()["faults"] == 1
    rig.station.close()
