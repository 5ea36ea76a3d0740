"""More messages on the twin topics than can be done: what waits has a bound, what is dropped is told."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.health import Health
from gateway.mqttclient.connection import ConnectionLost, ConnectOptions, Inbound
from gateway.testing import ManualClock
from gateway.uplink.inbound import Beside, Downlink
from gateway.uplink.twins.link import CALM_S, TwinLink
from gateway.uplink.twins.messages import BASE
from gateway.uplink.twins.port import Side, Twin
from gateway.uplink.twins.waiting import IN_ALL, PER_DEVICE, Waiting
from tests.unit.uplink.virtual import IDENTITY, VirtualBroker

WISH = json.dumps({"event_id": "e", "twin": {"speed": {"expected": {"value": "1"}}}}).encode()
TWIN = Twin("speed", "int", True, None, Side("3", 5))


class SlowGateway:
    """A TwinPort whose disk does not come back until `disk` is set."""

    def __init__(self, devices=("pump",)):
        self.disk = asyncio.Event()
        self.waiting = 0
        self._devices = devices

    def devices(self):
        return self._devices

    def knows(self, device):
        return device in self._devices

    def twins(self, _device):
        return [TWIN], 0

    def states(self):
        return {}

    async def want(self, _device, _wishes, _who):
        self.waiting += 1
        await self.disk.wait()
        self.waiting -= 1
        return [TWIN]

    def listen(self, _listener):
        return lambda: None


class Scene:
    def __init__(self, devices=("pump",)):
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.broker = VirtualBroker(self.clock)
        self.broker.delay = 0.0
        self.port = SlowGateway(devices)
        self.link = TwinLink("cloud", ("*",), self.port, self.clock, 100_000, self.health)
        self._tickets = 0

    async def connect(self):
        self.connection = await self.broker.connect("", ConnectOptions("x", window=1_000))
        link = self.link
        beside = Beside(link.filters, link.prefix, link.admit, link.leave, link.handle)
        downlink = Downlink("cloud", IDENTITY, self.health, None, (), beside)
        return [asyncio.create_task(work(self.connection)) for work in (downlink.run, link.run)]

    def push(self, topic, payload=WISH, *, retain=False):
        self._tickets += 1
        message = Inbound(f"{BASE}/{topic}", payload, retain, 1, self._tickets)
        self.connection.inbox.put_nowait(message)

    async def settle(self):
        for _ in range(50):
            await self.clock.advance(0.001)

    def results(self, topic):
        found = [each for each in self.broker.published if each.topic == f"{BASE}/{topic}/result"]
        return [json.loads(each.payload) for each in found]


async def ended(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_of_a_flood_few_wait_the_rest_is_told_in_one_result_and_questions_are_answered():
    scene = Scene()
    tasks = await scene.connect()
    for _ in range(20_000):
        scene.push("pump/twin/update")
    scene.push("pump/twin/get", b'{"event_id": "asked"}')
    await scene.settle()
    assert scene.port.waiting == PER_DEVICE
    assert [body["event_id"] for body in scene.results("pump/twin/get")] == ["asked"]
    assert scene.link.status()["dropped"] == 20_000 - PER_DEVICE
    await scene.clock.advance(1.0)
    (told,) = scene.results("pump/twin/update")
    assert (told["code"], told["event_id"]) == (429, "e")
    assert f"{20_000 - PER_DEVICE} messages" in told["reason"]
    assert [issue.id for issue in scene.health.open()] == ["twins_flooded"]
    assert scene.broker.confirmed == [], "confirmed in order of arrival"

    scene.port.disk.set()
    await scene.settle()
    assert len(scene.results("pump/twin/update")) == 1 + PER_DEVICE
    assert scene.broker.confirmed == list(range(1, 20_002))
    scene.push("pump/twin/update")
    await scene.settle()
    assert len(scene.results("pump/twin/update")) == 2 + PER_DEVICE, "there is room again"
    await scene.clock.advance(CALM_S + 1)
    assert not scene.health.open()
    await ended(tasks)


async def test_what_waited_on_a_lost_connection_takes_no_room_of_the_next_one():
    scene = Scene()
    tasks = await scene.connect()
    for _ in range(PER_DEVICE):
        scene.push("pump/twin/update")
    scene.connection.end(ConnectionLost("gone"))  # some were never begun
    await scene.settle()
    await ended(tasks)
    tasks = await scene.connect()
    for _ in range(PER_DEVICE):
        scene.push("pump/twin/update")
    await scene.settle()
    assert scene.link.status()["dropped"] == 0
    await ended(tasks)


async def test_a_retained_message_is_ignored_counted_and_told_once(caplog):
    scene = Scene()
    tasks = await scene.connect()
    for _ in range(3):
        scene.push("pump/twin/update", retain=True)
    await scene.settle()
    assert scene.port.waiting == 0
    assert scene.link.status()["retained"] == 3
    assert caplog.text.count("retained message") == 1
    assert scene.broker.confirmed == [1, 2, 3]
    await ended(tasks)


@pytest.mark.parametrize("kind", ["twin/update", "twin/get", "state/update"])
def test_messages_of_one_kind_have_a_bound_over_all_devices(kind):
    waiting = Waiting()
    taken = sum(waiting.enter(f"d{number}", kind, b"", known=False) for number in range(10_000))
    assert taken == IN_ALL
    assert waiting.enter("d0", "twin/get" if kind != "twin/get" else "twin/update", b"", known=True)
    assert not waiting.take_dropped(), "names that are no devices are not kept"
    waiting.leave("d0", kind)
    assert waiting.enter("d0", kind, b"", known=True)
