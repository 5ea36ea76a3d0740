"""Rules as a plant has them: the installed gateway, from config files to what reaches the devices and the broker."""

from __future__ import annotations

import time

import pytest

from tests.support.eventually import wait_until
from tests.support.ruled import HOT, OFF, ON, RUN, SETPOINT, SIREN, TARGET, VALVE, Ruled

ALARM = {"priority": "high", "text": "Boiler at {boiler.temperature:.0f}"}


def test_above_the_limit_for_less_than_its_time_is_nothing_and_for_longer_it_is_alarm_and_coil_once(
    ruled: Ruled,
) -> None:
    ruled.rules(hot={**HOT, "for": "2s", "alarm": ALARM})
    ruled.start()
    for _ in range(3):
        ruled.show(temperature=85, polls=6)
        ruled.show(temperature=75)
    assert ruled.boiler.writes() == []
    assert ruled.alarm_entries() == []

    ruled.set(temperature=85)
    ruled.wait_writes([(VALVE, ON)])
    entry = ruled.wait_states("hot", "unack_active")[0]
    assert entry["t_active"] - entry["t_cond"] == 2000
    assert (entry["text"], entry["value"], entry["priority"]) == ("Boiler at 85", 85, "high")
    assert [(row["tag"], row["value"], row["quality"]) for row in entry["inputs"]] == [
        ("boiler.temperature", 85, "good")
    ]
    ruled.show(temperature=90, polls=20)
    ruled.show(temperature=75)
    ruled.wait_states("hot", "unack_active", "unack_rtn")
    ruled.wait_rule("hot", "started", "ended")
    assert ruled.boiler.writes() == [(VALVE, ON)]
    assert len(ruled.audit(who="rule:hot", via="rule", tag="valve", code=200)) == 1
    ruled.end()


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_a_device_that_fails_in_the_middle_keeps_a_rule_from_firing_until_it_is_read_again(
    ruled: Ruled, fault: str
) -> None:
    ruled.rules(hot={**HOT, "for": "2s", "alarm": ALARM})
    ruled.start()
    ruled.show(temperature=85)
    if fault == "silent":
        ruled.boiler.server.mode = "silent"
    else:
        ruled.boiler.server.exception = 4
    wait_until(lambda: ruled.tag("boiler.temperature")["quality"] != "good", 30, every=0.05, why="it is known as bad")
    time.sleep(2.5)
    assert ruled.boiler.writes() == []
    assert ruled.alarm_entries("hot") == []
    good_from = len(ruled.boiler.server.requests)
    ruled.boiler.server.mode, ruled.boiler.server.exception = "good", 0
    ruled.wait_writes([(VALVE, ON)])
    functions = [function for _, function, _, _ in ruled.boiler.server.requests]
    assert 3 in functions[good_from : functions.index(5)], "it was read before anything was written"
    ruled.wait_states("hot", "unack_active")
    ruled.end()


def test_with_on_bad_reset_a_device_that_fails_ends_what_was_active(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "on_bad": "reset", "end": [{"write": {"pump.run": False}}]})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_writes([(VALVE, ON)])
    ruled.boiler.server.mode = "silent"
    ruled.wait_writes([(RUN, OFF)], ruled.pump)
    ruled.wait_rule("hot", "started", "ended")


def test_it_ends_with_until_and_not_before(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "until": "boiler.temperature < 70", "end": [{"write": {"boiler.valve": False}}]})
    ruled.start()
    for value in (81, 75, 85, 71, 90, 70):
        ruled.show(temperature=value)
    assert ruled.boiler.writes() == [(VALVE, ON)]
    ruled.show(temperature=69)
    ruled.wait_writes([(VALVE, ON), (VALVE, OFF)])
    ruled.show(temperature=79)
    ruled.show(temperature=81)
    ruled.wait_writes([(VALVE, ON), (VALVE, OFF), (VALVE, ON)])
    ruled.wait_rule("hot", "started", "ended", "started")
    ruled.end()


