"""Shadows over one uplink on a manual clock: what goes out, how often, and what is told until it is acknowledged."""

import asyncio
import contextlib
import itertools
import json

import pytest

from gateway.model import DeviceState
from gateway.mqttclient.connection import MQTT_5, ConnectionLost, ConnectOptions, Inbound
from gateway.uplink.ports import Identity
from gateway.uplink.shadowing import LOOK_S, QUIET_S, ShadowLink
from tests.unit.shadows.plant import document, patch
from tests.unit.uplink.virtual import VirtualBroker

IDENTITY = Identity("gw1", "acme", "0.1.0", "5f0c9a1e")
ROOT = IDENTITY.root


class Link:
    """A ShadowLink with its broker."""

    def __init__(self, gateway, devices=("*",)):
        self.gateway = gateway
        self.broker = VirtualBroker(gateway.clock)
        self.link = ShadowLink("cloud", gateway.health, IDENTITY, devices, gateway.desk, gateway.clock)
        self.task = None

    async def connect(self):
        self.connection = await self.broker.connect("mqtt://broker", ConnectOptions("gw1", level=MQTT_5))
        self.task = asyncio.ensure_future(self.link.run(self.connection, lambda: None))
        await self.gateway.advance(1)

    async def cut(self):
        self.connection.end(ConnectionLost("cut"))
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionLost):
            await self.task

    async def down(self, topic, payload):
        inbound = Inbound(f"{ROOT}/shadow/{topic}", payload, retain=False, qos=1, ticket=1)
        handled = asyncio.ensure_future(self.link.handle(self.connection, f"shadow/{topic}", inbound))
        await self.gateway.advance(1)
        await handled

    def sent(self, kind):
        return [json.loads(one.payload) for one in self.broker.published if kind in one.topic]


@pytest.fixture
async def link(gateway):
    made = Link(gateway)
    await made.connect()
    yield made
    await made.cut()


async def test_reported_is_published_retained_at_the_first_connect_and_again_only_when_it_differs(gateway, link):
    message = link.broker.published[0]
    assert (message.topic, message.retain, message.qos) == (f"{ROOT}/shadow/dev/reported", True, 1)
    await link.cut()
    await link.connect()
    assert len(link.sent("reported")) == 1
    gateway.devices["dev"].put("speed", 11)
    gateway.poll("dev")
    await link.cut()
    await link.connect()
    assert [one["state"]["speed"] for one in link.sent("reported")] == [10, 11]


async def test_without_a_write_a_device_is_reported_at_most_once_a_minute_h32(gateway, link):
    times = []
    for n in range(600):
        gateway.devices["dev"].put("speed", n % 100)
        gateway.poll("dev")
        before = len(link.sent("reported"))
        await gateway.advance(1)
        times += [gateway.clock.mono()] * (len(link.sent("reported")) - before)
    assert all(later - earlier >= QUIET_S for earlier, later in itertools.pairwise(times)), "H32"
    assert len(times) >= 600 / (QUIET_S + LOOK_S) - 1, "and not much less often"


async def test_a_quiet_device_is_not_reported_again_while_polls_come(gateway, link):
    for _ in range(60):
        gateway.poll("dev")
        await gateway.advance(5)
    assert len(link.sent("reported")) == 1


async def test_after_a_write_reported_goes_out_at_once_with_what_was_read(gateway, link):
    await link.down("dev/desired/patch", patch(1, {"speed": 55}))
    last = link.sent("reported")[-1]
    assert (last["state"]["speed"], last["desired_ver"]) == (55, 1)
    assert last["apply"]["speed"][:2] == ["ok", 1]


async def test_what_the_broker_refuses_is_published_again(gateway, link):
    link.broker.answer = lambda message: 0x87
    await link.down("dev/desired/patch", patch(1, {"speed": 55}))
    refused = len(link.sent("reported"))
    await gateway.advance(QUIET_S + LOOK_S)
    assert len(link.sent("reported")) > refused, "it is not known there"
    assert [(issue.id, issue.entity) for issue in gateway.health.open()] == [("uplink_refused", "cloud/shadow")]
    link.broker.answer = lambda message: 0
    await gateway.advance(2 * (QUIET_S + LOOK_S))
    accepted = len(link.sent("reported"))
    await gateway.advance(5 * QUIET_S)
    assert len(link.sent("reported")) == accepted
    assert gateway.health.open() == []


async def test_a_rejection_is_told_until_it_is_acknowledged_and_then_no_more(gateway, link):
    gateway.devices["dev"].refuses["speed"] = 422
    link.broker.answer = lambda message: 0x97 if "rejected" in message.topic else 0
    await link.down("dev/desired/patch", patch(1, {"speed": 55}))
    await gateway.advance(2 * (QUIET_S + LOOK_S))
    assert len(link.sent("rejected")) >= 2
    link.broker.answer = lambda message: 0
    await gateway.advance(2 * (QUIET_S + LOOK_S))
    told = link.sent("rejected")
    await gateway.advance(10 * QUIET_S)
    assert link.sent("rejected") == told
    assert {(one["path"], one["desired_ver"], one["state"], one["code"]) for one in told} == {
        ("speed", 1, "rejected", 422)
    }


async def test_a_refused_message_is_answered_with_why_and_a_rid_with_its_result(gateway, link):
    await link.down("dev/desired/patch", patch(1, {"speed": 999}, rid="p-1"))
    await link.down("dev/desired/patch", patch(2, {"speed": 50}, rid="p-2"))
    assert [(one["path"], one["code"]) for one in link.sent("rejected")] == [("speed", 422)]
    results = [json.loads(one.payload) for one in link.broker.published if "/result/" in one.topic]
    assert [(one["rid"], one["state"], one["code"]) for one in results] == [
        ("p-1", "rejected", 422),
        ("p-2", "done", 200),
    ]


async def test_waiting_for_a_device_is_told_once_over_all_connections(gateway, link):
    gateway.devices["dev"].state = DeviceState.OFFLINE
    await link.down("dev/desired", document(1, {"speed": 55}))
    for _ in range(3):
        await gateway.advance(60)
        await link.cut()
        await link.connect()
    assert [(one["state"], one["code"]) for one in link.sent("rejected")] == [("pending", 504)]


async def test_resync_publishes_what_is_known_too(gateway, link):
    link.link.resync()
    await gateway.advance(1)
    assert len(link.sent("reported")) == 2


async def test_edits_that_hold_while_offline_end_with_the_first_exchange(gateway, link):
    await link.cut()
    await gateway.do(gateway.desk.set("dev", {"hold": 20}, who="console"))
    await link.connect()
    await gateway.advance(2)
    assert gateway.keeper.get("dev").edits == {}
    assert [(one["path"], one["code"]) for one in link.sent("rejected")] == [("hold", 409)]


async def test_devices_of_another_uplink_and_cleared_topics_are_left_alone(gateway):
    other = Link(gateway, ("pump*",))
    await other.connect()
    await other.down("dev/desired", document(1, {"speed": 55}))
    assert (other.broker.published, gateway.keeper.get("dev").meta.desired_ver) == ([], 0)
    await other.cut()
    mine = Link(gateway)
    await mine.connect()
    await mine.down("dev/desired", b"")
    assert mine.sent("rejected") == []
    await mine.cut()
