"""Alarms from their limits to the broker, and what people do about them from here and from afar."""

from __future__ import annotations

from tests.support.eventually import wait_until
from tests.support.ruled import HOT, ON, VALVE, Ruled

HIGH = {"tag": "boiler.temperature", "above": 80, "deadband": 5, "action": "Close the burner"}


def test_noise_within_the_deadband_is_one_alarm(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.start()
    for value in (79, 82, 78, 81, 76, 84, 77, 83):
        ruled.show(temperature=value)
    ruled.wait_states("high", "unack_active")
    ruled.show(temperature=74)
    entries = ruled.wait_states("high", "unack_active", "unack_rtn")
    assert [(row["value"], row["event"]) for row in entries] == [(82, "active"), (74, "clear")]
    assert entries[0]["action"] == "Close the burner"
    assert entries[0]["device"] == "boiler"
    ruled.end()


def test_two_limits_of_one_tag_are_two_alarms_each_with_its_delay(ruled: Ruled) -> None:
    levels = {"h": {"above": 80, "priority": "low", "on_delay": "1s"}, "hh": {"above": 90, "priority": "urgent"}}
    ruled.alarms(hot={"tag": "boiler.temperature", "levels": levels, "deadband": 2, "off_delay": "500ms"})
    ruled.start()
    ruled.show(temperature=95)
    low = ruled.wait_states("hot_h", "unack_active")[0]
    urgent = ruled.alarm_entries("hot_hh")[0]
    assert (low["priority"], urgent["priority"]) == ("low", "urgent")
    assert low["t_active"] - low["t_cond"] == 1000
    assert urgent["t_active"] == urgent["t_cond"]
    assert urgent["seq"] < low["seq"]
    ruled.show(temperature=85)
    ended = ruled.wait_states("hot_hh", "unack_active", "unack_rtn")[-1]
    assert ended["value"] == 85
    assert ruled.states("hot_h") == ["unack_active"]
    ruled.end()


def test_an_alarm_whose_input_goes_bad_stays_active_and_is_marked(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.rules(hot={**HOT, "alarm": {"priority": "high"}})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_states("high", "unack_active")
    ruled.wait_states("hot", "unack_active")
    ruled.boiler.server.mode = "silent"
    for name in ("high", "hot"):
        entry = ruled.wait_states(name, "unack_active", "unack_active")[-1]
        assert (entry["event"], entry["quality"]) == ("bad", "bad/comm"), name
    ruled.boiler.server.mode = "good"
    for name in ("high", "hot"):
        entry = ruled.wait_states(name, "unack_active", "unack_active", "unack_active")[-1]
        assert entry["event"] == "good"
        assert "quality" not in entry
    assert ruled.boiler.writes() == [(VALVE, ON)]
    ruled.end()


def test_a_person_here_and_one_far_away_acknowledge_and_both_are_named(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH, fast={"tag": "pump.speed", "above": 10, "latched": True})
    ruled.start()
    ruled.set(speed=20)
    ruled.show(temperature=85)
    ruled.wait_states("high", "unack_active")
    ruled.wait_states("fast", "unack_active")
    ruled.gateway.ask("alarms", "ack", "high", "--comment", "on my way")
    seen = ruled.wait_states("high", "unack_active", "ack_active")[-1]
    assert (seen["event"], seen["comment"]) == ("ack", "on my way")
    assert seen["who"]
    cloud = ruled.cloud()
    done = cloud.result(cloud.send("alarm_ack", "pump", {"id": "fast", "comment": "seen from afar"}))
    assert (done["code"], done["out"]["alarms"][0]["state"]) == (200, "ack_active")
    ruled.set(speed=0)
    ruled.wait_states("fast", "unack_active", "ack_active", "ack_latched")
    again = cloud.result(cloud.send("alarm_ack", "pump", {"id": "fast"}))
    assert again["code"] == 409
    assert cloud.result(cloud.send("alarm_reset", "pump", {"id": "fast"}))["code"] == 200
    entry = ruled.wait_states("fast", "unack_active", "ack_active", "ack_latched", "normal")[-1]
    assert entry["event"] == "reset"
    assert cloud.result(cloud.send("alarm_ack", None, {"id": "nothing"}))["code"] == 404
    ruled.wait_audit(what="alarm_ack", alarm="fast@pump", state="rejected", code=409)
    assert len(ruled.audit(what="alarm_ack", alarm="fast@pump", state="ok")) == 1
    ruled.end()


def test_maintenance_suppresses_the_alarms_of_its_device_and_keeps_its_rules_from_writing(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH, fast={"tag": "pump.speed", "above": 10})
    ruled.rules(hot=HOT)
    ruled.start()
    ruled.gateway.ask("maintenance", "boiler", "--for", "1h", "--reason", "new sensor")
    ruled.wait_states("high", "suppressed")
    ruled.set(speed=20)
    ruled.show(temperature=85)
    ruled.wait_states("fast", "unack_active")
    refused = ruled.wait_audit(who="rule:hot", tag="valve", state="rejected")
    assert refused["code"] == 403
    assert "maintenance" in refused["text"]
    assert ruled.boiler.writes() == []
    assert ruled.states("high") == ["suppressed"]
    wait_until(lambda: [row for row in ruled.gateway.issues() if row["entity"] == "hot"], 20, every=0.2, why="an issue")
    ruled.gateway.ask("maintenance", "boiler", "--end")
    assert ruled.wait_states("high", "suppressed", "unack_active")[-1]["value"] == 85
    assert ruled.boiler.writes() == [], "what was refused is not made up for"
    ruled.end()


def test_an_issue_of_the_gateway_is_an_alarm_and_ends_with_it(ruled: Ruled) -> None:
    ruled.start()
    ruled.boiler.server.mode = "silent"
    active = ruled.wait_states("device_offline", "unack_active")[0]
    assert active["text"]
    assert active["device"] == "boiler"
    ruled.boiler.server.mode = "good"
    ruled.wait_states("device_offline", "unack_active", "unack_rtn")
    ruled.end()


def test_an_alarm_that_flutters_is_told_in_fewer_entries_than_it_has_transitions(ruled: Ruled) -> None:
    ruled.alarms(high={"tag": "boiler.temperature", "above": 80})
    ruled.start()
    for _ in range(30):
        ruled.show(temperature=85, polls=2)
        ruled.show(temperature=75, polls=2)
    wait_until(
        lambda: any("chattering" in row or row.get("n", 1) > 1 for row in ruled.alarm_entries()), 30, why="folded"
    )
    assert len(ruled.alarm_entries("high")) < 60
    ruled.end()