def test_a_reading_of_one_channel_writes_on_another(ruled: Ruled) -> None:
    steps = [{"write": {"pump.run": True}}, {"write": {"pump.target": {"value": "boiler.temperature * 10"}}}]
    ruled.rules(
        cool={"when": "boiler.temperature > 80 and pump.speed < 100", "start": steps},
        full={"when": "pump.speed >= 100", "start": [{"write": {"boiler.setpoint": 60, "boiler.siren": True}}]},
    )
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_writes([(RUN, ON), (TARGET, 850)], ruled.pump)
    assert ruled.boiler.writes() == []
    ruled.set(speed=120)
    wait_until(lambda: len(ruled.boiler.writes()) == 2, 30, why="both are written")
    assert sorted(ruled.boiler.writes()) == sorted([(SETPOINT, 60), (SIREN, ON)])
    ruled.wait_rule("cool", "started", "ended")
    ruled.end()


def test_steps_are_done_in_order_with_their_delays_and_the_rest_is_dropped_when_it_ends(ruled: Ruled) -> None:
    start = [
        {"write": {"boiler.setpoint": 40}},
        {"delay": "500ms"},
        {"write": {"boiler.setpoint": 50}},
        {"delay": "10m"},
        {"write": {"boiler.setpoint": 60}},
    ]
    ruled.rules(ramp={**HOT, "start": start, "end": [{"write": {"boiler.setpoint": 20}}]})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_writes([(SETPOINT, 40), (SETPOINT, 50)])
    ruled.show(temperature=75)
    ruled.wait_writes([(SETPOINT, 40), (SETPOINT, 50), (SETPOINT, 20)])
    ruled.end()


def test_a_rule_in_dry_run_writes_nothing_and_says_what_it_would_have_done(ruled: Ruled) -> None:
    ruled.rules(
        dry={**HOT, "dry_run": True, "start": [{"write": {"boiler.siren": True}}, {"set": {"site.count": 7}}]},
        real=HOT,
    )
    ruled.virtual(count={"type": "uint16", "initial": 0, "access": "rw"})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_writes([(VALVE, ON)])
    ruled.wait_rule("dry", "started")
    ruled.wait_audit(who="rule:dry", dry_run=True, tag="count")
    assert ruled.audit(who="rule:dry", tag="siren") or ruled.audit(who="rule:dry", what="write")
    assert all(row.get("dry_run") for row in ruled.audit(who="rule:dry"))
    ruled.wait_polls(10)
    assert ruled.boiler.writes() == [(VALVE, ON)]
    assert ruled.tag("site.count")["value"] == 0
    ruled.end()


def test_a_rule_that_is_added_disturbs_neither_the_delay_nor_the_window_of_another(ruled: Ruled) -> None:
    ruled.virtual(peak={"type": "uint16", "value": "max(boiler.temperature, 3s)"})
    ruled.rules(hot={**HOT, "for": "4s", "alarm": ALARM})
    ruled.start()
    ruled.wait_good("site.peak")  # it was watched for its whole width
    began = int(time.time() * 1000)
    ruled.show(temperature=81)
    ruled.rules("more", fast={"when": "pump.speed > 10", "start": [{"write": {"pump.run": True}}]})
    before = int(time.time() * 1000)
    ruled.gateway.ask("apply")
    after = int(time.time() * 1000)
    peak = ruled.tag("site.peak")
    assert (peak["value"], peak["quality"]) == (81, "good"), "a window that began anew would have no figure yet"
    ruled.set(speed=20)
    ruled.wait_writes([(RUN, ON)], ruled.pump)
    entry = ruled.wait_states("hot", "unack_active")[0]
    assert began <= entry["t_cond"] <= before, "it began before"
    assert entry["t_active"] - entry["t_cond"] == 4000
    assert after <= entry["t_active"], "the other rule came in the middle"
    ruled.wait_writes([(VALVE, ON)])
    ruled.end()


def test_a_rule_that_is_taken_away_in_the_middle_of_its_time_does_nothing_more(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "for": "2s", "alarm": ALARM}, other={**HOT, "start": [{"write": {"boiler.siren": True}}]})
    ruled.start()
    ruled.show(temperature=85)
    ruled.rules(other={**HOT, "start": [{"write": {"boiler.siren": True}}]})
    ruled.gateway.ask("apply")
    time.sleep(2.5)
    ruled.wait_polls(4)
    assert ruled.boiler.writes() == [(SIREN, ON)], "the other was not started again"
    assert ruled.alarm_entries("hot") == []
    ruled.end()


