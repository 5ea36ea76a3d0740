"""Safe to change from afar: only what differs restarts, what is wrong changes nothing, what breaks goes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import ports
from tests.support.eventually import wait_until
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]

BROKEN = {
    "unknown-key": ("channels/line01.yaml", lambda text: text.replace("interval:", "intervall:"), "intervall"),
    "unknown-driver": (
        "channels/line01.yaml",
        lambda text: text.replace("driver: modbus", "driver: modbuss"),
        "modbuss",
    ),
    "bad-address": ("profiles/counter.yaml", lambda text: text.replace("holding/7\n", "holding/70000\n"), "70000"),
    "tab": ("gateway.yaml", lambda text: text.replace("  id:", "\tid:"), ""),
    "duplicate-key": ("gateway.yaml", lambda text: text + "store: {}\n", "store"),
    "bad-url": ("gateway.yaml", lambda text: text.replace("mqtt://", "gopher://"), "gopher"),
}


def _hash(scene: Scene) -> str:
    return str(scene.gateway.status()["config"]["hash"])


def _edit(scene: Scene, file: str, old: str, new: str) -> None:
    path = scene.gateway.config / file
    text = path.read_text()
    assert old in text, text
    scene.gateway.write(file, text.replace(old, new))


def test_fl_43_changing_one_channel_leaves_the_connections_of_the_others_open(make_scene: MakeScene) -> None:
    """FL-43: only the changed channel restarts, and nobody else misses a tick."""
    scene = make_scene(4)
    scene.wait_polls(3)
    before = _hash(scene)
    _edit(scene, "channels/line02.yaml", "interval: 500ms", "interval: 250ms")
    wait_until(lambda: scene.gateway.status()["config"]["drift"], 30, every=0.5, why="the changed folder is noticed")
    assert any("line02" in line for line in scene.gateway.ask("plan")["lines"])
    scene.gateway.ask("apply")
    scene.wait_polls(4)
    assert _hash(scene) != before
    wait_until(lambda: not scene.gateway.status()["config"]["drift"], 30, every=0.5)
    accepted = scene.plant.accepted()
    assert accepted[:2] + accepted[3:] == [1, 1, 1]
    assert accepted[2] <= 2
    scene.forgive((2, 1), at_most=1)  # one answer may die with its channel
    scene.finish()


def test_fl_44_the_same_config_again_changes_nothing(make_scene: MakeScene) -> None:
    """FL-44: an apply of what already runs is no new generation."""
    scene = make_scene(2)
    scene.wait_polls(2)
    before = scene.gateway.status()["config"]
    for _ in range(3):
        scene.gateway.ask("apply")
    assert scene.gateway.status()["config"] == before
    scene.wait_polls(2)
    assert scene.plant.accepted() == [1, 1]
    scene.finish()


@pytest.mark.parametrize("case", BROKEN)
def test_fl_45_a_broken_tree_is_refused_whole_and_the_old_one_runs(make_scene: MakeScene, case: str) -> None:
    """FL-45, FL-64: exit 78, file:line:column, no traceback, and the hash of the running config is unchanged."""
    scene = make_scene(2)
    scene.wait_polls(1)
    before = scene.gateway.status()["config"]
    file, change, word = BROKEN[case]
    path = scene.gateway.config / file
    broken = change(path.read_text())
    assert broken != path.read_text()
    path.write_text(broken)
    # A broken gateway.yaml cannot say where the state is, so it is said here, as the unit file does.
    for command in (["check"], ["apply", "--state", str(scene.gateway.state)]):
        answer = scene.gateway.cli(*command)
        text = answer.out + answer.err
        assert answer.code == 78, answer
        assert any(line.split(": ")[0].count(":") == 2 and line.startswith(file) for line in text.splitlines()), text
        assert word in text
        assert "Traceback" not in text
    after = scene.gateway.ask("status", "--state", str(scene.gateway.state))["config"]
    assert (after["hash"], after["generation"]) == (before["hash"], before["generation"])
    scene.wait_polls(2)
    assert scene.plant.accepted() == [1, 1]


def test_a_config_that_breaks_the_uplink_goes_back_by_itself(make_scene: MakeScene) -> None:
    scene = make_scene(2)
    scene.wait_polls(2)
    wait_until(lambda: scene.gateway.status()["uplinks"]["cloud"]["state"] == "online", 30, every=0.2)
    before = _hash(scene)
    good = (scene.gateway.config / "gateway.yaml").read_text()
    scene.gateway.write("gateway.yaml", good.replace(str(scene.broker.port), str(ports.free_port())))
    scene.gateway.ask("apply", "--confirm-within", "5s")
    assert _hash(scene) != before
    wait_until(lambda: _hash(scene) == before, 60, every=0.2, why="the former configuration is back")
    wait_until(lambda: scene.gateway.status()["uplinks"]["cloud"]["state"] == "online", 60, every=0.2)
    scene.wait_polls(2)
    assert scene.plant.accepted() == [1, 1], "no channel noticed"
    scene.finish()


def test_an_unconfirmed_change_does_not_survive_a_kill(make_scene: MakeScene) -> None:
    scene = make_scene(2)
    scene.wait_polls(2)
    before = _hash(scene)
    _edit(scene, "channels/line01.yaml", "interval: 500ms", "interval: 300ms")
    scene.gateway.ask("apply", "--confirm-within", "10m")
    assert _hash(scene) != before
    scene.kill_gateway()
    scene.gateway.start()
    assert _hash(scene) == before


def test_a_confirmed_change_survives_a_kill_and_can_be_rolled_back(make_scene: MakeScene) -> None:
    scene = make_scene(2)
    scene.wait_polls(2)
    before = _hash(scene)
    _edit(scene, "channels/line01.yaml", "interval: 500ms", "interval: 300ms")
    scene.gateway.ask("apply", "--confirm-within", "10m")
    scene.gateway.ask("confirm")
    changed = _hash(scene)
    scene.kill_gateway()
    scene.gateway.start()
    assert _hash(scene) == changed != before
    scene.gateway.ask("rollback")
    assert _hash(scene) == before


def test_a_new_codec_takes_over_the_backlog_with_its_numbers(make_scene: MakeScene) -> None:
    """FL-10: the backlog survives a change of codec and a new tag, in the new codec with the old numbers."""
    scene = make_scene(2)
    scene.wait_polls(2)
    scene.broker.stop()
    scene.wait_polls(4)
    _edit(scene, "gateway.yaml", "codec: json", "codec: native")
    scene.gateway.ask("apply")
    scene.wait_polls(2)
    scene.broker.start()
    scene.finish()


def test_a_broken_folder_does_not_keep_the_gateway_from_starting(make_scene: MakeScene) -> None:
    """The active generation runs, whatever somebody left in the folder."""
    scene = make_scene(2)
    scene.wait_polls(2)
    before = _hash(scene)
    scene.kill_gateway()
    scene.gateway.write("channels/line01.yaml", "driver: [")
    scene.gateway.start("--state", str(scene.gateway.state))
    assert _hash(scene) == before
    scene.wait_polls(2)


def test_the_first_start_with_a_broken_folder_is_exit_78(make_scene: MakeScene) -> None:
    scene = make_scene(1, start=False)
    scene.gateway.write("channels/line00.yaml", "driver: modbus\nurl: tcp://127.0.0.1:1\ndevices: {d: {unit_id: x}}\n")
    scene.gateway.start(wait=False)
    assert scene.gateway.process.wait(30) == 78
    assert "channels/line00.yaml:3:" in scene.gateway.log()
