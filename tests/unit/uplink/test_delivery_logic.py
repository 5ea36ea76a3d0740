"""Delivery over a broker in memory on a manual clock: order, shares, refusals, foreign input. Counts, never times."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random

import pytest

from gateway.journal import Gap
from gateway.mqttclient.connection import ConnectFailed, ConnectOptions, Outgoing
from gateway.uplink.lanes import Lane, Parcel
from gateway.uplink.order import LIVE
from tests.unit.uplink.memory_journal import MemoryJournal
from tests.unit.uplink.virtual import ROOT, NoJitter, VirtualConnection, VirtualRig


class Latest(Random):
    """Draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig()
    yield made
    await made.stop()


def fill(rig: VirtualRig, messages: int, tags: int = 10) -> None:
    for count in range(messages):
        rig.journal.add("pump", {f"tag{i}": count + i for i in range(tags)}, ts=rig.clock.wall_ms(), commit=False)
    rig.journal.commit()


def covered(rig: VirtualRig) -> list[int]:
    return [n for body in rig.broker.bodies("up/telemetry") for n in range(body["seq"], body["seq"] + body["n"])]


async def test_fl_7_with_a_token_bucket_the_backlog_ends_although_small_live_messages_could_take_it_all(
    rig: VirtualRig,
) -> None:
    """FL-7, J19: what the floor owes to the backlog is saved up for; else smaller messages would always come first."""
    for _ in range(3):
        rig.journal.add("pump", {f"tag{i}": "x" * 80 for i in range(100)}, commit=False)
    rig.journal.commit()
    await rig.start(bytes_per_s=12_000.0, batch_readings=100)
    for count in range(50):
        for part in range(15):
            rig.journal.add(
                "mixer", {f"t{i}": count + i for i in range(100)}, ts=1_795_000_000_000 + part, commit=False
            )
        rig.journal.commit()
        await rig.clock.advance(1.0)
    assert rig.broker.bytes <= 12_000 * 52 * 1.1
    messages = rig.broker.bodies("up/telemetry")
    assert sum(body["n"] for body in messages if body.get("historical")) == 300
    assert sum(body["n"] for body in messages if not body.get("historical")) > 30_000


async def test_fl_7_a_drain_leaves_live_data_its_place_on_a_slow_line(rig: VirtualRig) -> None:
    """FL-7: the backlog takes what live leaves; p99 of live from commit to PUBACK stays below 2 s, and it ends."""
    fill(rig, 5000)
    rig.broker.bytes_per_s, rig.broker.delay = 60_000.0, 0.2
    uplink = await rig.start()
    worst = []
    for count in range(120):
        rig.journal.add("mixer", {f"tag{i}": count + i for i in range(100)}, ts=rig.clock.wall_ms())
        await rig.clock.advance(1.0)
        worst.append(uplink.status()["live_p99_ms"])
        if rig.journal.finished["telemetry"] >= set(range(1, 50_001)):
            break
    assert rig.journal.finished["telemetry"] >= set(range(1, 50_001))
    messages = rig.broker.bodies("up/telemetry")
    assert {body["seq"] <= 50_000 for body in messages if body.get("historical")} == {True}
    assert {body["seq"] > 50_000 for body in messages if not body.get("historical")} == {True}
    print(f"live p99 each second during the drain: {worst}")
    assert max(worst) < 2000
    assert len(covered(rig)) == len(set(covered(rig)))


def test_a_success_that_was_on_its_way_does_not_end_a_back_off() -> None:
    """A broker that refuses some of what is in flight is not tried again at once because it took the others."""
    lane = Lane("up/telemetry", Latest())
    first, second = (Parcel(LIVE, Outgoing("t", b""), "telemetry", 1, n, n, 1, 0.0, sent=5.0) for n in (1, 2))
    lane.refused(first, 6.0)
    assert not lane.accepted(second)
    assert not lane.open(6.5)
    assert lane.open(7.0)
    first.sent = 7.0
    assert lane.accepted(first)
    lane.deny(first, 8.0)
    assert not lane.accepted(second)
    assert not lane.open(9.0)


class EarlyJournal(MemoryJournal):
    """Reads see a commit before the consumer's side has taken note of it, as on a disk that a thread writes."""

    known = 0

    def mark(self, stream: str) -> tuple[int, int]:
        return self.epoch, min(self.known, self.last[stream])

    def done(self, stream: str, epoch: int, first: int, last: int) -> None:
        super().done(stream, epoch, first, min(last, self.known))


