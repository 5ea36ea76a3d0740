"""`fieldpost fleet deploy` over a real broker to real gateways."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import ports
from tests.support.eventually import wait_until
from tests.support.gateway import FIELDPOST, Answer, Gateway
from tests.support.job_gateways import JobGateways
from tests.support.mosquitto import Broker
from tests.support.processes import Processes
from tests.support.treeserver import serving_tree
from tests.support.update_scene import UpdateScene

NAMES = ("gw-a", "gw-b", "gw-c")
LINE = """driver: sim
interval: 200ms
devices:
  pump:
    tags:
      level: {type: float64, signal: sine, low: 0, high: 9, period: 60}
"""


class Site:
    """Three gateways, the folder of each, and an operator."""

    def __init__(self, make_gateway: Callable[..., Gateway], broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.gateways: dict[str, Gateway] = {}
        self.begun: list[subprocess.Popen[str]] = []
        for name in NAMES:
            gateway = self.gateways[name] = make_gateway(name)
            gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}}, gateway_id=name)
            main = gateway.config / "gateway.yaml"
            main.write_text(main.read_text() + "apply: {uplinks: 3s, channels: 3s, rules: 2s, hold: 1s}\n")
            gateway.write("channels/line1.yaml", LINE)
            gateway.start()

    def trees(self, name: str, change: Callable[[str, str, str], str]) -> str:
        """Folders with the configuration of each gateway; `change` is given gateway, file and text."""
        for gateway, made in self.gateways.items():
            for path in made.config.rglob("*.yaml"):
                file = path.relative_to(made.config).as_posix()
                target = self.folder / name / gateway / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(change(gateway, file, path.read_text()))
        return f"{self.folder}/{name}/{{gateway}}"

    def fleet(self, *words: str, within: float = 90) -> Answer:
        done = subprocess.run(
            self._command(*words), capture_output=True, text=True, timeout=within, check=False, env=self._env
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        out = subprocess.PIPE
        self.begun.append(
            subprocess.Popen(self._command(*words), stdout=out, stderr=subprocess.STDOUT, text=True, env=self._env)
        )
        return self.begun[-1]

    def _command(self, *words: str) -> list[str]:
        return [str(FIELDPOST), "fleet", *words, "--url", self.broker.url]

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "operator"), "PYTHONUNBUFFERED": "1"}

    def hashes(self) -> dict[str, str]:
        return {name: str(gateway.status()["config"]["hash"]) for name, gateway in self.gateways.items()}

    def standing(self) -> dict[str, Any]:
        return {row["gateway"]: row for row in json.loads(self.fleet("jobs", "--ask", "--json").out)["jobs"]}


@pytest.fixture
def site(make_gateway: Callable[..., Gateway], broker: Broker, tmp_path: Path) -> Iterator[Site]:
    made = Site(make_gateway, broker, tmp_path / "fleet")
    wait_until(lambda: made.fleet("ls", "--json").out.count('"online":true') == len(NAMES), 30)
    yield made
    for operator in made.begun:
        operator.kill()
        operator.communicate()


def states(answer: Answer) -> dict[str, str]:
    return {row["gateway"]: row["state"] for row in answer.json["gateways"]}


def test_configurations_go_to_all_and_stop_at_a_canary_that_is_cut_off_by_its_own(site: Site) -> None:
    before = site.hashes()
    good = site.trees("good", lambda _, file, text: text.replace("200ms", "500ms") if "line1" in file else text)
    done = site.fleet("deploy", good, "--to", "all", "--canary", "1", "--rev", "5", "--json")
    assert (done.code, states(done)) == (0, dict.fromkeys(NAMES, "succeeded")), done.err
    now = site.hashes()
    assert all(now[name] != before[name] for name in NAMES)
    assert site.standing() == {}

    cut = site.trees("cut", lambda _, file, text: text.replace(str(site.broker.port), str(ports.free_port())))
    done = site.fleet("deploy", cut, "--to", "gw-*", "--canary", "gw-b", "--rev", "6")
    assert done.code == 1
    assert "taken back: not up again in time: uplink:cloud" in done.out
    assert "stopped: gw-b was a canary and ended failed" in done.out
    assert site.hashes() == now

    other = site.fleet("deploy", f"{site.folder}/good/gw-a", "--to", "gw-b")
    assert (other.code, "the configuration of gw-a, not of gw-b" in other.err) == (2, True)
    wrong = site.trees("wrong", lambda _, file, text: text.replace("interval: 200ms", "interval: soon"))
    refused = site.fleet("deploy", wrong, "--to", "all")
    assert refused.code == 78
    assert "channels/line1.yaml:2" in refused.out + refused.err
    sent = site.fleet("deploy", wrong, "--to", "all", "--rev", "9", "--unchecked", "--json")
    assert (sent.code, set(states(sent).values()) & {"rejected"}) == (1, {"rejected"})
    assert site.hashes() == now
    assert site.standing() == {}


def test_an_operator_that_is_killed_goes_on_where_it_was_and_another_cancels_it(site: Site) -> None:
    later = datetime.now(UTC) + timedelta(hours=6)
    window = f"{later:%H:%M}-{later + timedelta(minutes=10):%H:%M}"
    words = ("deploy", "restart", "--to", "all", "--window", window, "--id", "night")
    first = site.begin(*words)
    wait_until(
        lambda: [(row["status"] or {}).get("step") for row in site.standing().values()] == ["waiting"] * 3,
        30, why=lambda: str(site.standing()),
    )  # fmt: skip
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=20)
    assert site.fleet(*words).code == 1, "one deployment of a name"
    second = site.begin("deploy", "--resume", "night")
    assert second.stdout is not None
    waiting = set(NAMES)
    while waiting:
        line = second.stdout.readline()
        assert line, "it goes on"
        waiting -= {name for name in waiting if line.startswith(f"{name}: in_progress waiting")}
    second.send_signal(signal.SIGINT)
    text = second.communicate(timeout=20)[0]
    assert second.returncode == 130
    assert "jobs stand at the broker for 3: gw-a, gw-b, gw-c" in text
    assert "fieldpost fleet deploy --resume night" in text
    third = site.begin("deploy", "--resume", "night")
    assert third.stdout is not None
    third.stdout.readline()
    cancelled = site.fleet("cancel", "--all-of", "night", "--json")
    assert (cancelled.code, {row["state"] for row in cancelled.json["jobs"]}) == (0, {"cancelled"})
    text = third.communicate(timeout=30)[0]
    assert third.returncode == 1
    assert "3 cancelled" in text
    assert site.standing() == {}
    assert all(gateway.process.alive for gateway in site.gateways.values())


def test_a_job_that_waits_is_listed_and_cancelled(broker: Broker, tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, list[str]]:
        command = [str(FIELDPOST), "fleet", *words, "--url", broker.url]
        env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    site = JobGateways(broker.port, ["gw-0"]).start(offline=["gw-0"])
    try:
        status, lines = run("deploy", "restart", "--to", "gw-0", "--id", "later", "--json")
        answer = json.loads(lines[0])
        assert (status, answer["ok"], answer["counts"]) == (75, False, {"offline": 1})
        status, lines = run("deploy", "1.4.0", "--to", "gw-0")
        assert (status, "jobs of others stand at gw-0 (later)" in lines[-1]) == (1, True)
        status, lines = run("jobs")
        assert (status, lines[1].split()[:4]) == (0, ["gw-0", "offline", "later", "restart"])
        assert run("cancel", "--all-of", "later")[0] == 0
        assert run("cancel", "gw-0") == (1, ["fieldpost: no job stands at gw-0"])
    finally:
        site.stop()


@pytest.fixture
def scene(
    tmp_path: Path, processes: Processes, make_plant: Callable[..., Any], broker: Broker
) -> Iterator[UpdateScene]:
    with serving_tree(tmp_path / "nothing") as server:
        made = UpdateScene(tmp_path, processes, make_plant(2), broker, server)
        yield made
        made.close()


def test_a_release_goes_to_a_gateway_that_reaches_the_broker_only_and_a_bad_one_comes_back(
    scene: UpdateScene, broker: Broker, tmp_path: Path
) -> None:
    scene.begin()
    scene.release("1.2.0")
    scene.release("1.3.0", "__import__('os')._exit(3)")
    repository = str(scene.publisher.folder / "repo")

    def deploy(version: str) -> tuple[int, str]:
        words = ["deploy", version, "--to", "all", "--canary", "1", "--serve", repository, "--rate", "5MB"]
        command = [str(FIELDPOST), "fleet", *words, "--url", broker.url]
        env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "operator")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as running:
            try:
                scene.until(lambda: running.poll() is not None, 120)
            finally:
                running.kill()
            return running.returncode, running.communicate(timeout=20)[0]

    status, text = deploy("1.2.0")
    assert status == 0, text + scene.said()
    for step in ("metadata", "download", "trial"):
        assert f"gw: in_progress {step}" in text
    assert scene.server.asked == [], "nothing came over the web"
    kept = scene.machine.starts[-1]
    assert kept.startswith("1.2.0-")
    scene.release("1.2.1")
    assert deploy("1.2.1")[0] == 0
    assert scene.machine.starts[-1].startswith("1.2.1-")
    status, text = deploy("1.2.0")
    assert (status, scene.machine.starts[-1]) == (0, kept), f"the way back: {text}"
    status, text = deploy("1.3.0")
    assert status == 1, text
    assert "gw: failed: rolled back: " in text
    assert "stopped: gw was a canary and ended failed" in text
    assert scene.machine.starts[-1] == kept


def test_the_program_of_the_page_runs(broker: Broker, tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/fleet-updates.md"
    program = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert program is not None
    site = JobGateways(broker.port, ["lab", "press-1", "press-2"])
    site.ways["press-2"] = "fails"
    site.start()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program[1]], capture_output=True, text=True, timeout=60, check=False,
        cwd=tmp_path, env={**os.environ, "BROKER": broker.url},
    )  # fmt: skip
    site.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "(('lab',), ('press-1', 'press-2'))",
        "lab succeeded ",
        "press-1 succeeded ",
        "press-2 failed not enough room",
        "1 failed (press-2), 0 may",
    ]