def test_an_interlock_stands_before_every_way_of_writing(ruled: Ruled) -> None:
    """From here, from afar and from a rule: while its condition is not true nothing reaches the device."""
    safe = {"address": "coil/0", "type": "bool", "access": "rw", "write": {"while": "boiler.temperature < 60"}}
    ruled.channel("boiler", ruled.boiler, {"valve": safe})
    ruled.rules(open_={"when": "pump.speed > 10", "start": [{"write": {"boiler.valve": True}}]})
    ruled.start()
    ruled.show(temperature=85)
    cloud = ruled.cloud()
    local = ruled.gateway.cli("write", "boiler.valve=true", "--json")
    assert (local.code, local.json["results"][0]["code"]) == (1, 403)
    far = cloud.result(cloud.send("write", "boiler", {"values": {"valve": True}}))
    assert far["items"]["valve"]["code"] == 403
    assert "boiler.temperature < 60" in far["items"]["valve"]["text"]
    ruled.set(speed=20)
    ruled.wait_audit(who="rule:open_", tag="valve", code=403)
    ruled.boiler.server.mode = "silent"
    wait_until(lambda: ruled.tag("boiler.temperature")["quality"] != "good", 30, every=0.05, why="it is known as bad")
    ruled.boiler.server.registers[1, 0] = 20
    unknown = cloud.result(cloud.send("write", "boiler", {"values": {"valve": True}}))
    assert unknown["items"]["valve"]["code"] == 403
    assert "not known" in unknown["items"]["valve"]["text"]
    assert ruled.boiler.writes() == []
    refusals = [(row["via"], row["state"]) for row in ruled.audit(tag="valve", code=403)]
    assert sorted(set(refusals)) == [("command", "rejected"), ("local", "rejected"), ("rule", "rejected")]
    ruled.boiler.server.mode = "good"
    ruled.wait_tag("boiler.temperature", 20)
    assert cloud.result(cloud.send("write", "boiler", {"values": {"valve": True}}))["code"] == 200
    assert ruled.boiler.writes() == [(VALVE, ON)]
    ruled.end()


def test_a_channel_that_is_changed_in_the_middle_of_a_time_only_makes_it_stand_still(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "for": "3s", "alarm": ALARM})
    ruled.start()
    ruled.show(temperature=95)
    before = int(time.time() * 1000)
    more = {"other": {"address": "holding/2", "type": "uint16"}}
    ruled.channel("boiler", ruled.boiler, more)
    ruled.gateway.ask("apply")
    ruled.wait_writes([(VALVE, ON)])
    entry = ruled.wait_states("hot", "unack_active")[0]
    assert entry["t_cond"] <= before
    ruled.show(temperature=20)
    ruled.wait_states("hot", "unack_active", "unack_rtn")
    ruled.end()


def test_a_write_that_fails_is_an_issue_of_its_rule_and_stops_nothing_else(ruled: Ruled) -> None:
    ruled.rules(hot={**HOT, "start": [{"write": {"pump.run": True}}, {"write": {"boiler.valve": True}}]})
    ruled.start()
    ruled.pump.server.mode = "silent"
    ruled.show(temperature=85)
    ruled.wait_writes([(VALVE, ON)])
    failed = ruled.wait_audit(who="rule:hot", tag="run", state="failed")
    assert failed["code"] >= 500
    wait_until(lambda: [row for row in ruled.gateway.issues() if row["entity"] == "hot"], 20, every=0.2, why="an issue")
    ruled.pump.server.mode = "good"
    ruled.show(temperature=20)
    ruled.wait_good("pump.speed")
    ruled.set(temperature=85)
    wait_until(lambda: (RUN, ON) in ruled.pump.writes(), 30, why="it works again")
    wait_until(lambda: not [row for row in ruled.gateway.issues() if row["entity"] == "hot"], 20, every=0.2, why="over")
    ruled.end()