@pytest.mark.parametrize("stream", ["telemetry", "event"])
async def test_nothing_is_sent_before_its_acknowledgement_could_be_taken(rig: VirtualRig, stream: str) -> None:
    """J13: else the acknowledgement is lost, and the cursor keeps a hole until the next connection."""
    rig.journal = journal = EarlyJournal()
    await rig.start(batch_age_s=0.0)
    for count in range(1, 21):
        if stream == "telemetry":
            journal.add("pump", {"speed": count})
        else:
            journal.add_entry(stream, {"ts": 1, "kind": "issue"})
        await rig.clock.advance(1.0)
        assert not journal.finished[stream] - set(range(1, count))
        journal.known = count
        journal.commit()
        await rig.clock.advance(1.0)
        assert journal.finished[stream] == set(range(1, count + 1))


async def test_a_birth_that_is_refused_is_not_sent_with_each_commit(rig: VirtualRig) -> None:
    rig.broker.answer = lambda message: 0x87 if message.topic.endswith("birth") else 0
    uplink = await rig.start()
    for count in range(30):
        rig.journal.add("pump", {"speed": count}, ts=rig.clock.wall_ms())
        await rig.clock.advance(1.0)
    assert rig.broker.topics().count("birth") == 1
    assert "uplink_birth" in rig.issues()
    rig.broker.answer = lambda message: 0
    uplink.rebirth()
    await rig.clock.advance(1.0)
    assert rig.broker.topics().count("birth") == 2
    assert "uplink_birth" not in rig.issues()


async def test_a_consumer_that_owed_nothing_for_long_is_not_called_silent_by_the_first_reading(rig: VirtualRig) -> None:
    await rig.start(ack="consumer")
    await rig.clock.advance(3600.0)
    rig.journal.add("pump", {"speed": 1.5})
    await rig.clock.advance(60.0)
    assert covered(rig) == [1]
    assert "uplink_no_ack" not in rig.issues()
    rig.broker.push("down/ack", {"v": 1, "stream": "telemetry", "epoch": rig.journal.epoch, "upto": 1})
    await rig.clock.advance(3600.0)
    rig.journal.add("pump", {"speed": 2.5})
    await rig.clock.advance(400.0)
    assert "uplink_no_ack" in rig.issues()
    assert covered(rig).count(2) == 2
    assert covered(rig).count(1) == 1


async def test_with_consumer_acks_the_lost_tail_of_an_old_epoch_is_told_once_and_then_done(rig: VirtualRig) -> None:
    tail = Gap("telemetry", rig.journal.epoch - 5, None, None, None, 1, 2, "store")
    rig.journal.gap_rows.append(tail)
    rig.journal.add("pump", {"speed": 1.5})
    await rig.start(ack="consumer")
    await rig.clock.advance(2.0)
    assert rig.journal.gap_rows == [tail]
    rig.broker.push("down/ack", {"v": 1, "stream": "telemetry", "epoch": rig.journal.epoch, "upto": 1})
    await rig.clock.settle()
    assert rig.journal.gap_rows == []


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("down/command/c1", b'{"v":1,"rid":"c1","op":"read","args":{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}}"),
        ("down/ack", b'{"v":1,"stream":"telemetry","epoch":1,"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        ("down/ack", b'{"v":1,"stream":"telemetry","epoch":-7,"upto":1}'),
        ("down/ack", b'{"v":1,"stream":"telemetry","epoch":1,"upto":' + b"9" * 30 + b"}"),
        ("down/ack", b'{"v":1,"stream":"telemetry","epoch":1,"ranges":[[-4,99999999999999999999]]}'),
        ("down/ack", b'{"v":1,"stream":"none","epoch":1,"upto":1}'),
        ("down/command/c1", b"\xff\xfe"),
        ("down/command/", b"{}"),
        ("down/other", b"\x78\x9c broken"),
    ],
)
async def test_foreign_input_is_confirmed_and_ends_nothing(rig: VirtualRig, topic: str, payload: bytes) -> None:
    """W6: what a broker would give again after each connection must not end the connection."""
    uplink = await rig.start()
    rig.broker.push(topic, payload, ticket=5)
    await rig.clock.settle()
    await rig.clock.advance(1.0)
    assert rig.broker.confirmed == [5]
    assert uplink.status()["state"] == "online"
    assert len(rig.broker.connections) == 1


