"""A box in one file: a second box goes on where the first one was, in a new epoch, and no number has two contents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


def test_a_second_box_goes_on_with_identity_state_and_streams(
    make_scene: MakeScene, make_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    scene = make_scene(2, start=False)
    (scene.gateway.config / "credentials").mkdir()
    (scene.gateway.config / "credentials" / "key").write_text("of the first box")
    scene.gateway.start()
    scene.wait_polls(3)
    device = sorted(scene.states())[0]
    assert scene.gateway.cli("maintenance", device, "--for", "2h", "--reason", "until the second box").code == 0
    (tmp_path / "password").write_text("secret\n")
    words = ("--password-file", str(tmp_path / "password"))
    made = scene.gateway.cli("backup", str(tmp_path / "box.fpbackup"), *words)
    assert made.code == 0, made.err
    scene.wait_polls(3)  # what it gives after the backup, the second box knows nothing of
    before = scene.gateway.ask("maintenance")
    scene.kill_gateway()
    first = _epochs(scene)

    second = make_gateway(state=tmp_path / "second" / "state")
    second.config = tmp_path / "second" / "config"
    restored = second.cli(
        "restore", str(tmp_path / "box.fpbackup"), *words, "--config", str(second.config), "--state", str(second.state)
    )
    assert restored.code == 0, restored.err
    main = second.config / "gateway.yaml"
    main.write_text(main.read_text().replace(str(scene.gateway.state), str(second.state)))
    assert (second.config / "credentials" / "key").read_text() == "of the first box"
    second.start()
    scene.gateway = second
    scene.wait_polls(3)
    assert before["maintenance"]
    assert second.ask("maintenance") == before
    wait_until(lambda: max(_epochs(scene)) > max(first), 30, why="a new epoch arrives")
    scene.wait_polls(3)
    assert scene.sink.snapshot().conflicts == []
    assert scene.sink.errors == []
    assert "store_restored" in {issue["id"] for issue in second.issues()}
    assert second.stop() == 0


def test_a_backup_without_a_password_has_to_be_wanted(make_scene: MakeScene, tmp_path: Path) -> None:
    scene = make_scene(1)
    scene.wait_polls(1)
    refused = scene.gateway.cli("backup", str(tmp_path / "a"))
    assert (refused.code, "secrets" in refused.err) == (2, True)
    assert scene.gateway.cli("backup", str(tmp_path / "a"), "--open").code == 0
    again = scene.gateway.cli("backup", str(tmp_path / "a"), "--open")
    assert (again.code, "exists already" in again.err) == (1, True)


def _epochs(scene: Scene) -> set[int]:
    return {epoch for _, epoch in scene.sink.snapshot().numbers}
