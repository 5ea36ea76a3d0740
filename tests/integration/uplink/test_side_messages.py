"""Messages beside the journal, over a real broker and over one that misbehaves as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.uplink.side import MAX_TOPIC, TRIES, WAITING, NotPublished, check_topic
from tests.integration.uplink.conftest import ROOT, Rig
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually
from tests.support.sink import Sink


async def online(uplink: Any) -> None:
    await eventually(lambda: uplink.status()["state"] == "online")


async def refused(publishing: Any) -> int:
    with pytest.raises(NotPublished) as caught:
        await publishing
    return caught.value.code


@pytest.mark.parametrize("codec", ["json", "flat"])
@pytest.mark.parametrize("retain", [False, True])
async def test_a_message_is_with_the_broker_when_publish_returns(
    rig: Rig, make_broker: Callable[..., Any], make_sink: Callable[..., Sink], codec: str, retain: bool
) -> None:
    broker = make_broker()
    uplink = rig.uplink(broker.url, codec=codec, **({"qos": 0} if codec == "flat" else {}))
    await online(uplink)
    early = make_sink(broker.port, topic="plant/#", client_id="early")
    await uplink.publish("plant/alarm", b"hot", retain=retain)
    late = make_sink(broker.port, topic="plant/#", client_id="late")
    if retain:
        await eventually(lambda: [m.payload for m in late.messages if m.topic == "plant/alarm"] == [b"hot"])
    await eventually(lambda: [m.payload for m in early.messages if m.topic == "plant/alarm"] == [b"hot"])


async def test_messages_wait_for_a_broker_and_come_in_order(
    rig: Rig, make_broker: Callable[..., Any], make_sink: Callable[..., Sink]
) -> None:
    broker = make_broker()
    sink = make_sink(broker.port, topic="plant/#")
    broker.stop()
    uplink = rig.uplink(broker.url)
    sending = [asyncio.ensure_future(uplink.publish("plant/n", str(n).encode())) for n in range(20)]
    await asyncio.sleep(0.1)
    broker.start()
    await asyncio.wait_for(asyncio.gather(*sending), 30)
    await eventually(lambda: [int(m.payload) for m in sink.messages if m.topic == "plant/n"] == list(range(20)))


async def test_a_message_that_finds_no_broker_expires(rig: Rig, make_broker: Callable[..., Any]) -> None:
    broker = make_broker(start=False)
    uplink = rig.uplink(broker.url)
    assert await refused(uplink.publish("plant/alarm", b"x", expiry_s=0.2)) == 408


async def test_the_queue_is_bounded_and_the_newest_is_refused(rig: Rig, make_broker: Callable[..., Any]) -> None:
    uplink = rig.uplink(make_broker(start=False).url)
    waiting = [asyncio.ensure_future(uplink.publish("a", b"x")) for _ in range(WAITING)]
    await asyncio.sleep(0)
    assert await refused(uplink.publish("a", b"x")) == 429
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    one_more = asyncio.ensure_future(uplink.publish("a", b"x"))
    await asyncio.sleep(0)
    assert not one_more.done()
    await uplink.stop()
    ends = await asyncio.gather(*waiting[1:], one_more, return_exceptions=True)
    assert {end.code for end in ends if isinstance(end, NotPublished)} == {503}
    assert len(ends) == WAITING
    assert await refused(uplink.publish("a", b"x")) == 503


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a/+",
        "a/#",
        "a\0b",
        "$SYS/broker",
        "$share/g/t",
        ROOT,
        f"{ROOT}/down/cmd/1",
        "fp/1/acme/other/down/cmd/1",
        "fp",
        "x" * (MAX_TOPIC + 1),
        "\u00e4" * (MAX_TOPIC // 2 + 1),
        "\udc80",
    ],
)
def test_topics_that_are_not_free_are_refused(topic: str) -> None:
    with pytest.raises(NotPublished) as caught:
        check_topic(topic)
    assert caught.value.code == 400


@pytest.mark.parametrize("topic", ["plant/alarm", "fpx/1", "/fp/1", "x" * MAX_TOPIC, "line 1/\u00e4"])
def test_other_topics_are_taken(topic: str) -> None:
    check_topic(topic)


@pytest.fixture
async def make_peer() -> Any:
    peers = []

    async def make(**script: Any) -> Peer:
        peer = Peer(Script(**script))
        await peer.start()
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        await peer.stop()


def side(topic: str, then: Any) -> Callable[[str, bytes], Any]:
    return lambda name, _payload: then if name == topic else 0


async def test_a_broker_that_refuses_the_topic_is_told_as_403(rig: Rig, make_peer: Any) -> None:
    peer = await make_peer(puback=side("plant/no", 0x87))
    uplink = rig.uplink(peer.url)
    assert await refused(uplink.publish("plant/no", b"x")) == 403
    await uplink.publish("plant/yes", b"x")


async def test_a_broker_that_never_acknowledges_is_told_as_408(rig: Rig, make_peer: Any) -> None:
    peer = await make_peer(puback=side("plant/no", None))
    uplink = rig.uplink(peer.url)
    await online(uplink)
    assert await refused(uplink.publish("plant/no", b"x", expiry_s=0.5)) == 408


async def test_a_lost_connection_sends_the_message_again_on_the_next_one(rig: Rig, make_peer: Any) -> None:
    peer = await make_peer(hold_acks=True)
    uplink = rig.uplink(peer.url)
    sending = asyncio.ensure_future(uplink.publish("plant/alarm", b"x"))
    await eventually(lambda: "plant/alarm" in peer.topics())
    peer.script.hold_acks = False
    peer.hang_up()
    await asyncio.wait_for(sending, 20)
    assert peer.topics().count("plant/alarm") == 2


async def test_a_message_on_which_the_broker_hangs_up_is_given_up(rig: Rig, make_peer: Any) -> None:
    peer = await make_peer(puback=side("plant/no", "disconnect:0x87"))
    uplink = rig.uplink(peer.url, reconnect_max_s=0.2)
    assert await refused(uplink.publish("plant/no", b"x")) == 504
    assert peer.topics().count("plant/no") == TRIES
    await uplink.publish("plant/yes", b"x")


async def test_a_message_that_the_broker_cannot_take_is_not_sent(rig: Rig, make_peer: Any) -> None:
    peer = await make_peer(max_packet=2000)
    uplink = rig.uplink(peer.url, max_payload=4000)
    assert await refused(uplink.publish("plant/big", b"x" * 3000)) == 413
    assert await refused(uplink.publish("plant/big", b"x" * 5000)) == 413
    assert "plant/big" not in peer.topics()