async def test_a_birth_goes_in_parts_that_a_small_broker_takes_and_left_over_parts_are_cleared(rig: VirtualRig) -> None:
    rig.broker.max_packet = 4000
    rig.journal.add("plant", {f"tag{i}": i for i in range(300)})
    await rig.start(random=NoJitter())
    await rig.clock.advance(2.0)
    topics = [topic for topic in rig.broker.topics() if topic.startswith("birth")]
    parts = len(topics) - 1
    assert parts > 2
    assert topics == [f"birth/{part}" for part in range(1, parts + 1)] + ["birth"]
    assert max(len(message.payload) for message in rig.broker.published) <= 4000 - 1024
    head = rig.broker.bodies("birth")[-1]
    rows = [row for part in range(1, parts + 1) for row in rig.broker.bodies(f"birth/{part}")[-1]["tags"]]
    assert (head["parts"], len(rows), "tags" in head) == (parts, 300, False)
    assert {rig.broker.bodies(f"birth/{part}")[0]["hash"] for part in range(1, parts + 1)} == {head["hash"]}
    # the broker allows more now, and the model is another: one message, and the parts go
    rig.broker.max_packet = None
    rig.journal.alias("plant", "new")
    seen = len(rig.broker.published)
    rig.broker.drop()
    await rig.clock.advance(5.0)
    later = [(m.topic.removeprefix(f"{ROOT}/"), m.payload) for m in rig.broker.published[seen:]]
    births = [(topic, payload) for topic, payload in later if topic.startswith("birth")]
    assert [topic for topic, _ in births] == ["birth"] + [f"birth/{part}" for part in range(1, parts + 1)]
    assert {payload for topic, payload in births if topic != "birth"} == {b""}


@pytest.mark.parametrize("code", [0x96, 0x97, 0x9F])
async def test_a_broker_that_is_overloaded_gets_half_the_rate(rig: VirtualRig, code: int) -> None:
    """protocol.md 2.4: DISCONNECT 0x96, 0x97, 0x9F halve the rates; a quiet connection gives them back."""
    fill(rig, 2000)
    rig.broker.delay = 0.5
    await rig.start(random=NoJitter(), batch_readings=100, bytes_per_s=8000.0, messages_per_s=8.0)
    await rig.clock.advance(10.0)
    for expected in (8000.0, 4000.0, 2000.0):
        before = rig.broker.bytes
        await rig.clock.advance(10.0)
        assert rig.broker.bytes - before <= expected * 10 * 1.25 + 2000
        rig.broker.drop(code)
        await rig.clock.advance(5.0)
    await rig.clock.advance(700.0)
    assert set(range(1, 20_001)) == rig.journal.finished["telemetry"]
    rig.broker.drop()
    await rig.clock.advance(5.0)
    fill(rig, 100)
    before = rig.broker.bytes
    await rig.clock.advance(2.0)
    assert rig.broker.bytes > before


async def test_a_server_reference_is_followed_for_at_most_three_hops(rig: VirtualRig) -> None:
    asked: list[str] = []

    async def elsewhere(url: str, options: ConnectOptions) -> VirtualConnection:
        asked.append(url)
        raise ConnectFailed(url, code=0x9C, reference=f"broker{len(asked)}.example:1884")

    rig.broker.connect = elsewhere  # type: ignore[method-assign]
    uplink = await rig.start()
    assert asked == ["mqtt://broker.example"] + [f"mqtt://broker{n}.example:1884" for n in (1, 2, 3)]
    assert uplink.status()["state"] == "offline"


async def test_a_server_reference_leads_to_the_broker_it_names(rig: VirtualRig) -> None:
    connect, asked = rig.broker.connect, []

    async def moved(url: str, options: ConnectOptions) -> VirtualConnection:
        asked.append(url)
        if len(asked) < 3:
            raise ConnectFailed(url, code=0x9D, reference=f"broker{len(asked)}.example")
        return await connect(url, options)

    rig.broker.connect = moved  # type: ignore[method-assign]
    rig.journal.add("pump", {"speed": 1.5})
    uplink = await rig.start()
    await rig.clock.advance(1.0)
    assert uplink.status()["state"] == "online"
    assert rig.journal.finished["telemetry"] == {1}


async def test_status_says_what_the_last_connection_was(rig: VirtualRig) -> None:
    await rig.start()
    assert json.loads(rig.broker.published[0].payload)["online"] is True
    assert rig.broker.options[0].will is not None
