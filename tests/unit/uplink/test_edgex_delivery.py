"""Delivery of codec `edgex` over a broker in memory: several messages of one entry, and a cursor that waits for all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.edgexevents.resources import Resource
from gateway.journal import Gap
from gateway.model import Quality
from gateway.mqttclient.connection import Outgoing
from gateway.settings.types import Selection
from gateway.uplink.eventsources import AT_ONCE
from tests.unit.edgexevents.edgex_schema import opened
from tests.unit.uplink.memory_journal import EPOCH
from tests.unit.uplink.virtual import ROOT, VirtualRig

BUS = "edgex/events/device/gw1/"
TELEMETRY = Selection(("*",), ("telemetry",))


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig()
    yield made
    await made.stop()


async def start(rig: VirtualRig, **settings: Any) -> Any:
    return await rig.start(codec="edgex", **({"select": TELEMETRY} | settings))


def events(rig: VirtualRig) -> list[dict[str, Any]]:
    return [opened(each.topic, each.payload) for each in rig.broker.published if each.topic.startswith(BUS)]


def told(rig: VirtualRig) -> list[tuple[str, str]]:
    return [(r["resourceName"], r["value"]) for event in events(rig) for r in event["readings"]]


async def test_every_reading_of_an_entry_arrives_and_then_the_entry_is_done(rig: VirtualRig) -> None:
    rig.journal.add("pump", {f"tag{i}": i for i in range(40)})
    await start(rig)
    await rig.clock.advance(5)
    assert told(rig) == [(f"tag{i}", str(i)) for i in range(40)]
    assert rig.journal.finished["telemetry"] == set(range(1, 41))
    assert rig.broker.published[-1].content_type == "application/json"


async def test_the_cursor_stays_before_an_entry_of_which_one_message_is_not_acknowledged(rig: VirtualRig) -> None:
    rig.broker.answer = lambda message: 0x97 if message.topic.endswith("/tag2") else 0
    rig.journal.add("pump", {f"tag{i}": i for i in range(4)})
    await start(rig)
    await rig.clock.advance(120)
    assert rig.journal.finished["telemetry"] == set()
    rig.broker.answer = lambda message: 0
    await rig.clock.advance(120)
    assert rig.journal.finished["telemetry"] == {1, 2, 3, 4}
    assert {tag for tag, _ in told(rig)} == {f"tag{i}" for i in range(4)}


async def test_what_was_in_flight_comes_again_the_same_to_the_byte(rig: VirtualRig) -> None:
    rig.broker.delay = 30.0
    await start(rig)
    rig.journal.add("pump", {f"tag{i}": i for i in range(8)})  # live: all of them at once
    await rig.clock.advance(2)
    first = [(each.topic, each.payload) for each in rig.broker.published if each.topic.startswith(BUS)]
    assert len(first) == 8
    rig.broker.drop()
    rig.broker.delay = 0.05
    await rig.clock.advance(60)
    both = [(each.topic, each.payload) for each in rig.broker.published if each.topic.startswith(BUS)]
    assert both == first + first
    assert rig.journal.finished["telemetry"] == set(range(1, 9))


async def test_a_planned_stop_waits_for_what_is_in_flight_and_leaves_nothing_to_send_again(rig: VirtualRig) -> None:
    rig.broker.delay = 1.0
    uplink = await start(rig)
    await rig.clock.advance(5)
    rig.journal.add("pump", {f"tag{i}": i for i in range(8)})
    await rig.clock.advance(0.1)
    stopping = asyncio.ensure_future(uplink.stop())
    await rig.clock.advance(3)
    await stopping
    assert len(told(rig)) == 8
    assert rig.journal.finished["telemetry"] == set(range(1, 9))


async def test_the_window_is_never_exceeded_by_an_entry_of_many_messages(rig: VirtualRig) -> None:
    rig.broker.delay = 1.0
    rig.journal.add("pump", {f"tag{i}": i for i in range(100)})
    await start(rig, window=4)
    await rig.clock.advance(0.5)
    assert len(events(rig)) <= 4
    await rig.clock.advance(60)
    assert len(events(rig)) == 100
    assert rig.journal.finished["telemetry"] == set(range(1, 101))


async def test_readings_of_other_devices_and_bad_ones_are_passed_over_however_many_there_are(rig: VirtualRig) -> None:
    for count in range(30 * AT_ONCE):
        rig.journal.add("mixer", {"speed": count}, commit=False)
    rig.journal.add("pump", {"speed": None}, quality={"speed": Quality.BAD_COMM})
    rig.journal.add("pump", {"speed": 3})
    await start(rig, select=Selection(("pump",), ("telemetry",)))
    await rig.clock.advance(5)
    assert told(rig) == [("speed", "3")]
    assert len(rig.journal.finished["telemetry"]) == 30 * AT_ONCE + 2


async def test_all_qualities_when_they_are_asked_for_and_local_tags_never(rig: VirtualRig) -> None:
    rig.journal.add("pump", {"speed": None, "secret": 1}, quality={"speed": Quality.BAD_COMM})
    plain = rig.resources()
    hidden = {a: Resource("pump", "pump", "p", "s", r.resource, local=r.resource == "secret") for a, r in plain.items()}
    await start(rig, quality="all", resources=lambda: hidden)
    await rig.clock.advance(5)
    (event,) = events(rig)
    assert [(each["value"], each["tags"]) for each in event["readings"]] == [(None, {"quality": "bad/comm"})]
    assert rig.journal.finished["telemetry"] == {1, 2}


async def test_live_readings_go_before_older_ones_and_all_arrive(rig: VirtualRig) -> None:
    rig.broker.delay = 0.5
    for count in range(400):
        rig.journal.add("pump", {"old": count}, commit=False)
    rig.journal.commit()
    await start(rig, window=4)
    await rig.clock.advance(3)
    rig.journal.add("pump", {"new": 1})
    await rig.clock.advance(6)
    tags = [tag for tag, _ in told(rig)]
    assert "new" in tags
    assert tags.count("old") < 400
    await rig.clock.advance(300)
    tags = [tag for tag, _ in told(rig)]
    assert (tags.count("old"), tags.count("new")) == (400, 1)
    assert len(rig.journal.finished["telemetry"]) == 401


async def test_a_message_the_broker_refuses_for_good_costs_its_own_readings(rig: VirtualRig) -> None:
    rig.broker.answer = lambda message: 0x99 if message.topic.endswith("/tag1") else 0
    rig.journal.add("pump", {f"tag{i}": i for i in range(3)})
    uplink = await start(rig)
    await rig.clock.advance(60)
    assert rig.journal.refused == [("telemetry", 2, 2, "refused", 0x99)]
    assert rig.journal.finished["telemetry"] == {1, 2, 3}
    assert "uplink_dead_letter" in rig.issues()
    assert uplink.status()["counters"]["dead"] == 1


async def test_a_reading_too_large_for_any_message_is_refused_and_told_and_the_others_go_out(rig: VirtualRig) -> None:
    rig.journal.add("pump", {"big": "x" * 5000, "speed": 3})
    uplink = await start(rig, max_payload=2000)
    await rig.clock.advance(5)
    assert told(rig) == [("speed", "3")]
    assert rig.journal.refused == [("telemetry", 1, 1, "codec", 0)]
    assert rig.journal.finished["telemetry"] == {1, 2}
    assert uplink.status()["counters"]["lost"] == 1
    assert "uplink_gap" in rig.issues()


async def test_a_gap_is_told_at_the_gateway_because_an_event_has_no_words_for_it(rig: VirtualRig) -> None:
    rig.journal.add("pump", {"a": 1, "b": 2})
    rig.journal.gap_rows.append(Gap("telemetry", EPOCH, 5, 9, 5, 1, 2, "size"))
    uplink = await start(rig)
    await rig.clock.advance(5)
    assert rig.journal.gap_rows == []
    assert uplink.status()["counters"]["lost"] == 5
    (issue,) = [each for each in rig.health.open() if each.id == "uplink_gap"]
    assert "5 readings" in issue.text
    assert "size" in issue.text


async def test_nothing_but_events_and_a_status_without_numbers_leaves(rig: VirtualRig) -> None:
    rig.journal.add("pump", {"speed": 1})
    rig.journal.add_entry("alarm", {"ts": 1_795_000_000_000, "kind": "alarm"})
    uplink = await start(rig)
    await rig.clock.advance(400)
    others = {each.topic for each in rig.broker.published if not each.topic.startswith(BUS)}
    assert others == {f"{ROOT}/status"}
    (body, *_) = rig.broker.bodies("status")
    assert (body["codec"], body["proof"], "streams" in body) == ("edgex", "puback", False)
    assert uplink.streams == ("telemetry",)
    assert uplink.status()["proof"] == "puback"


async def test_bare_events_on_a_topic_of_ones_own(rig: VirtualRig) -> None:
    rig.journal.add("pump", {"speed": 1})
    await start(rig, envelope=False, topic="plant/{gateway}/{device}/{source}")
    await rig.clock.advance(5)
    bare = [each for each in rig.broker.published if each.topic == "plant/gw1/pump/speed"]
    assert [json.loads(each.payload)["readings"][0]["value"] for each in bare] == ["1"]


async def test_a_refused_topic_is_told_by_the_template(rig: VirtualRig) -> None:
    def refuse(message: Outgoing) -> int:
        return 0x87 if message.topic.startswith(BUS) else 0

    rig.broker.answer = refuse
    rig.journal.add("pump", {"speed": 1})
    await start(rig)
    await rig.clock.advance(5)
    (issue,) = [each for each in rig.health.open() if each.id == "uplink_refused"]
    assert "edgex/events/device/{service}/{profile}/{device}/{source}" in issue.text
