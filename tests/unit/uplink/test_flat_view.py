"""Codec `flat`: the newest value per tag, retained; on a manual clock with a broker in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from gateway.mqttclient.connection import Outgoing
from tests.unit.uplink.virtual import ROOT, NoJitter, VirtualRig


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig()
    yield made
    await made.stop()


def retained(rig: VirtualRig) -> dict[str, object]:
    """What a broker would hold: topic -> value; cleared topics are gone."""
    held: dict[str, object] = {}
    for message in rig.broker.published:
        assert message.retain
        if rig.broker.answer(message) >= 0x80:
            continue
        if message.payload:
            held[message.topic] = json.loads(message.payload).get("v")
        else:
            held.pop(message.topic, None)
    held.pop(f"{ROOT}/status", None)
    return held


async def test_only_the_newest_value_waits_while_the_line_is_away(rig: VirtualRig) -> None:
    """W16: what is retained equals what was reported last, once the line is idle."""
    rig.values.set(1, 1.5)
    await rig.start(codec="flat", random=NoJitter())
    await rig.clock.advance(1.0)
    rig.broker.drop()
    for count in range(1000):
        rig.values.set(1, count)
        rig.values.set(2, count, tag="count")
    await rig.clock.advance(10.0)
    assert retained(rig) == {"gw1/pump/speed": 999, "gw1/pump/count": 999}
    assert len([m for m in rig.broker.published if m.topic == "gw1/pump/count"]) == 1


async def test_a_removed_tag_is_cleared_also_when_it_went_during_an_outage(rig: VirtualRig) -> None:
    rig.values.set(1, 1.5)
    rig.values.set(2, 2.5, tag="count")
    await rig.start(codec="flat", random=NoJitter())
    await rig.clock.advance(1.0)
    rig.values.remove(1)
    await rig.clock.advance(1.0)
    assert retained(rig) == {"gw1/pump/count": 2.5}
    rig.broker.drop()
    rig.values.remove(2)
    await rig.clock.advance(10.0)
    assert retained(rig) == {}


async def test_a_value_that_was_refused_is_sent_again_with_a_back_off(rig: VirtualRig) -> None:
    refused: list[Outgoing] = []

    def answer(message: Outgoing) -> int:
        refused.append(message)
        return 0x97

    await rig.start(codec="flat")
    await rig.clock.advance(1.0)
    rig.broker.answer = answer
    rig.values.set(1, 7)
    await rig.clock.advance(60.0)
    assert 2 <= len(refused) <= 20
    assert "uplink_refused" in rig.issues()
    rig.broker.answer = lambda message: 0
    await rig.clock.advance(60.0)
    assert json.loads(rig.broker.published[-1].payload)["v"] == 7
    assert "uplink_refused" not in rig.issues()


async def test_status_and_will_are_left_out_where_another_uplink_serves_the_broker(rig: VirtualRig) -> None:
    """protocol.md 4.4: two tellers would call each other dead. A change of who serves it makes a new connection."""
    served = [False]
    rig.values.set(1, 1.5)
    uplink = await rig.start(codec="flat", random=NoJitter(), presence=lambda: not served[0])
    await rig.clock.advance(1.0)
    assert rig.broker.topics().count("status") == 1
    assert rig.broker.options[-1].will is not None
    served[0] = True
    uplink.model_changed()
    await rig.clock.advance(10.0)
    assert rig.broker.options[-1].will is None
    await rig.clock.advance(1000.0)
    await uplink.stop()
    assert len(rig.broker.options) == 2
    statuses = [json.loads(m.payload)["online"] for m in rig.broker.published if m.topic == f"{ROOT}/status"]
    assert statuses == [True]
    assert retained(rig) == {"gw1/pump/speed": 1.5}
