"""The operator's side against the installed gateway: the page docs/how-to/fleet.md, run as it is written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import FIELDPOST, Answer, Gateway
from tests.support.mosquitto import Broker
from tests.support.processes import Processes

PAGE = Path(__file__).parents[2] / "docs/how-to/fleet.md"
PROFILE = {
    "boiler": {
        "tags": {
            "temperature": {"type": "float32", "signal": "sine", "low": 62, "high": 71, "period": 90},
            "setpoint": {"type": "float32", "signal": "constant", "low": 68, "access": "rw", "write": {"max": 75}},
        }
    }
}


@dataclass
class Site:
    """A gateway `plant-7` at a broker, and the command line at another place: no configuration, no gateway."""

    broker: Broker
    gateway: Gateway
    elsewhere: Path

    def fleet(self, *words: str, url: str | None = None) -> Answer:
        command = [str(FIELDPOST), "fleet", *words, "--url", url or self.broker.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=self.elsewhere)
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def site(make_gateway: Callable[..., Gateway], broker: Broker, tmp_path: Path) -> Iterator[Site]:
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}}, gateway_id="plant-7")
    gateway.write("profiles/boiler.yaml", PROFILE)
    gateway.write(
        "channels/hall.yaml",
        {"driver": "sim", "interval": "500ms", "devices": {"boiler": {"profile": "boiler"}}},
    )
    gateway.start()
    wait_until(lambda: gateway.status()["uplinks"]["cloud"]["state"] == "online", 20, why="online")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    yield Site(broker, gateway, elsewhere)


def _examples() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    return [shlex.split(line)[1:] for line in re.findall(r"(?m)^\$ fieldpost (fleet .*)$", text)]


def test_every_command_of_the_page_does_what_the_page_says(site: Site) -> None:
    """Shadows are answered by gateways that have them; without one a change waits at the broker."""
    assert len(_examples()) >= 9
    for words in _examples():
        words = words[: words.index("--url")]
        waits = words[0] in {"set", "delete"}
        answer = site.fleet(*words, *(["--wait", "0"] if waits else []))
        assert answer.code == 0, (words, answer)
        assert answer.out.strip()
        assert answer.err == ""


def test_the_program_of_the_page_runs(site: Site, processes: Processes) -> None:
    program = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert program is not None
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program[1]], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "BROKER": site.broker.url},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["plant-7 online 1", "boiler ['setpoint']"]
    assert lines[3] == "200 70.0"
    assert lines[4].startswith("setpoint ")


def test_a_gateway_is_listed_and_shown_as_it_is(site: Site) -> None:
    [row] = site.fleet("ls", "--json").json["gateways"]
    assert (row["id"], row["online"], row["codec"], row["proof"], row["devices"], row["tags"]) == (
        "plant-7", True, "json", "full", 1, 2,
    )  # fmt: skip
    shown = site.fleet("show", "plant-7", "--json").json
    assert [tag["tag"] for tag in shown["devices"][0]["tags"]] == ["setpoint", "temperature"]
    site.gateway.stop()
    answer = site.fleet("ls")
    assert answer.code == 0
    assert "offline" in answer.out
    assert site.fleet("show", "nobody", "--json").json["code"] == 404


def test_commands_are_answered_and_the_exit_status_says_how(site: Site) -> None:
    read = site.fleet("read", "plant-7", "boiler", "--json")
    assert (read.code, set(read.json["items"])) == (0, {"temperature", "setpoint"})
    written = site.fleet("write", "plant-7", "boiler.setpoint=70", "--json")
    assert (written.code, written.json["items"]["setpoint"]["value"]) == (0, 70)
    too_much = site.fleet("write", "plant-7", "boiler.setpoint=99", "--json")
    assert (too_much.code, too_much.json["state"], too_much.json["code"]) == (1, "rejected", 422)
    unknown = site.fleet("command", "plant-7", "make_coffee", "--args", '{"sugar": 2}', "--json")
    assert (unknown.code, unknown.json["code"]) == (1, 404)
    refreshed = site.fleet("command", "plant-7", "refresh", "--device", "boiler", "--json")
    assert (refreshed.code, refreshed.json["out"]) == (0, {"readings": 2})


def test_the_same_rid_brings_the_same_answer(site: Site) -> None:
    first = site.fleet("write", "plant-7", "boiler.setpoint=70", "--rid", "c-1", "--json").json
    again = site.fleet("write", "plant-7", "boiler.setpoint=71", "--rid", "c-1", "--json").json
    assert again["items"] == first["items"]
    assert site.gateway.ask("read", "boiler.setpoint")["tags"][0]["value"] == 70


def test_a_gateway_that_does_not_listen_is_told_at_once_and_exits_1(site: Site) -> None:
    answer = site.fleet("command", "nobody", "rebirth", "--ttl", "1h")
    assert answer.code == 1
    assert "does not listen" in answer.err


def test_a_command_for_a_gateway_that_is_away_is_not_done_late(site: Site) -> None:
    site.gateway.kill()
    answer = site.fleet("write", "plant-7", "boiler.setpoint=70", "--ttl", "1s", "--json")
    assert (answer.code, answer.json["code"]) == (1, 504)
    site.gateway.start()
    wait_until(lambda: site.gateway.status()["uplinks"]["cloud"]["state"] == "online", 30, why="online")
    assert site.fleet("read", "plant-7", "boiler.setpoint", "--json").json["items"]["setpoint"]["value"] == 68


def test_a_watch_sees_results_and_telemetry_and_ends_by_itself(site: Site) -> None:
    lines = site.fleet("watch", "plant-7", "--telemetry", "--for", "4s", "--json")
    assert lines.code == 0
    kinds = {json.loads(line)["kind"] for line in lines.out.splitlines()}
    assert {"status", "birth", "telemetry"} <= kinds


def test_broker_and_tenant_come_from_the_configuration(site: Site) -> None:
    answer = site.gateway.cli("fleet", "ls", "--json")
    assert [row["id"] for row in answer.json["gateways"]] == ["plant-7"]
    assert answer.code == 0


def test_without_a_broker_the_exit_status_is_1_and_without_an_address_2(site: Site, tmp_path: Path) -> None:
    site.broker.kill()
    answer = site.fleet("ls", "--json")
    assert (answer.code, answer.json["code"]) == (1, 503)
    env = {name: value for name, value in os.environ.items() if name != "FIELDPOST_CONFIG"}
    done = subprocess.run(
        [str(FIELDPOST), "fleet", "ls"], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.returncode == 2
    assert "--url" in done.stderr


def test_text_from_afar_cannot_drive_the_terminal(site: Site) -> None:
    import paho.mqtt.publish as paho

    evil = "\x1b]0;owned\x07\n"
    root = "fp/1/default/evil"
    status = {"v": 1, "online": True, "session": 1, "epoch": 1, "version": evil, "codec": evil, "proof": evil}
    reported = {"v": 1, "ver": 1, "desired_ver": 0, "state": {"a": evil}, "local": {"a": [evil, 1, 1, 1, evil]}}
    for topic, body in (("status", status), ("shadow/d/reported", reported)):
        paho.single(f"{root}/{topic}", json.dumps(body), 1, True, "127.0.0.1", site.broker.port)
    for words in (("ls",), ("show", "evil"), ("get", "evil", "d"), ("watch", "evil", "--for", "2s")):
        answer = site.fleet(*words)
        assert answer.code == 0
        assert "\ufffd" in answer.out, words
        assert "\x1b" not in answer.out
        assert "\x07" not in answer.out


def test_a_broker_that_refuses_the_operator_is_a_clear_error(make_broker: Callable[..., Any], tmp_path: Path) -> None:
    broker = make_broker(acl="topic read fp/#\n")
    site = Site(broker, None, tmp_path)  # type: ignore[arg-type] - no gateway is needed
    for words in (("write", "plant-7", "boiler.a=1"), ("set", "plant-7", "boiler", "a=1")):
        answer = site.fleet(*words)
        assert answer.code == 1
        assert "does not let this user publish" in answer.err
