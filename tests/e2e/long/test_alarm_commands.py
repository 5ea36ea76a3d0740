"""What people do to alarms of the installed gateway: once for one id, kept over kills, explained from the journal."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

from tests.support.eventually import wait_until
from tests.support.ruled import ON, VALVE, Ruled

HIGH = {"tag": "boiler.temperature", "above": 80, "deadband": 5, "priority": "high", "text": "Boiler at {boiler.temperature}"}  # fmt: skip
KEY = "high@boiler"


def rows(ruled: Ruled, *words: str) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in ruled.gateway.ask("alarms", *words)["alarms"]}


def test_the_same_id_acknowledges_once_even_over_a_kill(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_states("high", "unack_active")
    cloud = ruled.cloud()
    done = cloud.result(cloud.send("alarm_ack", None, {"id": KEY, "comment": "seen"}, rid="ack-1"))
    assert done["out"] == {"alarms": [{"key": KEY, "before": "unack_active", "state": "ack_active"}]}
    ruled.wait_states("high", "unack_active", "ack_active")
    ruled.crash()
    assert (rows(ruled)[KEY]["state"], rows(ruled)[KEY]["who"]) == ("ack_active", "tester")
    cloud.send("alarm_ack", None, {"id": KEY, "comment": "seen"}, rid="ack-1")
    wait_until(lambda: len(cloud.finals("ack-1")) == 2, 30, why="the stored answer comes again")
    assert cloud.result("ack-1") == done
    ruled.show(temperature=70)
    ruled.wait_states("high", "unack_active", "ack_active", "normal")
    assert len(ruled.audit(what="alarm_ack", alarm=KEY)) == 1
    ruled.end()


def test_a_shelved_alarm_stays_so_over_a_kill_and_is_announced_anew_afterwards(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.start()
    cloud = ruled.cloud()
    answer = cloud.result(
        cloud.send("alarm_shelve", "boiler", {"id": "high", "for": 3_600_000, "comment": "new sensor"})
    )
    ruled.wait_states("high", "shelved")
    ruled.crash()
    ruled.show(temperature=85)
    row = rows(ruled)[KEY]
    assert (row["state"], row["condition"], row["comment"]) == ("shelved", True, "new sensor")
    assert abs(row["until"] - answer["out"]["until"]) < 5000
    assert 0 < row["left"] <= 3_600_000
    assert ruled.states("high") == ["shelved"], "nobody is told of what is shelved"
    ruled.gateway.ask("alarms", "unshelve", "high")
    entry = ruled.wait_states("high", "shelved", "unack_active")[-1]
    assert (entry["event"], entry["value"]) == ("unshelve", 85)
    ruled.end()


def test_a_shelving_that_ended_while_nobody_ran_is_over(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.start()
    ruled.gateway.ask("alarms", "shelve", KEY, "--for", "2s")
    ruled.wait_states("high", "shelved")
    ruled.gateway.kill()
    time.sleep(2.5)
    ruled.start()
    ruled.wait_states("high", "shelved", "normal")
    assert ruled.gateway.cli("alarms", "unshelve", KEY).code == 1
    ruled.end()


def test_why_goes_from_the_alarm_back_to_what_was_read_and_on_to_what_was_written(ruled: Ruled) -> None:
    rule = {
        "when": "boiler.temperature > 80",
        "for": "500ms",
        "until": "boiler.temperature < 70",
        "start": [{"write": {"boiler.valve": True}}],
        "alarm": {"priority": "urgent", "text": "Boiler at {boiler.temperature}"},
    }
    ruled.rules(hot=rule)
    ruled.start()
    for value in (60, 75, 85, 87):
        ruled.show(temperature=value)
    ruled.wait_writes([(VALVE, ON)])
    ruled.gateway.ask("alarms", "ack", "hot", "--comment", "on my way")
    ruled.wait_states("hot", "unack_active", "ack_active")
    ruled.wait_audit(who="rule:hot", what="write")
    ruled.crash()
    for name in ("hot", "hot@gateway"):
        told = ruled.gateway.ask("rules", "why", name)
        (run,) = told["runs"]
        begin = run["begin"]
        assert begin.get("t_active", begin["ts"]) - begin["t_cond"] == 500
        values = [row["value"] for row in run["readings"] if row["tag"] == "boiler.temperature"]
        assert [value for value in dict.fromkeys(values) if value in (60, 75, 85)] == [60, 75, 85]
        assert run["inputs"][0]["tag"] == "boiler.temperature"
        assert [(row["what"], row["tag"], row["state"]) for row in run["actions"]] == [("write", "valve", "ok")]
        assert [row["event"] for row in run["transitions"]] == ["active", "ack"]
        assert "started" in [row["what"] for row in run["events"]]
    shown = ruled.gateway.cli("rules", "why", "hot")
    assert shown.code == 0
    assert "boiler.temperature > 80" in shown.out
    assert "on my way" in shown.out
    assert ruled.gateway.cli("rules", "why", "nothing").code == 1
    ruled.end()


def test_status_and_lists_tell_of_what_stands(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH, low={"tag": "boiler.level", "below": 10, "priority": "low"})
    ruled.rules(hot={"when": "boiler.temperature > 80", "start": [{"log": "hot"}]})
    ruled.start()
    ruled.show(temperature=85)
    ruled.wait_states("high", "unack_active")
    ruled.wait_states("low", "unack_active")
    status = ruled.gateway.status()
    assert (status["alarms"]["active"], status["alarms"]["unacked"]) == (2, 2)
    assert (status["alarms"]["worst"]["key"], status["alarms"]["worst"]["text"]) == (KEY, "Boiler at 85")
    assert status["rules"] == {"total": 1, "active": 1, "stopped": []}
    (rule,) = ruled.gateway.ask("rules", "ls")["rules"]
    assert (rule["id"], rule["state"]) == ("hot", "active")
    assert ruled.gateway.ask("alarms", "--stats")["stats"]["alarms"] == 2
    for words in (("status",), ("alarms", "--all"), ("alarms", "--stats"), ("rules", "ls"), ("rules", "show", "hot")):
        shown = ruled.gateway.cli(*words)
        assert (shown.code, shown.err) == (0, ""), words
    everything = ruled.gateway.ask("command", "alarm_list", "all=true")["out"]["alarms"]
    assert {row["id"] for row in everything} >= {"high", "low"}
    assert ruled.gateway.cli("alarms", "ack", "--all").code == 0
    assert ruled.gateway.status()["alarms"]["unacked"] == 0
    ruled.end()


def test_a_watcher_sees_transitions_as_they_come_and_ends_well(ruled: Ruled) -> None:
    ruled.alarms(high=HIGH)
    ruled.start()
    words = [ruled.gateway._command, "alarms", "--watch", "--json", "--config", str(ruled.gateway.config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert json.loads(watcher.stdout.readline())["alarms"] == []
        ruled.show(temperature=85)
        entry = json.loads(watcher.stdout.readline())["entry"]
        assert (entry["id"], entry["event"], entry["inputs"][0]["value"]) == ("high", "active", 85)
        ruled.gateway.ask("alarms", "ack", KEY)
        assert json.loads(watcher.stdout.readline())["entry"]["event"] == "ack"
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(20) == 0
    ruled.end()
