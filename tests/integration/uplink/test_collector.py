"""The proof's collector against brokers that answer in other ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.ledger import Ledger
from gateway.proof import Collector, collect
from tests.integration.uplink.conftest import ROOT
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script())
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("way", ["only_311", "close_v5", "silent_v5"])
async def test_a_broker_that_does_not_know_mqtt_5_is_read_with_3_1_1(peer: Peer, way: str) -> None:
    """CONNACK 0x01, a close, and amqtt's way: silence."""
    setattr(peer.script, way, True)
    collector = Collector(peer.url, "acme", "gw1")
    running = asyncio.create_task(collector.run())
    await asyncio.wait_for(collector.connected.wait(), 30)
    assert peer.levels == [5, 4]
    peer.push(
        f"{ROOT}/up/telemetry",
        b'{"v":1,"gateway":"gw1","stream":"telemetry","epoch":1,"seq":1,"n":1,"batches":[{"device":"d","ts":1,"seq":1,"values":{"a":1}}]}',
        1,
    )
    await eventually(lambda: ("gw1", "telemetry", 1) in collector.ledger.streams)
    running.cancel()
    await asyncio.wait({running})


async def test_a_refused_subscription_is_a_plain_permission_error(peer: Peer) -> None:
    peer.script.suback_code = 0x87
    with pytest.raises(PermissionError, match="subscription"):
        await collect(peer.url, "acme", "gw1", seconds=20.0)


async def test_no_broker_is_a_connection_error(peer: Peer) -> None:
    await peer.stop()
    with pytest.raises(ConnectionError, match="no connection"):
        await collect(peer.url, "acme", "gw1", seconds=0.5)


async def test_acks_are_given_again_on_a_new_connection(peer: Peer) -> None:
    """A broker that was killed may have lost them, and the gateway waits for them."""
    collector = Collector(peer.url, "acme", "gw1", ack_s=0.02)
    running = asyncio.create_task(collector.run())
    await asyncio.wait_for(collector.connected.wait(), 10)
    collector.ledger._of("gw1", "telemetry", 1).range(1, 7)
    await eventually(lambda: peer.payloads("down/ack"))
    peer.hang_up()
    await eventually(lambda: len(peer.payloads("down/ack")) == 2)
    assert {json.loads(ack)["upto"] for ack in peer.payloads("down/ack")} == {7}
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.parametrize("topic", ["status", "birth", "birth/1", "up/telemetry", "up/gap"])
@pytest.mark.parametrize(
    "body", [{}, {"streams": 1}, {"part": 1}, {"tags": [[]], "hash": "x"}, {"epoch": "x", "streams": {"a": {}}}]
)
def test_messages_of_another_shape_end_no_proof(topic: str, body: dict[str, object]) -> None:
    ledger = Ledger()
    ledger.take(f"{ROOT}/{topic}", json.dumps({"v": 1, **body}).encode())
    assert not ledger.streams or topic == "status"


def test_parts_of_a_birth_that_come_twice_are_kept_once() -> None:
    ledger = Ledger()
    for _ in range(3):
        for part in (1, 2):
            body = {"v": 1, "hash": "h", "part": part, "tags": [[part, "d", f"t{part}", "int16"]]}
            ledger.take(f"{ROOT}/birth/{part}", json.dumps(body).encode())
        ledger.take(f"{ROOT}/birth", b'{"v":1,"hash":"h","dict":2,"parts":2}')
    assert ledger.tags["gw1"] == {1: ("d", "t1", "int16"), 2: ("d", "t2", "int16")}
    assert list(ledger._parts["gw1"]["h"]) == [1, 2]
