"""Rules over kill -9: what was in the middle goes on, what was done is not done again, what is not known is not acted on."""

from __future__ import annotations

import random
import time

import pytest

from tests.support.eventually import wait_until
from tests.support.ruled import HOT, OFF, ON, SIREN, VALVE, Ruled
from tests.support.scale import scaled

ROUNDS = scaled(3, 20)
pytestmark = pytest.mark.timeout(scaled(300, 3600))


def wait_commits(ruled: Ruled, more: int = 2) -> None:
    """Wait until the store has committed so often from now on: what the rules keep now is on disk."""

    def commits() -> int:
        return int(ruled.gateway.status()["journal"]["commits"])

    begun = commits()
    wait_until(lambda: commits() >= begun + more, 30, every=0.05, why="commits")


def test_killed_in_the_middle_of_its_time_a_rule_goes_on_with_what_was_left(ruled: Ruled, seed: int) -> None:
    """What passed while nobody watched counts for nothing, and what passed before is not lost."""
    draw = random.Random(seed)
    end = [{"write": {"boiler.valve": False}}]
    ruled.rules(hot={**HOT, "for": "4s", "alarm": {"priority": "high"}, "end": end})
    ruled.start()
    for number in range(ROUNDS):
        ruled.set(temperature=85)
        ruled.wait_polls(4)
        wait_commits(ruled)
        time.sleep(draw.uniform(0, 0.5))
        killed = int(time.time() * 1000)
        ruled.crash()
        ruled.wait_writes([(VALVE, ON), (VALVE, OFF)] * number + [(VALVE, ON)])
        entry = ruled.wait_states("hot", *["unack_active", "unack_rtn"] * number, "unack_active")[-1]
        assert entry["t_cond"] < killed, "it began before the kill"
        assert entry["t_active"] > entry["t_cond"] + 4000, "the time in between did not count"
        ruled.set(temperature=20)
        ruled.wait_states("hot", *["unack_active", "unack_rtn"] * (number + 1))
        ruled.wait_writes([(VALVE, ON), (VALVE, OFF)] * (number + 1))
    ruled.end()


def test_killed_in_the_middle_of_a_sequence_the_rest_is_done_once_and_the_beginning_not_again(
    ruled: Ruled, seed: int
) -> None:
    draw = random.Random(seed)
    start = [{"write": {"boiler.valve": True}}, {"delay": "3s"}, {"write": {"boiler.siren": True}}]
    end = [{"write": {"boiler.valve": False, "boiler.siren": False}}]
    ruled.rules(hot={**HOT, "start": start, "end": end})
    ruled.start()
    for number in range(ROUNDS):
        ruled.boiler.server.requests.clear()
        ruled.set(temperature=85)
        ruled.wait_rule("hot", *["started", "ended"] * number, "started")
        time.sleep(draw.uniform(0, 1.0))
        assert ruled.boiler.writes() == [(VALVE, ON)]
        ruled.gateway.kill()
        time.sleep(draw.choice((0.0, 3.0)))  # what was due meanwhile comes at once
        ruled.start()
        ruled.wait_writes([(VALVE, ON), (SIREN, ON)])
        ruled.wait_polls(6)
        ruled.set(temperature=20)
        ruled.wait_rule("hot", *["started", "ended"] * (number + 1))
        wait_until(lambda: len(ruled.boiler.writes()) == 4, 30, why="the end")
        assert ruled.boiler.writes()[:2] == [(VALVE, ON), (SIREN, ON)]
        assert sorted(ruled.boiler.writes()[2:]) == [(VALVE, OFF), (SIREN, OFF)]
    ruled.end()


def test_an_active_alarm_is_active_after_a_kill_without_being_told_or_acted_on_again(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "alarm": {"priority": "high"}})
    ruled.alarms(high={"tag": "boiler.temperature", "above": 80, "deadband": 5})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_writes([(VALVE, ON)])
    ruled.wait_states("hot", "unack_active")
    ruled.wait_states("high", "unack_active")
    ruled.gateway.ask("alarms", "ack", "high", "--comment", "seen")
    ruled.wait_states("high", "unack_active", "ack_active")
    for _ in range(ROUNDS):
        ruled.crash()
        ruled.wait_polls(6)
        rows = {row["id"]: row["state"] for row in ruled.gateway.ask("alarms")["alarms"]}
        assert {name: rows[name] for name in ("hot", "high")} == {"hot": "unack_active", "high": "ack_active"}
    ruled.show(temperature=70)
    ruled.wait_states("high", "unack_active", "ack_active", "normal")
    ruled.wait_states("hot", "unack_active", "unack_rtn")
    ruled.wait_rule("hot", "started", "ended")
    assert ruled.boiler.writes() == [(VALVE, ON)]
    ruled.end()


