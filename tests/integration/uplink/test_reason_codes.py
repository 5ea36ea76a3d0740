"""What the uplink does with answers that no broker gives on demand. The peer is scripted, byte by byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.integration.uplink.conftest import ROOT, Rig
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually

TELEMETRY = f"{ROOT}/up/telemetry"
EVENT = f"{ROOT}/up/event"


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script())
    await made.start()
    yield made
    await made.stop()


def numbers(peer: Peer) -> list[int]:
    """First numbers of the telemetry messages, in order of sending."""
    return [json.loads(payload)["seq"] for payload in peer.payloads("up/telemetry")]


def done(rig: Rig, stream: str = "telemetry") -> list[int]:
    return sorted(rig.journal.finished[stream])


async def test_fl_3_a_refused_publish_is_not_done_and_other_streams_go_on(rig: Rig, peer: Peer) -> None:
    """FL-3: 0x87 moves no cursor, is an issue, and does not hold back another topic."""
    peer.script.puback = lambda topic, _: 0x87 if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5})
    rig.journal.add_entry("event", {"ts": 1, "kind": "issue"})
    uplink = rig.uplink(peer.url)
    await eventually(lambda: done(rig, "event") == [1] and "uplink_refused" in rig.issues())
    assert done(rig) == []
    assert uplink.status()["counters"]["refused"] == {TELEMETRY: 1}


async def test_fl_3_a_message_without_subscribers_is_done_and_counted(rig: Rig, peer: Peer) -> None:
    peer.script.puback = lambda topic, _: 0x10 if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5})
    uplink = rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1])
    assert uplink.status()["counters"]["unrouted"] == 1
    assert "uplink_unrouted" in rig.issues()


async def test_that_nobody_subscribes_to_one_topic_stays_told_while_others_are_subscribed_to(
    rig: Rig, peer: Peer
) -> None:
    """Cleared by telemetry and set again by the event that told of it, the issue came and went for ever."""
    peer.script.puback = lambda topic, _: 0x10 if topic == EVENT else 0
    changes = []
    rig.health.listen(lambda issue, is_set: changes.append((issue.id, is_set)))
    rig.uplink(peer.url)
    for value in range(3):
        rig.journal.add_entry("event", {"ts": value, "kind": "issue"})
        rig.journal.add("pump", {"speed": value})
        await eventually(lambda value=value: len(done(rig)) == len(done(rig, "event")) == value + 1)
    assert [change for change in changes if change[0] == "uplink_unrouted"] == [("uplink_unrouted", True)]
    assert "uplink_unrouted" in rig.issues()


async def test_what_nobody_was_subscribed_to_goes_to_the_consumer_again_when_it_is_back(rig: Rig, peer: Peer) -> None:
    """A broker that was started anew has forgotten its subscribers; a gateway may be back before they are."""
    peer.script.puback = lambda topic, _: 0x10 if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url, ack="consumer")
    await eventually(lambda: numbers(peer) == [1])
    rig.journal.add("pump", {"speed": 2.5})
    await eventually(lambda: numbers(peer) == [1, 2])
    peer.script.puback = lambda _topic, _: 0
    rig.journal.add("pump", {"speed": 3.5})
    await eventually(lambda: numbers(peer)[3:] and set(numbers(peer)[3:]) >= {1})
    assert numbers(peer)[:3] == [1, 2, 3]


async def test_fl_11_a_poison_message_becomes_a_dead_letter_and_the_rest_passes(rig: Rig, peer: Peer) -> None:
    """FL-11: 0x99 three times, then a gap `refused`; the next message is not held up."""
    peer.script.puback = lambda topic, payload: 0x99 if topic == TELEMETRY and b"poison" in payload else 0
    rig.journal.add("pump", {"name": "poison"})
    uplink = rig.uplink(peer.url)
    await eventually(lambda: rig.journal.refused)
    rig.journal.add("pump", {"name": "fine"})
    await eventually(lambda: done(rig) == [1, 2] and not rig.journal.gap_rows)
    assert rig.journal.refused == [("telemetry", 1, 1, "refused", 0x99)]
    assert numbers(peer) == [1, 1, 1, 2]
    assert [json.loads(gap)["why"] for gap in peer.payloads("up/gap")] == ["refused"]
    assert uplink.status()["counters"]["dead"] == 1


async def test_fl_11_a_quota_is_backed_off_and_the_readings_arrive_later(rig: Rig, peer: Peer) -> None:
    answers = iter([0x97, 0x80])
    peer.script.puback = lambda topic, _: next(answers, 0) if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1], within=20)
    assert numbers(peer) == [1, 1, 1]


async def test_fl_11_a_packet_id_in_use_drops_the_connection_and_sends_again(rig: Rig, peer: Peer) -> None:
    answers = iter([0x91])
    peer.script.puback = lambda topic, _: next(answers, 0) if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1])
    assert len(peer.levels) == 2


async def test_a_disconnect_for_size_halves_the_messages(rig: Rig, peer: Peer) -> None:
    peer.script.puback = lambda topic, payload: "disconnect:95" if topic == TELEMETRY and len(payload) > 3000 else 0
    for count in range(100):
        rig.journal.add("pump", {f"tag{i}": count + i for i in range(10)}, commit=False)
    rig.journal.commit()
    rig.uplink(peer.url, max_payload=6000)
    await eventually(lambda: len(done(rig)) == 1000, within=20)
    sizes = [len(payload) for payload in peer.payloads("up/telemetry")]
    assert max(sizes) > 3000
    assert all(size <= 3000 for size in sizes[-5:])


async def test_no_puback_in_time_ends_the_connection_and_nothing_is_resent_on_it(rig: Rig, peer: Peer) -> None:
    silent = [True]
    peer.script.puback = lambda topic, _: None if topic == TELEMETRY and silent[0] else 0
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url, ack_timeout_s=0.3)
    await eventually(lambda: len(peer.levels) >= 2)
    assert done(rig) == []
    silent[0] = False
    await eventually(lambda: done(rig) == [1])
    assert not any(publish.dup for publish in peer.published)


async def test_the_servers_receive_maximum_bounds_what_is_in_flight(rig: Rig, peer: Peer) -> None:
    peer.script.receive_maximum = 3
    peer.script.hold_acks = True
    for count in range(100):
        rig.journal.add("pump", {"speed": float(count)})
    rig.uplink(peer.url, batch_readings=5)
    await eventually(lambda: peer.most == 3)
    peer.release()
    await eventually(lambda: len(done(rig)) == 100)
    assert peer.most == 3


async def test_a_server_that_names_a_packet_size_never_gets_a_larger_payload(rig: Rig, peer: Peer) -> None:
    peer.script.max_packet = 4000
    for count in range(100):
        rig.journal.add("pump", {f"tag{i}": count + i for i in range(10)}, commit=False)
    rig.journal.commit()
    rig.uplink(peer.url)
    await eventually(lambda: len(done(rig)) == 1000)
    assert max(len(publish.payload) for publish in peer.published) <= 4000 - 1024


@pytest.mark.parametrize("way", ["connack", "close"])
async def test_a_broker_of_mqtt_3_1_1_is_used_and_remembered_with_limited_proof(rig: Rig, peer: Peer, way: str) -> None:
    peer.script.only_311 = way == "connack"
    peer.script.close_v5 = way == "close"
    rig.journal.add("pump", {"speed": 1.5})
    uplink = rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1], within=30)
    assert uplink.status()["proof"] == "limited"
    assert rig.journal.states["level"][peer.url][0] == 4
    assert peer.levels[-1] == 4
    tries = len(peer.levels)
    peer.hang_up()
    rig.journal.add("pump", {"speed": 2.5})
    await eventually(lambda: done(rig) == [1, 2])
    assert set(peer.levels[tries:]) == {4}


async def test_fl_8_a_broker_that_never_answers_a_subscribe_still_gets_the_data(rig: Rig, peer: Peer) -> None:
    """FL-8: an optional answer that never comes holds nothing back."""
    peer.script.suback = False
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1])


async def test_fl_10_a_change_of_codec_sends_what_waits_with_its_old_numbers(rig: Rig, peer: Peer) -> None:
    """FL-10: the backlog survives a change of export settings."""
    from gateway.uplink.codecs.decode import decode_batch

    peer.script.puback = lambda topic, _: None if topic == TELEMETRY else 0
    rig.journal.add("pump", {"speed": 1.5, "on": True})
    first = rig.uplink(peer.url)
    await eventually(lambda: peer.payloads("up/telemetry"))
    await first.stop()
    peer.script.puback = lambda topic, _: 0
    rig.uplink(peer.url, codec="native")
    await eventually(lambda: done(rig) == [1, 2])
    tags = {row.alias: (row.device, row.tag, "") for row in rig.journal.alias_rows.values()}
    json_form, native_form = (decode_batch(peer.payloads("up/telemetry")[at]) for at in (0, -1))
    assert json_form is not None
    assert native_form is not None
    assert list(json_form.readings({})) == list(native_form.readings(tags))


async def test_a_birth_is_acknowledged_before_the_first_native_message_of_its_dictionary(rig: Rig, peer: Peer) -> None:
    peer.script.hold_acks = True
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url, codec="native")
    await eventually(lambda: f"{ROOT}/birth" in peer.topics())
    assert TELEMETRY not in peer.topics()
    peer.release()
    await eventually(lambda: done(rig) == [1])


async def test_fl_9_reconnects_do_not_send_again_what_was_acknowledged(rig: Rig, peer: Peer) -> None:
    """FL-9: neither readings nor an unchanged birth."""
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url)
    await eventually(lambda: done(rig) == [1])
    for _ in range(3):
        seen = len(peer.levels)
        peer.hang_up()
        await eventually(lambda seen=seen: len(peer.levels) > seen)
    rig.journal.add("pump", {"speed": 2.5})
    await eventually(lambda: done(rig) == [1, 2])
    assert numbers(peer) == [1, 2]
    assert peer.topics().count(f"{ROOT}/birth") == 1


async def test_an_inbound_command_is_confirmed_when_it_is_on_disk_and_answered_as_often_as_it_came(
    rig: Rig, peer: Peer
) -> None:
    import asyncio

    gate = asyncio.Event()

    async def slow(op: str, device: str | None, args: dict[str, object], caller: object) -> dict[str, object]:
        await gate.wait()
        return {"out": {}}

    uplink = rig.uplink(peer.url, handler=slow)
    await eventually(lambda: uplink.status()["state"] == "online" and peer.topics())
    peer.push(f"{ROOT}/down/command/c1", b'{"v":1,"rid":"c1","op":"read"}', 7)
    peer.push(f"{ROOT}/down/command/c1", b'{"v":1,"rid":"c1","op":"read"}', 8)
    await eventually(lambda: peer.confirmed == [7, 8])
    assert peer.payloads("result/c1") == [], "it is still at work"
    gate.set()
    await eventually(lambda: len(peer.payloads("result/c1")) == 2)
    results = [json.loads(payload) for payload in peer.payloads("result/c1")]
    assert results[0] == results[1]
    assert results[0]["state"] == "done"


async def test_with_consumer_acks_only_the_consumer_moves_the_cursor(rig: Rig, peer: Peer) -> None:
    rig.journal.add("pump", {"a": 1, "b": 2})
    rig.journal.add("pump", {"a": 3, "b": 4})
    uplink = rig.uplink(peer.url, ack="consumer")
    await eventually(lambda: uplink.status()["counters"]["acked"] >= 1)
    assert done(rig) == []
    epoch = rig.journal.epoch
    peer.push(f"{ROOT}/down/ack", json.dumps({"v": 1, "stream": "telemetry", "epoch": epoch, "upto": 3}).encode(), 1)
    await eventually(lambda: peer.confirmed == [1])
    assert done(rig) == [1, 2]  # 3 is inside an entry: rounded down to its border
    peer.push(f"{ROOT}/down/ack", json.dumps({"v": 1, "stream": "telemetry", "epoch": epoch, "upto": 99}).encode(), 2)
    await eventually(lambda: peer.confirmed == [1, 2])
    assert done(rig) == [1, 2]
    assert uplink.status()["counters"]["bad_acks"] == 1


async def test_a_planned_stop_says_so(rig: Rig, peer: Peer) -> None:
    uplink = rig.uplink(peer.url)
    await eventually(lambda: any(topic.endswith("/status") for topic in peer.topics()))
    await uplink.stop()
    last = json.loads(peer.payloads("/status")[-1])
    assert (last["online"], last["reason"]) == (False, "shutdown")
    assert uplink.status()["state"] == "stopped"
