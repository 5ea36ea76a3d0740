"""Configurations from afar that go wrong again and again: cut links, dead channels, kills at each step, power cuts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support import ports
from tests.support.eventually import wait_until
from tests.support.scene import Scene
from tests.support.sent_trees import sender

MakeScene = Callable[..., Scene]

KILLS = ("stored", "pending", "applied", "healthy", "confirmed")


def test_twenty_configurations_that_cut_the_link_are_taken_back_and_told_and_nothing_is_lost(
    make_scene: MakeScene,
) -> None:
    scene = make_scene(3, start=False)
    with sender(scene) as far:
        before = far.config()["hash"]
        for turn in range(20):
            cut = far.changed("gateway.yaml", str(scene.broker.port), str(ports.free_port()))
            ended = far.end(f"cut{turn}", 7 + turn, {**cut, "rules/none.yaml": f"# {turn}\n"})
            detail = ended["detail"]
            assert (ended["state"], detail["rolled_back"], detail["hash"]) == ("failed", True, before), ended
            assert detail["reason"] == "not up again in time: uplink:cloud"
            assert far.config()["hash"] == before
        scene.wait_polls(2)
    assert scene.plant.accepted() == [1, 1, 1], "no channel noticed"
    scene.finish()


def test_a_channel_that_worked_before_and_is_not_reached_any_more_takes_the_change_back(make_scene: MakeScene) -> None:
    scene = make_scene(3, start=False)
    with sender(scene) as far:
        scene.wait_polls(2)
        before = far.config()["hash"]
        ended = far.end(
            "dead", 1, far.changed("channels/line01.yaml", str(scene.plant.ports[1]), str(ports.free_port()))
        )
        assert (ended["state"], ended["detail"]["rolled_back"]) == ("failed", True)
        assert ended["detail"]["reason"] == "not up again in time: channel:line01"
        assert far.config()["hash"] == before
        scene.wait_polls(3)
        ended = far.end("good", 1, far.changed("channels/line01.yaml", "interval: 500ms", "interval: 250ms"))
        assert ended["state"] == "succeeded"
    accepted = scene.plant.accepted()
    assert (accepted[0], accepted[2]) == (1, 1)
    scene.forgive((1, 1), at_most=2)  # one answer may die with each end of its channel
    scene.finish()


def test_devices_that_nobody_reaches_under_their_new_address_take_the_change_back(make_scene: MakeScene) -> None:
    """The connection opens, so the channel looks well until its devices have not answered for a while."""
    scene = make_scene(2, start=False, timeout="1s")
    with sender(scene, "apply: {channels: 12s, hold: 1s}\n") as far:
        scene.wait_polls(2)
        before = far.config()["hash"]
        ended = far.end("mute", 1, far.changed("channels/line01.yaml", "unit_id: 1", "unit_id: 99"))
        assert ended["detail"]["reason"] == "not up again in time: channel:line01"
        assert far.config()["hash"] == before
        scene.wait_polls(2)


@pytest.mark.parametrize("point", KILLS)
def test_a_kill_at_any_step_is_one_more_try(make_scene: MakeScene, point: str) -> None:
    scene = make_scene(2, start=False)
    with sender(scene, env=_dying(point)) as far:
        tree = far.changed("channels/line01.yaml", "interval: 500ms", "interval: 250ms")
        far.send("c1", 7, tree)
        _wait_dead(scene)
        scene.losses.killed(scene.plant.counts(), interval_s=0.25)
        scene.gateway.start()
        ended = far.cloud.end("c1", 60)
        assert (ended["state"], ended["detail"]["rev"]) == ("succeeded", 7), ended
        assert far.config()["hash"] == ended["detail"]["hash"]
        assert "pending" not in far.config()
        assert far.end("c2", 7, tree)["state"] == "succeeded"
    scene.forgive((1, 1), at_most=10)
    scene.finish()


def test_a_gateway_that_dies_of_its_configuration_ends_on_the_one_before(make_scene: MakeScene) -> None:
    scene = make_scene(2, start=False)
    with sender(scene, env=_dying("applied")) as far:
        before = far.config()["hash"]
        tree = far.changed("channels/line01.yaml", "interval: 500ms", "interval: 250ms")
        far.send("c1", 7, tree)
        _wait_dead(scene)
        scene.gateway.start(env=_dying("healthy"))
        _wait_dead(scene)
        scene.gateway.start()
        ended = far.cloud.end("c1", 60)
        assert ended["detail"]["reason"] == "the gateway ended twice while the configuration was tried"
        assert far.config()["hash"] == before == ended["detail"]["hash"]
        assert far.end("c2", 7, tree)["state"] == "succeeded", "a power cut is no fault of it"


def test_a_driver_that_ends_the_process_whenever_it_runs_is_gone_at_the_third_start(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    scene = make_scene(2, start=False, env={"PYTHONPATH": str(_naughty(tmp_path))})
    with sender(scene) as far:
        before = far.config()["hash"]
        device = {"interval": "1s", "tags": {"x": {"type": "float64"}}}
        imp = {"driver": "naughty", "behaviour": "die", "after": 0.3, "devices": {"imp": device}}
        far.send("c1", 7, {**far.base, "channels/imp.yaml": yaml.safe_dump(imp)})
        _wait_dead(scene)
        scene.gateway.start(wait=False)
        _wait_dead(scene)
        scene.gateway.start()
        assert far.cloud.end("c1", 60)["detail"]["rolled_back"]
        assert far.config()["hash"] == before
        scene.wait_polls(3)


def _naughty(folder: Path) -> Path:
    """A folder of installed packages that holds the misbehaving driver."""
    site = folder / "site"
    info = site / "naughty-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(Path(__file__).resolve().parent / "naughty" / "naughty_driver.py", site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: naughty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fieldpost.drivers]\nnaughty = naughty_driver:SPEC\n")
    return site


def _dying(point: str) -> dict[str, str]:
    """The environment of a gateway that is killed at a step of its next change."""
    return {"OTA_KILL_AT": f"config-{point}"}


def _wait_dead(scene: Scene) -> None:
    wait_until(lambda: not scene.gateway.process.alive, 30, why="the gateway dies")
    assert scene.gateway.process.returncode == -9
