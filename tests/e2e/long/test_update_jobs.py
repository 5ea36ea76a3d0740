"""Releases that come by a job, over a broker and a web server, while the gateway polls: told step by step, kept or not."""

import os
import subprocess
import sys

import pytest

from tests.support.eventually import wait_until
from tests.support.part_server import PartServer
from tests.support.treeserver import serving_tree
from tests.support.update_scene import OLD, UpdateScene


@pytest.fixture
def scene(tmp_path, processes, make_plant, broker):
    with serving_tree(tmp_path / "nothing") as server:
        made = UpdateScene(tmp_path, processes, make_plant(2), broker, server)
        yield made
        made.close()


def test_a_release_by_a_job_is_fetched_tried_and_kept(scene):
    scene.begin(url=scene.server.url)
    target = scene.release("1.2.0")
    scene.cloud.put("j1", "ota", {"target": target, "group": "canary-1"})
    ended = scene.end("j1")
    assert ended["state"] == "succeeded", scene.said()
    detail = ended["detail"]
    assert (detail["from"], detail["to"], detail["rolled_back"]) == ("1.1.0", "1.2.0", False)
    assert set(detail["gates"].values()) == {"ok"}
    steps = scene.steps("j1")
    assert [step for step in ("accepted", "metadata", "download", "stage", "trial") if step in steps] == steps, steps
    assert {"download", "trial"} <= set(steps)
    assert scene.machine.starts == [OLD, detail["slot"]]
    scene.cloud.put("j2", "ota", {"target": target})
    again = scene.end("j2")
    assert (again["state"], again["detail"]["reason"]) == ("succeeded", "installed")
    assert scene.machine.starts == [OLD, detail["slot"]]
    assert scene.told_ends() == [("j1", "succeeded"), ("j2", "succeeded")], "each once"


def test_without_an_address_a_release_comes_in_parts_over_the_broker(scene):
    scene.begin()
    target = scene.release("1.2.0")
    scene.cloud.put("j0", "ota", {"target": target.replace("1.2.0", "6.6.6")})
    parts = PartServer(scene.broker.port, scene.publisher.folder / "repo")
    parts.lose = {1}
    try:
        scene.until(lambda: scene.cloud.statuses.get("j0"))
        told = scene.end("j0")
        assert (told["state"], told["detail"]["code"], told["detail"]["reason"]) == ("rejected", 404, "unknown")
        scene.cloud.put("j1", "ota", {"target": target})
        ended = scene.end("j1")
        assert ended["state"] == "succeeded", scene.said()
        assert scene.server.asked == []
        files = {name for name, *_ in parts.wanted}
        assert {"metadata/timestamp.json", "metadata/2.root.json"} <= files
        large = [offset for name, offset, _ in parts.wanted if name.endswith(".whl")]
        assert max(large) > 0, "more than one turn"
    finally:
        parts.close()


def test_an_address_that_cannot_be_reached_is_replaced_by_the_broker(scene):
    scene.begin(url="http://127.0.0.1:9/repo")
    target = scene.release("1.2.0")
    parts = PartServer(scene.broker.port, scene.publisher.folder / "repo")
    try:
        scene.cloud.put("j1", "ota", {"target": target})
        assert scene.end("j1")["state"] == "succeeded", scene.said()
    finally:
        parts.close()


def test_a_release_that_does_not_start_is_taken_back_and_not_tried_again(scene):
    scene.begin(url=scene.server.url)
    target = scene.release("1.2.0", "__import__('os')._exit(3)")
    scene.cloud.put("j1", "ota", {"target": target})
    ended = scene.end("j1")
    assert (ended["state"], ended["detail"]["rolled_back"], ended["detail"]["reason"]) == ("failed", True, "tries")
    assert scene.machine.starts[-1] == OLD
    assert len(scene.machine.starts) == 5
    scene.server.asked.clear()
    scene.cloud.put("j2", "ota", {"target": target})
    ended = scene.end("j2")
    assert (ended["state"], ended["detail"]["rolled_back"], ended["detail"]["reason"]) == ("failed", False, "bad")
    assert not [path for path in scene.server.paths() if path.endswith(".whl")]
    (issue,) = [one for one in scene.machine.gateway.issues() if one["id"] == "update_failed"]
    assert "3 starts" in issue["text"]
    assert scene.told_ends() == [("j1", "failed"), ("j2", "failed")], "each once"


