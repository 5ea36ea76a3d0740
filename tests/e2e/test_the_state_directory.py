"""What happens to the state directory is told in words, and a restart goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


def test_a_state_directory_that_vanishes_ends_the_process_with_one_line_and_a_restart_begins_anew(
    make_scene: MakeScene,
) -> None:
    scene = make_scene(1)
    scene.wait_polls(2)
    shutil.rmtree(scene.gateway.state)
    assert scene.gateway.process.wait(30) == 1
    assert "data.mdb is gone" in scene.gateway.log()
    assert "Traceback" not in scene.gateway.log()
    scene.gateway.start()
    scene.wait_polls(2)


def test_damaged_generations_are_moved_aside_and_told_and_the_gateway_runs(make_scene: MakeScene) -> None:
    scene = make_scene(1)
    scene.wait_polls(2)
    scene.kill_gateway()
    generations = scene.gateway.state / "generations"
    (generations / "state.json").write_bytes(b"\0" * 40)
    for file in (generations / "000001" / "files").rglob("*.yaml"):
        file.write_bytes(file.read_bytes()[:5])
    scene.gateway.start()
    scene.wait_polls(2)
    assert "generations_damaged" in {issue["id"] for issue in scene.gateway.issues()}
    assert list((generations / "damaged").iterdir())


def test_a_broken_folder_does_not_hide_the_state_that_it_names(make_scene: MakeScene) -> None:
    """As the page on commands says: later starts run the active generation, also without --state."""
    scene = make_scene(1)
    scene.wait_polls(2)
    scene.kill_gateway()
    scene.gateway.write("channels/line00.yaml", "driver: [")
    scene.gateway.start()
    scene.wait_polls(2)
