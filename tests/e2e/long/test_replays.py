"""What rules did with a real device, replayed from the journal and from a recording."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.eventually import wait_until
from tests.support.ruled import HOT, OFF, ON, VALVE, Ruled

RULES = {
    "hot": {
        **HOT,
        "for": "1s",
        "until": "boiler.temperature < 70",
        "end": [{"write": {"boiler.valve": False}}],
        "alarm": {"priority": "high", "text": "Boiler at {boiler.temperature:.0f}"},
    },
    "mean": {"when": "avg(pump.speed, 2s) > 50", "start": [{"log": "fast"}]},
}


def _hot_and_cold(ruled: Ruled, before: int = 0) -> None:
    """A hot time that is long enough, and its end."""
    ruled.set(temperature=85, speed=90)
    wait_until(lambda: len(ruled.boiler.writes()) == before + 1, 30, why="the valve is open")
    ruled.set(temperature=60, speed=10)
    wait_until(lambda: len(ruled.boiler.writes()) == before + 2, 30, why="the valve is closed")


def test_a_replay_finds_what_really_happened_and_other_rules_are_told_apart(ruled: Ruled, tmp_path: Path) -> None:
    ruled.rules(**RULES)
    ruled.start()
    _hot_and_cold(ruled)
    ruled.wait_states("hot", "unack_active", "unack_rtn")
    assert ruled.gateway.cli("alarms", "ack", "hot").code == 0
    ruled.wait_states("hot", "unack_active", "unack_rtn", "normal")
    ruled.wait_audit(who="rule:hot", tag="valve", new=False)

    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        answer = ruled.gateway.cli("replay", "--since", "1h", "--json", "--out", str(file))
        assert answer.code == 0, answer
    found = answer.json
    assert (found["ok"], found["only_here"], found["only_real"], found["missing"]) == (True, [], [], 0)
    assert found["matched"] >= 4  # two writes, active and over
    assert found["refused"] == 0
    assert files[1].read_bytes().startswith(files[0].read_bytes())  # more may have come meanwhile
    kinds = {json.loads(line)["kind"] for line in files[0].read_text().splitlines()}
    assert kinds == {"action", "alarm", "rule"}

    other = tmp_path / "other"
    shutil.copytree(ruled.gateway.config, other)
    text = (other / "rules" / "main.yaml").read_text().replace("boiler.temperature > 80", "boiler.temperature > 95")
    (other / "rules" / "main.yaml").write_text(text)
    answer = ruled.gateway.cli("replay", "--since", "1h", "--rules", str(other))
    assert answer.code == 1
    assert "rule hot" in answer.out
    assert "write boiler.valve = true" in answer.out
    assert "only really" in answer.out
    assert ruled.boiler.writes() == [(VALVE, ON), (VALVE, OFF)]
    ruled.end()


def test_a_replay_over_a_crash_and_work_on_the_device_is_what_happened(ruled: Ruled) -> None:
    ruled.rules(**RULES)
    ruled.alarms(warm={"devices": ["boiler"], "when": "{temperature} > 80", "text": "warm {temperature:.0f}"})
    ruled.start()
    _hot_and_cold(ruled)
    ruled.wait_states("warm", "unack_active", "unack_rtn")
    ruled.wait_rule("hot", "started", "ended")
    ruled.crash()
    _hot_and_cold(ruled, before=len(ruled.boiler.writes()))
    assert ruled.gateway.cli("maintenance", "boiler", "--for", "1h").code == 0
    ruled.wait_states("warm", "unack_active", "unack_rtn", "unack_active", "unack_rtn", "suppressed")
    assert ruled.gateway.cli("maintenance", "boiler", "--end").code == 0
    answer = ruled.gateway.cli("replay", "--since", "1h", "--json")
    assert answer.code == 0, answer
    assert (answer.json["starts"], answer.json["refused"]) == (1, 0)
    text = ruled.gateway.cli("replay", "--since", "1h").out
    assert "the gateway started once" in text
    assert "log: fast" in text
    ruled.end()


def test_a_recording_from_the_middle_plays_back_to_the_byte_without_the_gateway(ruled: Ruled, tmp_path: Path) -> None:
    ruled.rules(**RULES)
    ruled.start()
    ruled.set(temperature=85, speed=90)
    ruled.wait_states("hot", "unack_active")  # the recording begins while it is active
    file = tmp_path / "session.jsonl"
    with ThreadPoolExecutor(1) as pool:
        recording = pool.submit(ruled.gateway.cli, "record", str(file), "--for", "12s", "--json")
        wait_until(lambda: file.exists() and b'"batch"' in file.read_bytes(), 30, why="the recording has begun")
        ruled.set(temperature=60)
        ruled.wait_states("hot", "unack_active", "unack_rtn")
        assert ruled.gateway.cli("alarms", "ack", "hot", "--comment", "seen").code == 0
        _hot_and_cold(ruled, before=2)
        answer = recording.result()
    assert answer.code == 0, answer
    assert answer.json["end"] == "time"
    assert answer.json["outcomes"] >= 6
    assert ruled.gateway.cli("record", str(file)).code == 2  # it is there already
    ruled.end()

    answer = ruled.gateway.cli("playback", str(file), "--json", "--out", str(tmp_path / "out.jsonl"))
    assert answer.code == 0, answer
    outcomes = [json.loads(line)["outcome"] for line in file.read_text().splitlines() if '"outcome"' in line]
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == outcomes
    assert [row["event"] for row in outcomes if row["kind"] == "alarm"] == ["clear", "ack", "active", "clear"]

    lines = file.read_text().splitlines()
    damaged = [line.replace('"unack_rtn"', '"normal"') for line in lines]
    (tmp_path / "changed.jsonl").write_text("\n".join(damaged) + "\n")
    answer = ruled.gateway.cli("playback", str(tmp_path / "changed.jsonl"))
    assert answer.code == 1
    assert "differs" in answer.out
    ruled.rules(**{**RULES, "hot": {**RULES["hot"], "for": "2h"}})
    answer = ruled.gateway.cli("playback", str(file), "--rules", str(ruled.gateway.config))
    assert answer.code == 1
    assert "only really" in answer.out