def test_what_ended_while_the_gateway_was_dead_ends_with_the_first_reading(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "alarm": {"priority": "high"}, "end": [{"write": {"boiler.valve": False}}]})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_states("hot", "unack_active")
    ruled.gateway.kill()
    ruled.set(temperature=20)
    ruled.start()
    ruled.wait_states("hot", "unack_active", "unack_rtn")
    ruled.wait_writes([(VALVE, ON), (VALVE, OFF)])
    ruled.end()


def test_a_shelved_alarm_stays_away_over_a_kill_and_comes_back_at_its_time(ruled: Ruled) -> None:
    ruled.alarms(high={"tag": "boiler.temperature", "above": 80})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_states("high", "unack_active")
    until = ruled.gateway.ask("alarms", "shelve", "high", "--for", "1h", "--comment", "the sensor is wrong")["until"]
    ruled.wait_states("high", "unack_active", "shelved")
    for _ in range(ROUNDS):
        ruled.crash()
        ruled.show(temperature=20)
        ruled.show(temperature=85)
        row = next(row for row in ruled.gateway.ask("alarms")["alarms"] if row["id"] == "high")
        assert (row["state"], round(row["until"], -3)) == ("shelved", round(until, -3))
    assert ruled.states("high") == ["unack_active", "shelved"]
    until = ruled.gateway.ask("alarms", "shelve", "high", "--for", "3s")["until"]
    ruled.crash()
    entry = ruled.wait_states("high", "unack_active", "shelved", "shelved", "unack_active")[-1]
    assert entry["event"] == "unshelve"
    assert entry["ts"] >= until
    ruled.end()


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_a_start_with_a_dead_device_and_a_last_value_above_the_limit_writes_nothing(ruled: Ruled, fault: str) -> None:
    """Stopped in the middle of its time: the condition was true for whoever looks at the last values or the journal."""
    ruled.channel("boiler", ruled.boiler, timeout="30s")
    ruled.rules(
        hot={**HOT, "for": "2s", "alarm": {"priority": "high"}},
        other={"when": "boiler.temperature > 80", "for": "2s", "start": [{"write": {"pump.run": True}}]},
    )
    ruled.alarms(high={"tag": "boiler.temperature", "above": 80, "on_delay": "2s"})
    ruled.start()
    ruled.show(temperature=85)
    assert ruled.gateway.stop() == 0
    server = ruled.boiler.server
    server.mode, server.exception = ("silent", 0) if fault == "silent" else ("good", 4)
    for _ in range(scaled(2, 5)):
        ruled.gateway.start()
        ruled.wait_good("pump.speed")
        time.sleep(scaled(2.5, 10))
        row = ruled.tag("boiler.temperature")
        known = (row["value"], row["quality"])
        assert known == ((85, "uncertain/last-known") if fault == "silent" else (None, "bad/comm")), known
        ruled.gateway.kill()
    assert ruled.boiler.writes() == []
    assert ruled.pump.writes() == []
    server.mode, server.exception = "good", 0
    ruled.start()
    ruled.wait_writes([(VALVE, ON)])
    ruled.wait_states("high", "unack_active")
    ruled.wait_states("hot", "unack_active")
    ruled.end()


def test_a_rule_that_is_applied_over_a_dead_device_waits_for_a_reading(ruled: Ruled) -> None:
    ruled.start()
    ruled.show(temperature=85)
    ruled.boiler.server.mode = "silent"
    wait_until(lambda: ruled.tag("boiler.temperature")["quality"] != "good", 30, every=0.05, why="it is known as bad")
    ruled.rules(hot=HOT)
    ruled.gateway.ask("apply")
    ruled.wait_polls(6, ruled.pump)
    for _ in range(2):
        ruled.crash_without_waiting()
        ruled.wait_good("pump.speed")
        ruled.wait_polls(10, ruled.pump)
    assert ruled.boiler.writes() == []
    ruled.boiler.server.mode = "good"
    ruled.wait_writes([(VALVE, ON)])
    ruled.end()
