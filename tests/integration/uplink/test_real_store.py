"""The uplink over the real store: reconnects while the configuration changes, a drain beside live data, a flat feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.latest import LatestValues
from gateway.model import Batch, Block, ChannelSpec, DeviceSpec, Schedule, Tag, TagSpec, ValueType
from gateway.runtime.views import FlatFeed
from gateway.settings.types import StoreSettings
from gateway.store import Store
from gateway.tags import TagTable
from gateway.uplink.ports import DeviceRow, TagRow
from tests.integration.uplink.conftest import ROOT, Rig
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually
from tests.support.scale import scaled


@pytest.fixture
async def store(rig: Rig, tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(
        StoreSettings(tmp_path / "state", commit_interval_s=0.02), rig.clock, release_ms=1_790_000_000_000,
        health=rig.health,
    )  # fmt: skip
    made.open()
    running = asyncio.create_task(made.run())
    yield made
    await rig.close()
    running.cancel()
    await asyncio.wait({running})
    await made.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script())
    await made.start()
    yield made
    await made.stop()


class NoJitter(Random):
    """Draws the lower end: nobody waits to connect again."""

    def uniform(self, a: float, b: float) -> float:
        return a


class StoreModel:
    """A ModelView over the store's aliases."""

    def __init__(self, consumer: Any) -> None:
        self.rows = [TagRow(a.alias, a.device, a.tag, "uint32", "", "r") for a in consumer.aliases().values()]
        self.devices = [DeviceRow("pump", "sim", "")]
        self.dict_no = consumer.dict_no


def block(store: Store, *tags: str) -> Block:
    aliases = store.bind_aliases([("pump", tag) for tag in tags])
    return Block(
        "pump",
        [
            Tag("pump", tag, slot, alias, TagSpec(tag, ValueType.UINT32, None))
            for slot, (tag, alias) in enumerate(zip(tags, aliases, strict=True))
        ],
    )


def telemetry(peer: Peer) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in peer.payloads("up/telemetry")]


