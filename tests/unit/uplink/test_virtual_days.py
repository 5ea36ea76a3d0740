"""Uplinks over virtual hours and days: what they cost, what a budget holds back, how a backlog drains."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from gateway.journal import Segment
from gateway.mqttclient.connection import MQTT_5, Outgoing
from gateway.mqttclient.packets import packet_size
from gateway.uplink.budget import DAY_S
from gateway.uplink.codecs.base import Encoded
from gateway.uplink.codecs.json_codec import JsonCodec
from gateway.uplink.codecs.native import NativeCodec
from tests.unit.uplink.virtual import ROOT, VirtualRig

MIDDAY_MS = (20_000 * DAY_S + DAY_S // 2) * 1000


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig(wall_ms=MIDDAY_MS)
    yield made
    await made.stop()


def readings(rig: VirtualRig, topic: str = "up/telemetry") -> list[int]:
    """All numbers that the messages cover, in order of sending."""
    return [seq for body in rig.broker.bodies(topic) for seq in range(body["seq"], body["seq"] + body["n"])]


class Plant:
    """100 tags polled each second and reported on change: 10 devices with rounded temperatures, noisy float32,
    counters, a bool and an alarm word that rarely change.
    """

    def __init__(self, seed: int = 7) -> None:
        self._random = Random(seed)
        self._single = struct.Struct("f")
        self._counters = [[1000 * device, 5000 * device, 70 * device] for device in range(10)]
        self._next = 1
        self.names = {10 + 10 * d + t: (f"line1-plc{d:02d}", f"tag{t}") for d in range(10) for t in range(10)}

    def second(self, ts: int) -> Segment:
        rng = self._random
        borders, times, aliases, values = [], [], [], []
        for device in range(10):
            row: list[tuple[int, Any]] = [(tag, round(20 + rng.gauss(0, 3), 1)) for tag in (0, 1) if rng.random() < 0.6]
            for tag, level in ((2, 230.0), (3, 12.0), (4, 2700.0)):
                row.append((tag, self._single.unpack(self._single.pack(rng.gauss(level, level / 100)))[0]))
            for at in range(3):
                if step := rng.randrange(0, 4):
                    self._counters[device][at] += step
                    row.append((5 + at, self._counters[device][at]))
            if rng.random() < 0.05:
                row.append((8, rng.random() < 0.5))
            borders.append(len(row))
            times.append(ts + 10 * device)
            aliases += [10 + 10 * device + tag for tag, _ in row]
            values += [value for _, value in row]
        segment = Segment(
            "telemetry", 1_794_000_000, self._next, len(values), times[0], times[-1], 1, "5f0c9a1e", 0, "s",
            borders, times, aliases, values,
        )  # fmt: skip
        self._next += segment.n
        return segment


@pytest.mark.parametrize(("codec", "bar"), [("json", 175e6), ("json, zlib", 68e6), ("native", 50e6)])
def test_fl_13_bytes_of_a_day_with_100_tags_each_second_on_change(codec: str, bar: float) -> None:
    """FL-13: printed for both codecs; MQTT bytes without TCP. An hour is built, a day is 24 of them."""
    plant = Plant()
    made = NativeCodec("gw1") if codec == "native" else JsonCodec("gw1", "zlib" if "zlib" in codec else "none")
    size = readings = 0
    for second in range(0, 3600, 4):  # every fourth second: the load has no trend
        segment = plant.second(1_795_000_000_000 + 1000 * second)
        encoded: Encoded = made.telemetry(segment, plant.names, historical=False)
        message = Outgoing(f"{ROOT}/up/telemetry", encoded.payload, encoded.content_type, encoded.encoding)
        size += 4 * packet_size(message, MQTT_5)
        readings += 4 * segment.n
    day = 24 * size
    print(
        f"{codec}: {day / 1e6:.1f} MB a day for {24 * readings / 1e6:.2f} million readings, {size / readings:.1f} B each"
    )
    assert day < bar


async def test_fl_13_a_daily_budget_holds_telemetry_back_and_never_an_alarm(rig: VirtualRig) -> None:
    """FL-13: used up, telemetry waits for the next UTC day; alarms, events and gap records go; nothing is lost."""
    uplink = await rig.start(bytes_per_day=100_000)
    for second in range(100):
        rig.journal.add("pump", {f"tag{i}": second + i for i in range(100)}, ts=rig.clock.wall_ms())
        await rig.clock.advance(1.0)
    sent = readings(rig)
    assert 0 < len(sent) < 10_000
    assert rig.broker.bytes <= 105_000
    budget = uplink.status()["budget"]
    assert budget["exhausted"] is True
    assert budget["used"] == rig.broker.bytes
    assert "uplink_budget" in rig.issues()
    rig.journal.add_entry("alarm", {"ts": 1, "kind": "alarm"})
    rig.journal.add_entry("event", {"ts": 1, "kind": "issue"})
    rig.journal.drop("telemetry", len(sent) + 100)
    await rig.clock.advance(5.0)
    assert [body["seq"] for body in rig.broker.bodies("up/alarm")] == [1]
    assert [body["seq"] for body in rig.broker.bodies("up/event")] == [1]
    assert len(rig.broker.bodies("up/gap")) == 1
    assert readings(rig) == sent
    await rig.clock.advance(DAY_S / 2)
    assert len(readings(rig)) > len(sent)
    assert "uplink_budget" not in rig.issues()
    await rig.clock.advance(DAY_S)
    assert rig.journal.finished["telemetry"] == set(range(1, 10_001))
    assert len(readings(rig)) == len(set(readings(rig)))


async def test_fl_13_a_restart_does_not_give_the_budget_anew(rig: VirtualRig) -> None:
    """FL-13: the count is kept with the cursor, ahead of what was sent: a kill costs one step, never the day."""
    await rig.start(bytes_per_day=1_000_000)
    for second in range(120):
        rig.journal.add("pump", {f"tag{i}": second + i for i in range(200)}, ts=rig.clock.wall_ms())
        await rig.clock.advance(1.0)
    used = rig.broker.bytes
    assert used > 200_000
    await rig.stop()
    uplink = await rig.start(bytes_per_day=1_000_000)
    assert used <= uplink.status()["budget"]["used"] <= used + 1_000_000 // 100 + 2_000


async def test_fl_13_a_clock_that_is_not_set_yet_begins_no_new_day(rig: VirtualRig) -> None:
    await rig.start(bytes_per_day=1_000_000)
    for _ in range(20):
        rig.journal.add("pump", {f"tag{i}": i for i in range(200)}, ts=rig.clock.wall_ms())
        await rig.clock.advance(1.0)
    used = rig.broker.bytes
    await rig.stop()
    rig.clock.set_synced(False)
    rig.clock.step_wall(-19_000.0 * DAY_S)
    uplink = await rig.start(bytes_per_day=1_000_000)
    assert uplink.status()["budget"]["used"] >= used


async def test_fl_16_an_idle_hour_with_500_tags_sends_status_and_nothing_else(rig: VirtualRig) -> None:
    """FL-16: no report of what has not changed; the birth comes again only with another hash."""
    rig.journal.add("plant", {f"tag{i}": i for i in range(250)})
    rig.journal.add("mixer", {f"tag{i}": i for i in range(250)})
    uplink = await rig.start()
    await rig.clock.advance(60.0)
    assert len(readings(rig)) == 500
    seen, size = len(rig.broker.published), rig.broker.bytes
    for _ in range(3600):  # the store commits its own rows now and then: nothing for us in it
        rig.journal.commit()
        await rig.clock.advance(1.0)
    idle = rig.broker.topics()[seen:]
    print(f"idle hour: {len(idle)} messages, {rig.broker.bytes - size} bytes")
    assert set(idle) == {"status"}
    assert len(idle) == 3600 // 300
    assert rig.broker.topics().count("birth") == 1
    uplink.model_changed()
    await rig.clock.settle()
    assert rig.broker.topics().count("birth") == 1
    rig.journal.alias("mixer", "new")
    uplink.model_changed()
    await rig.clock.settle()
    assert rig.broker.topics().count("birth") == 2
