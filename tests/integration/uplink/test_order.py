"""The order on the wire, gap records, and the consumer that stays silent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from gateway.journal import Gap
from gateway.uplink import delivery
from tests.integration.uplink.conftest import ROOT, Rig
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script(receive_maximum=1))
    await made.start()
    yield made
    await made.stop()


def up(peer: Peer) -> list[str]:
    return [topic.removeprefix(f"{ROOT}/up/") for topic in peer.topics() if "/up/" in topic]


async def test_alarms_and_gaps_go_before_events_and_events_before_the_backlog(rig: Rig, peer: Peer) -> None:
    """J6, with a window of one."""
    rig.journal.add("pump", {"speed": 1.5})
    rig.journal.add("pump", {"speed": 2.5})
    rig.journal.add_entry("event", {"ts": 1, "kind": "issue"})
    rig.journal.add_entry("alarm", {"ts": 1, "kind": "alarm"})
    rig.journal.drop("telemetry", 1)
    rig.uplink(peer.url)
    await eventually(lambda: rig.journal.finished["telemetry"] == {1, 2})
    assert up(peer) == ["alarm", "gap", "event", "telemetry"]


async def test_a_gap_record_goes_only_by_its_own_acknowledgement(rig: Rig, peer: Peer) -> None:
    """J8: the record grows while its older form is in flight; acknowledging the older form removes nothing."""
    for count in range(6):
        rig.journal.add("pump", {"speed": float(count)})
    old = rig.journal.drop("telemetry", 2)
    held = [True]
    peer.script.puback = lambda topic, _: None if held[0] and topic.endswith("up/gap") else 0
    rig.uplink(peer.url)
    await eventually(lambda: peer.payloads("up/gap"))
    grown = rig.journal.drop("telemetry", 4)
    assert (old.last, grown.first, grown.last) == (2, 1, 4)
    after_old: list[list[Gap]] = []
    removed = rig.journal.gap_done

    def gap_done(gap: Gap) -> None:
        removed(gap)
        after_old.append(list(rig.journal.gap_rows))

    rig.journal.gap_done = gap_done  # type: ignore[method-assign]
    held[0] = False
    peer.release()
    await eventually(lambda: not rig.journal.gap_rows)
    assert [json.loads(payload)["to"] for payload in peer.payloads("up/gap")] == [2, 4]
    assert after_old == [[grown], []]


async def test_live_readings_go_before_older_ones_and_only_older_ones_are_historical(rig: Rig, peer: Peer) -> None:
    for count in range(40):
        rig.journal.add("pump", {"speed": float(count)})
    peer.script.hold_acks = True
    rig.uplink(peer.url, batch_readings=2, batch_age_s=0.0)
    await eventually(lambda: peer.published)
    rig.journal.add("pump", {"speed": 99.0})
    peer.release()
    await eventually(lambda: len(rig.journal.finished["telemetry"]) == 41)
    messages = [json.loads(payload) for payload in peer.payloads("up/telemetry")]
    place = next(at for at, message in enumerate(messages) if message["seq"] == 41)
    assert place < len(messages) - 1
    assert {message["seq"] for message in messages if not message.get("historical")} == {41}


async def test_a_silent_consumer_gets_everything_again_and_is_an_issue(
    rig: Rig, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SILENT_CONSUMER_S", 0.5)
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url, ack="consumer")
    await eventually(lambda: len(peer.payloads("up/telemetry")) >= 2)
    assert "uplink_no_ack" in rig.issues()
    assert rig.journal.finished["telemetry"] == set()