async def test_fl_9_reconnects_with_a_config_pushed_on_each_lose_nothing_and_repeat_nothing_acknowledged(
    rig: Rig, store: Store, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FL-9: readings go on all the time, a tag is added before each reconnect, some publishes are never answered."""
    consumer = store.consumer("cloud")
    acked: set[int] = set()
    repeated: list[int] = []
    calls = [0]

    def puback(topic: str, payload: bytes) -> int | None:
        if not topic.endswith("/telemetry"):
            return 0
        body = json.loads(payload)
        numbers = range(body["seq"], body["seq"] + body["n"])
        repeated.extend(acked.intersection(numbers))
        calls[0] += 1
        if calls[0] % 5 == 0:
            return None  # in flight when the connection goes
        return 0

    move = consumer.done

    def done(stream: str, epoch: int, first: int, last: int) -> None:
        if stream == "telemetry":
            acked.update(range(first, last + 1))
        move(stream, epoch, first, last)

    monkeypatch.setattr(consumer, "done", done)

    peer.script.puback = puback
    uplink = rig.uplink(
        peer.url, journal=consumer, model=lambda: StoreModel(consumer), random=NoJitter(), batch_age_s=0.0,
        batch_readings=10,
    )  # fmt: skip
    tags, holes, rounds = ["count0"], [0], scaled(20, 200)
    for turn in range(rounds):
        seen = len(peer.levels)
        for count in range(30):
            here = block(store, *tags)
            store.append(Batch(here, [turn * 100 + count] * len(tags), rig.clock.wall_ms(), rig.clock.mono()))
            await store.commit()
            holes.append(consumer.holes("telemetry"))
        tags = [*tags[-2:], f"count{turn + 1}"]
        block(store, *tags)
        uplink.model_changed()
        peer.hang_up()
        await eventually(lambda seen=seen: len(peer.levels) > seen, within=20)
    peer.script.puback = lambda topic, payload: puback(topic, payload) or 0
    peer.hang_up()
    await eventually(lambda: consumer.backlog().readings == 0, within=60)
    last = consumer.streams()["telemetry"].last
    covered = {n for body in telemetry(peer) for n in range(body["seq"], body["seq"] + body["n"])}
    assert covered == set(range(1, last + 1))
    assert max(holes) < 64
    print(
        f"{rounds} reconnects: {last} readings, at most {max(holes)} holes, {len(repeated)} repeated after their PUBACK"
    )
    assert repeated == []
    assert acked == covered
    births = [json.loads(payload)["hash"] for payload in peer.payloads("/birth")]
    assert len(births) == len(set(births))


async def test_fl_7_a_backlog_in_the_real_store_drains_beside_live_data(rig: Rig, store: Store, peer: Peer) -> None:
    """FL-7, on counts: live messages are never behind more than the window of older ones, all arrive once."""
    consumer = store.consumer("cloud")
    here = block(store, *[f"tag{i}" for i in range(10)])
    old = scaled(2_000, 100_000)
    for count in range(old):
        store.append(Batch(here, [count] * 10, rig.clock.wall_ms(), rig.clock.mono()))
        if count % 500 == 499:
            await store.commit()
    await store.commit()
    border = consumer.mark("telemetry")[1]
    peer.script.hold_acks = True
    uplink = rig.uplink(peer.url, journal=consumer, batch_readings=100, batch_age_s=0.0, window=8)
    await eventually(lambda: peer.published)
    peer.release()
    await eventually(lambda: telemetry(peer))
    behind: list[int] = []
    for count in range(40):
        sent = len(peer.payloads("up/telemetry"))
        store.append(Batch(here, [count] * 10, rig.clock.wall_ms(), rig.clock.mono()))
        await store.commit()
        await eventually(lambda sent=sent: any(body["seq"] > border for body in telemetry(peer)[sent:]), within=20)
        behind.append(next(at for at, body in enumerate(telemetry(peer)[sent:]) if body["seq"] > border))
        peer.release()
    print(f"older messages between a commit and its live message: {behind}")
    assert min(behind) <= 8  # it overtakes what waits: 200 messages are older
    await eventually(lambda: consumer.backlog().readings == 0, within=120)
    messages = telemetry(peer)
    assert {body["seq"] <= border for body in messages if body.get("historical")} == {True}
    assert {body["seq"] > border for body in messages if not body.get("historical")} == {True}
    numbers = [n for body in messages for n in range(body["seq"], body["seq"] + body["n"])]
    assert sorted(numbers) == list(range(1, consumer.mark("telemetry")[1] + 1))
    assert uplink.status()["counters"]["connections"] == 1


def channel(*tags: str) -> ChannelSpec:
    specs = tuple(TagSpec(tag, ValueType.UINT32, None) for tag in tags)
    return ChannelSpec("line", "sim", None, (DeviceSpec("pump", None, specs, Schedule(1.0)),))


async def test_a_flat_feed_keeps_what_is_retained_equal_to_what_is_on_disk(
    rig: Rig, store: Store, make_broker: Callable[..., Any]
) -> None:
    """W16 with the real store, the real latest values and mosquitto: values after the commit, a removed tag cleared."""
    from gateway.mqttclient import mqtt
    from gateway.mqttclient.connection import ConnectOptions

    broker = make_broker()
    tags, latest = TagTable(), LatestValues(rig.clock)
    feed = FlatFeed(tags, latest)

    def bind(*names: str) -> Block:
        spec = channel(*names)
        pairs = TagTable.names([spec])
        (device,) = tags.bind(spec, dict(zip(pairs, store.bind_aliases(pairs), strict=True)))
        latest.grow(16)
        return Block("pump", list(device.tags))

    def produce(block: Block, *values: int) -> None:
        batch = Batch(block, list(values), rig.clock.wall_ms(), rig.clock.mono())
        on_durable = feed.watch(batch, None)
        latest.on_batch(batch)
        store.append(batch, on_durable)

    here = bind("speed", "level")
    produce(here, 1, 2)
    await store.commit()
    uplink = rig.uplink(broker.url, codec="flat", topic="plant/{device}/{tag}", latest=feed)
    reader = await mqtt.connect(broker.url, ConnectOptions("reader"))
    held: dict[str, Any] = {}

    async def read() -> None:
        while True:
            message = await reader.receive()
            reader.confirm(message)
            held[message.topic] = json.loads(message.payload)["v"] if message.payload else None

    reading = asyncio.create_task(read())
    try:
        await reader.subscribe(["plant/#", f"{ROOT}/#"])
        await eventually(lambda: (held.get("plant/pump/speed"), held.get("plant/pump/level")) == (1, 2))
        produce(here, 1, 7)
        await store.commit()
        await eventually(lambda: held["plant/pump/level"] == 7)
        gone = here.slots[0]
        bind("level")
        feed.changed([gone])
        await eventually(lambda: held["plant/pump/speed"] is None)
        assert held["plant/pump/level"] == 7
        assert not [topic for topic in held if "/up/" in topic or topic.endswith("birth")]
        await uplink.stop()
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        await reader.close()
