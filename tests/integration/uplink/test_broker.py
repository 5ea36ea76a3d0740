"""The uplink against mosquitto, the real store, and the consumer's proof."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Batch, Block, Tag, TagSpec, ValueType
from gateway.proof import Collector, collect
from gateway.settings.types import StoreSettings
from gateway.store import Store
from gateway.tls import TlsSettings
from tests.integration.uplink.conftest import ROOT, Rig
from tests.support.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.parts import require


@pytest.fixture
async def consume() -> AsyncIterator[Callable[..., Collector]]:
    """`consume(url, ...)` starts a Collector that runs until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    def start(url: str, **options: Any) -> Collector:
        collector = Collector(url, "acme", "gw1", client_id="sink", **options)
        tasks.append(asyncio.ensure_future(collector.run()))
        return collector

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("codec", ["json", "native"])
async def test_every_reading_arrives_over_broker_restarts_and_the_proof_agrees(
    rig: Rig, make_broker: Callable[..., Any], consume: Callable[..., Collector], codec: str
) -> None:
    broker = make_broker()
    sink = consume(broker.url)
    await asyncio.wait_for(sink.connected.wait(), 10)
    rig.uplink(broker.url, codec=codec)
    for count in range(300):
        rig.journal.add("pump", {"count": count, "speed": count / 10})
        if count in {100, 200}:
            broker.restart()
        await asyncio.sleep(0.002)
    await eventually(lambda: sink.ledger.complete() and len(rig.journal.finished["telemetry"]) == 600, within=30)
    row = next(row for row in sink.ledger.report()["streams"] if row["stream"] == "telemetry")
    assert (row["received"], row["missing"], row["conflicts"]) == (600, [], [])


async def test_an_acl_that_denies_a_topic_is_seen_and_loses_nothing(rig: Rig, make_broker: Callable[..., Any]) -> None:
    broker = make_broker(acl=f"topic readwrite {ROOT}/status\ntopic readwrite {ROOT}/birth\ntopic read {ROOT}/down/#\n")
    rig.journal.add("pump", {"speed": 1.5})
    uplink = rig.uplink(broker.url)
    await eventually(lambda: "uplink_refused" in rig.issues())
    assert rig.journal.finished["telemetry"] == set()
    assert uplink.status()["counters"]["refused"] == {f"{ROOT}/up/telemetry": 1}


async def test_client_certificates_are_presented_and_their_lack_is_explained(
    rig: Rig, make_broker: Callable[..., Any], tmp_path: Path
) -> None:
    authority = Certificates(tmp_path / "ca")
    broker = make_broker(tls=authority)
    pair = authority.make("gw1")
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(broker.url, tls=TlsSettings(authority.ca, pair.cert, pair.key))
    await eventually(lambda: rig.journal.finished["telemetry"] == {1})
    rig.uplink(broker.url, tls=TlsSettings(authority.ca), client_id="other")
    await eventually(lambda: "uplink_offline" in rig.issues())
    text = next(issue.text for issue in rig.health.open() if issue.id == "uplink_offline")
    assert "client certificate" in text


async def test_fl_1_a_dead_link_loses_nothing_and_repeats_only_what_was_in_flight(
    rig: Rig, broker: Any, make_proxy: Callable[..., Any], consume: Callable[..., Collector]
) -> None:
    """FL-1 and FL-15: a black hole is noticed by the missing PUBACK, the state says so, everything arrives."""
    proxy = make_proxy(broker.port)
    sink = consume(broker.url)
    await asyncio.wait_for(sink.connected.wait(), 10)
    uplink = rig.uplink(f"mqtt://127.0.0.1:{proxy.port}", ack_timeout_s=1.0)
    await eventually(lambda: uplink.status()["state"] == "online")
    proxy.black_hole()
    for count in range(50):
        rig.journal.add("pump", {"count": count})
    await eventually(lambda: uplink.status()["state"] != "online")
    proxy.pass_()
    await eventually(lambda: len(rig.journal.finished["telemetry"]) == 50 and sink.ledger.complete(), within=30)
    assert all(not row["conflicts"] for row in sink.ledger.report()["streams"])


async def test_fl_15_a_will_says_that_the_gateway_is_gone(
    rig: Rig, broker: Any, consume: Callable[..., Collector]
) -> None:
    """FL-15: without a DISCONNECT the broker publishes the Will, with epoch and session of the dead connection."""
    sink = consume(broker.url)
    uplink = rig.uplink(broker.url)
    await eventually(lambda: sink.ledger.statuses.get("gw1", {}).get("online"))
    session = uplink.status()["session"]
    await rig.close()
    await eventually(lambda: sink.ledger.statuses["gw1"]["online"] is False, within=30)
    status = sink.ledger.statuses["gw1"]
    assert (status["epoch"], status["session"]) == (rig.journal.epoch, session)


async def test_the_real_store_is_delivered_and_proved(
    rig: Rig, broker: Any, consume: Callable[..., Collector], tmp_path: Path
) -> None:
    settings = StoreSettings(tmp_path / "state", commit_interval_s=0.05)
    store = Store(settings, rig.clock, release_ms=1_790_000_000_000, health=rig.health)
    store.open()
    running = asyncio.ensure_future(store.run())
    try:
        (alias,) = store.bind_aliases([("pump", "count")])
        block = Block("pump", [Tag("pump", "count", 0, alias, TagSpec("count", ValueType.UINT32, None))])
        consumer = store.consumer("cloud")
        for count in range(500):
            store.append(Batch(block, [count], rig.clock.wall_ms(), rig.clock.mono()))
        store.append_entry("event", {"ts": 1, "kind": "issue"})
        await store.commit()
        sink = consume(broker.url)
        await asyncio.wait_for(sink.connected.wait(), 10)
        uplink = rig.uplink(broker.url, journal=consumer)
        await eventually(lambda: consumer.backlog().readings == 0 and sink.ledger.complete())
        rows = {row["stream"]: row for row in sink.ledger.report()["streams"]}
        assert rows["telemetry"]["received"] == 500
        assert rows["event"]["received"] >= 1
        late = await collect(broker.url, "acme", "gw1", seconds=1.0, from_first=True)
        assert late["ok"], late
        await uplink.stop()
    finally:
        await rig.close()
        running.cancel()
        await asyncio.wait({running})
        await store.close()


async def test_websockets_carry_the_same_delivery(rig: Rig, broker: Any) -> None:
    """ws:// with a path; the proof reads over it too."""
    require("websockets")
    from tests.integration.uplink.websocket_door import door

    async with door(broker.port) as port:
        await _websockets(rig, broker, f"ws://127.0.0.1:{port}/mqtt")


async def _websockets(rig: Rig, broker: Any, url: str) -> None:
    uplink = rig.uplink(url)
    for count in range(50):
        rig.journal.add("pump", {"count": count, "text": "x" * 2000})
    await eventually(lambda: len(rig.journal.finished["telemetry"]) == 100, within=30)
    assert uplink.status()["url"] == url
    broker.restart()
    rig.journal.add("pump", {"count": 50})
    await eventually(lambda: len(rig.journal.finished["telemetry"]) == 101, within=30)
    report = await collect(url, "acme", "gw1", seconds=1.0, from_first=True)
    assert report["ok"]
