"""Who may write what, how far, and what is said of it afterwards: the whole gateway, judged by the device's own log."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest
import yaml

from tests.support.eventually import wait_until
from tests.support.simulated import Simulated

PROFILE = {
    "skid": {
        "tags": {
            "setpoint": {
                "address": "holding/0", "type": "int16", "scale": 0.1, "access": "rw",
                "write": {"min": 0, "max": 80, "max_change": 5},
            },
            "hidden": {
                "address": "holding/1", "type": "uint16", "access": "rw", "on_demand": True,
                "write": {"max_change": 10},
            },
            "service": {"address": "coil/0", "type": "bool", "access": "rw", "write": {"allow": ["rule"]}},
        }
    }
}  # fmt: skip


@pytest.fixture
def scene(make_gateway, processes, tmp_path):
    gateway = make_gateway()
    gateway.write_main(uplinks={})
    gateway.write("profiles/skid.yaml", PROFILE)
    profile = str(gateway.config / "profiles/skid.yaml")
    start = ["--static", "--set", "setpoint=20", "--set", "hidden=100"]
    device = Simulated(processes, tmp_path, profile, *start)
    channel = yaml.safe_load("{" + device.place + "}")
    channel |= {"driver": "modbus", "interval": "50ms", "devices": {"d": {"unit_id": 1, "profile": "skid"}}}
    gateway.write("channels/wire.yaml", channel)
    gateway.start()
    known(gateway)
    return gateway, device


def known(gateway) -> None:
    wait_until(lambda: gateway.ask("tags", "d.setpoint")["tags"][0]["quality"] == "good", 20, why="a value")


def writes(device: Simulated) -> list[tuple[int, int]]:
    return [(row["function"], row["address"]) for row in device.requests(1) if row["function"] in {5, 6, 15, 16}]


def code(gateway, *words: str) -> int:
    answer = gateway.cli("write", *words, "--json")
    results = answer.json["results"]
    assert answer.code == (0 if all(result["state"] == "ok" for result in results) else 1)
    return int(results[0]["code"])


def test_what_is_refused_or_tried_dry_never_reaches_the_device_and_all_of_it_is_in_the_audit_log(scene):
    gateway, device = scene
    assert code(gateway, "d.setpoint=24", "--dry-run") == 200
    assert code(gateway, "d.setpoint=26") == 422
    assert code(gateway, "d.setpoint=81") == 422
    assert code(gateway, "d.service=true") == 403
    assert code(gateway, "d.hidden=111") == 422  # read first: it is 100
    assert writes(device) == []
    assert code(gateway, "d.setpoint=25") == 200
    assert code(gateway, "d.hidden=110") == 200
    assert [address for _, address in writes(device)] == [0, 1]

    wait_until(lambda: len(gateway.ask("audit")["entries"]) == 7, 10, why="all are on disk")
    entries = gateway.ask("audit")["entries"]
    assert [(row["tag"], row["code"], row.get("dry_run", False)) for row in entries] == [
        ("setpoint", 200, True),
        ("setpoint", 422, False),
        ("setpoint", 422, False),
        ("service", 403, False),
        ("hidden", 422, False),
        ("setpoint", 200, False),
        ("hidden", 200, False),
    ]
    good = entries[5]
    assert (good["who"], good["via"], good["state"]) == (pwd.getpwuid(os.geteuid()).pw_name, "local", "ok")
    assert (good["old"], good["new"], good["value"]) == (20.0, 25, 25.0)
    lines = [line for line in gateway.log().splitlines() if "fieldpost.audit" in line]
    assert len(lines) == len(entries)
    assert 'tag="setpoint" old=20.0 new=25 state="ok"' in lines[5]


def test_the_chain_is_whole_after_a_kill_and_a_file_of_it_can_be_checked_elsewhere(scene, tmp_path: Path):
    gateway, _ = scene
    for value in (22, 24, 26, 28):
        assert code(gateway, f"d.setpoint={value}") == 200
    wait_until(lambda: len(gateway.ask("audit")["entries"]) == 4, 10, why="all are on disk")
    gateway.kill()
    gateway.start()
    known(gateway)
    assert code(gateway, "d.setpoint=30") == 200
    wait_until(lambda: len(gateway.ask("audit")["entries"]) == 5, 10, why="it is on disk")
    verdict = gateway.ask("audit", "--verify")
    assert (verdict["ok"], verdict["entries"], verdict["gaps"]) == (True, 5, [])

    file = tmp_path / "export.jsonl"
    file.write_text(gateway.cli("audit", "--json").out)
    gateway.stop()
    assert gateway.cli("audit", "--verify", "--file", str(file)).code == 0
    answer = json.loads(file.read_text())
    answer["entries"][2]["who"] = "nobody"
    file.write_text(json.dumps(answer) + "\n")
    found = gateway.cli("audit", "--verify", "--file", str(file))
    assert found.code == 1
    assert f"entry {answer['entries'][2]['seq']} was changed" in found.out
