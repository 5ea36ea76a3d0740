"""A crashing driver stops itself only; one that blocks the loop ends the process, and everybody knows who it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.eventually import wait_until
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]
HERE = Path(__file__).resolve().parent

CHANNEL = {
    "driver": "naughty",
    "devices": {"imp": {"interval": "1s", "tags": {"x": {"type": "float64"}}}},
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds the misbehaving driver."""
    folder = tmp_path / "site"
    info = folder / "naughty-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(HERE / "naughty" / "naughty_driver.py", folder)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: naughty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[fieldpost.drivers]\nnaughty = naughty_driver:SPEC\nunborn = naughty_driver_that_is_not_there:SPEC\n"
    )
    return folder


def _missed(scene: Scene) -> int:
    """Polls that the good devices missed, as the gateway counts them."""
    rows = scene.gateway.ask("devices")["devices"]
    return max(int(row["missed"]) for row in rows if row["device"].startswith("d"))


@pytest.mark.parametrize("behaviour", ["raise", "return", "forever", "cancel", "exit"])
def test_its_neighbour_misses_no_more_than_one_poll(make_scene: MakeScene, site: Path, behaviour: str) -> None:
    scene = make_scene(2, start=False, env={"PYTHONPATH": str(site)})
    scene.gateway.write("channels/imp.yaml", {**CHANNEL, "behaviour": behaviour})
    scene.gateway.start()
    pid = scene.gateway.pid
    scene.wait_polls(3)
    if behaviour != "forever":
        wait_until(lambda: "imp" in scene.gateway.log(), 30, why="the crash is in the log, with its channel")
    scene.wait_polls(8)
    assert scene.gateway.process.alive
    assert scene.gateway.pid == pid
    assert scene.plant.accepted() == [1, 1]
    assert _missed(scene) <= 1
    assert scene.gateway.status()["ready"]
    scene.wait_delivered()
    values = [reading for reading in scene.sink.snapshot().readings() if reading.device == "imp"]
    assert values, "what it published before is a reading like any other"


def test_a_driver_that_cannot_be_imported_is_an_issue_and_not_an_exit(make_scene: MakeScene, site: Path) -> None:
    scene = make_scene(1, start=False, env={"PYTHONPATH": str(site)})
    scene.gateway.start()
    scene.wait_polls(1)
    scene.gateway.stop()
    # The driver was fine when the configuration was made active, and is damaged at the next start.
    scene.gateway.write("channels/imp.yaml", {**CHANNEL, "behaviour": "forever"})
    scene.gateway.start()
    scene.gateway.ask("apply")
    scene.gateway.stop()
    (site / "naughty_driver.py").write_text("import a_library_that_is_gone\n")
    scene.gateway.start()
    scene.wait_polls(3)
    issues = scene.gateway.issues()
    assert any("imp" in issue["entity"] and "a_library_that_is_gone" in issue["text"] for issue in issues), issues


@pytest.mark.timeout(240)
def test_fl_52_the_watchdog_ends_a_blocked_process_and_names_the_culprit(make_scene: MakeScene, site: Path) -> None:
    """FL-52: a synchronous call in a driver blocks the loop; the process ends, the journal is intact."""
    scene = make_scene(2, start=False, env={"PYTHONPATH": str(site), "FIELDPOST_LOOP_LIMIT_S": "3"})
    scene.gateway.write("channels/imp.yaml", {**CHANNEL, "behaviour": "block", "after": 3.0})
    scene.gateway.start(env={"NAUGHTY_BLOCKS": "1"})
    code = scene.gateway.process.wait(90)
    assert code == 70
    scene.losses.killed(scene.plant.counts(), interval_s=scene.interval_s)
    log = scene.gateway.log()
    assert "imp" in log, "the channel is named"
    assert "naughty_driver.py" in log, "and the place where it hangs"
    # The next start comes up, says what happened, and has lost nothing that was committed.
    scene.gateway.start()
    assert any("imp" in issue["entity"] + issue["text"] for issue in scene.gateway.issues()), scene.gateway.issues()
    scene.finish()