def test_a_release_that_fails_on_probation_stops_the_deployment_that_brought_it(scene, tmp_path):
    scene.begin(url=scene.server.url)
    scene.release("1.2.0")
    words = ["fleet", "deploy", "1.2.0", "--to", "gw", "--canary", "1", "--soak", "10m", "--id", "d-1"]
    command = [sys.executable, "-m", "gateway.cli.main", *words, "--url", scene.broker.url]
    operator = subprocess.Popen(
        command, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert scene.end("d-1")["state"] == "succeeded", scene.said()
        scene.machine.gateway.process.end()
        assert scene.machine.run("onfailure") == 0, scene.machine.output
        scene.until(lambda: operator.poll() is not None)
        out, _ = operator.communicate(timeout=20)
    finally:
        operator.kill()
        operator.wait(20)
    assert operator.returncode == 1, out
    assert f"gw was a canary and had succeeded, and runs {OLD} since" in out
    assert scene.told_ends() == [("d-1", "failed"), ("d-1", "succeeded")]


@pytest.mark.parametrize("point", ["download", "job.before-request", "job.requested"])
def test_a_gateway_that_is_killed_goes_on_with_the_job(scene, point):
    scene.machine.gateway.env["OTA_KILL_AT"] = point
    scene.begin(url=scene.server.url, **({"max_rate": "40kB"} if point == "download" else {}))
    target = scene.release("1.2.0")
    scene.cloud.put("j1", "ota", {"target": target})
    told = lambda: scene.cloud.statuses.get("j1", [{}])[-1]  # noqa: E731
    if point == "download":
        wait_until(lambda: told().get("step") == "download" and told().get("percent", 0) > 20, 40, every=0.05)
        scene.machine.gateway.process.signal(9)
    wait_until(lambda: not scene.machine.gateway.process.alive, 40, every=0.05, why=scene.said)
    del scene.machine.gateway.env["OTA_KILL_AT"]
    ended = scene.end("j1")
    assert ended["state"] == "succeeded", scene.said()
    assert scene.machine.starts.count(OLD) == 2
    if point == "download":
        assert [asked for _, asked in scene.server.asked if asked], "it went on where it was"


def test_a_job_that_is_withdrawn_before_its_trial_changes_nothing(scene):
    scene.begin(url=scene.server.url)
    target = scene.release("1.2.0")
    scene.updates = False
    scene.cloud.put("j1", "ota", {"target": target})
    scene.until(lambda: scene.request.exists())
    scene.cloud.clear()
    assert scene.end("j1")["state"] == "cancelled"
    assert not scene.request.exists()
    scene.updates = True
    scene.cloud.put("j2", "ota", {"target": target})
    scene.until(lambda: list(scene.machine.root.glob("opt/fieldpost/.inbox-*")))
    scene.cloud.clear()
    ended = scene.end("j2")
    assert (ended["state"], ended["detail"]["reason"]) == ("cancelled", "cancelled")
    assert scene.machine.starts == [OLD]
    scene.cloud.put("j3", "ota", {"target": target})
    scene.until(lambda: "trial" in scene.steps("j3"))
    scene.cloud.clear()
    assert scene.end("j3")["state"] == "succeeded", "past the point of no return"


def test_somebody_at_the_machine_can_have_a_release_fetched(scene):
    scene.begin(url=scene.server.url, window="00:00-00:01", jitter="1h", metered=True)
    scene.release("1.2.0")
    gateway = scene.machine.gateway
    answer = gateway.cli("ota", "install", "drivers/acme/press-1.0.0.json", "--json")
    assert (answer.code, answer.json["state"], answer.json["code"]) == (1, "rejected", 403)
    answer = gateway.cli("ota", "install", "1.2.0", "--no-wait", "--job", "mine", "--json")
    assert (answer.code, answer.json["ok"]) == (0, True)

    def ended():
        rows = gateway.cli("jobs", "--json")
        mine = [row for row in rows.json["jobs"] if row["id"] == "mine"] if rows.code == 0 else []
        return mine[0] if mine and mine[0]["state"] not in {"queued", "in_progress"} else None

    row = scene.until(ended)
    assert (row["state"], row["via"]) == ("succeeded", "@local"), row
    assert "mine" not in scene.cloud.statuses, "nobody else is told"
    shown = gateway.ask("ota", "status")
    assert shown["running"].startswith("1.2.0")
    assert shown["metadata"]["version"] == scene.publisher.repository.timestamp.version
    answer = gateway.cli("ota", "install", "1.2.0", "--job", "again", "--wait", "30s", "--json")
    assert (answer.code, answer.json["reason"]) == (0, "installed")
