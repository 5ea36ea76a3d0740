"""A small disk: the journal's cap holds, a full disk costs what is counted, alarms and events outlive telemetry."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import parts
from tests.support.eventually import wait_until
from tests.support.scale import SOAK, scaled
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]
MB = 1_000_000
CAP = 5 * MB


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB of the test's own."""
    parts.require("root", "mkfs.ext4")
    mount = tmp_path / "disk"
    mount.mkdir()
    if request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", mount], check=True)
    else:
        image = tmp_path / "disk.img"
        with image.open("wb") as file:
            file.truncate(32 * MB)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def _fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9, 1):
            while True:
                try:
                    if file.write(b"\0" * size) < size:
                        break
                except OSError:
                    break
    return filler


def _made(scene: Scene) -> float:
    """Bytes of journal made so far, dropped ones included, at the present bytes per reading."""
    journal = scene.gateway.status()["journal"]
    stream = journal["streams"]["telemetry"]
    held = stream["last"] - stream["oldest"] + 1
    return float(journal["bytes"]) * stream["last"] / max(held, 1)


@pytest.mark.timeout(1800 if SOAK else 600)
def test_fl_4_the_cap_holds_also_on_a_full_disk_and_gaps_count_every_loss(make_scene: MakeScene, disk: Path) -> None:
    """FL-4: 5 MB of journal on 32 MB, the broker away until far more was made, then the disk filled by somebody.

    A journal at its cap lives in the pages it has: the full disk costs nothing more.
    """
    scene = make_scene(
        10, codec="native", interval_s=0.02, noise=True, state=disk / "state", start=False,
        journal={"max_bytes": "5MB", "min_age": "0s"},
    )  # fmt: skip
    scene.broker.stop()
    scene.gateway.start()
    pid = scene.gateway.pid
    sizes: list[int] = []

    def enough() -> bool:
        sizes.append(scene.gateway.status()["journal"]["bytes"])
        return _made(scene) > scaled(10 * MB, 20 * MB)

    wait_until(enough, 400, every=1.0, why="more was made than the cap holds")
    assert max(sizes) <= CAP

    usual = _missed(scene, 3)
    filler = _fill(disk)
    _polls_go_on(scene, scaled(10, 60), usual)
    filler.unlink()
    _closes_the_books(scene, pid, {"size"})


@pytest.mark.timeout(900 if SOAK else 400)
def test_fl_5_what_a_full_disk_could_not_store_is_counted(make_scene: MakeScene, disk: Path) -> None:
    """FL-5: the disk is full long before the journal has its size: the oldest goes by policy, what still finds no
    room gets no number and is counted; either way gap records say exactly how much.
    """
    scene = make_scene(10, codec="native", interval_s=0.02, noise=True, state=disk / "state", start=False)
    scene.broker.stop()
    scene.gateway.start()
    pid = scene.gateway.pid
    scene.wait_polls(100)
    usual = _missed(scene, 3)
    filler = _fill(disk)
    wait_until(lambda: _told(scene), 120, every=0.5, why=lambda: f"an issue tells it: {scene.gateway.issues()}")
    _polls_go_on(scene, scaled(10, 60), usual)
    filler.unlink()
    scene.wait_polls(100)
    _closes_the_books(scene, pid, {"size", "full"})


def _told(scene: Scene) -> bool:
    return any(issue["entity"] == "store" for issue in scene.gateway.issues())


def _polls_go_on(scene: Scene, seconds: float, usual: float) -> None:
    """Of the polls hardly more are missed while the disk is full than `usual`, before: a busy machine misses some too."""
    share = _missed(scene, seconds)
    assert share <= usual + 0.1, f"{share:.0%} were missed while the disk was full, {usual:.0%} before"


def _missed(scene: Scene, seconds: float) -> float:
    """The share of the polls that are missed in the next seconds."""
    before = _polls_and_missed(scene)
    time.sleep(seconds)  # how long one looks is what is asked for
    after = _polls_and_missed(scene)
    polls, missed = after[0] - before[0], after[1] - before[1]
    assert polls > 0
    return missed / (polls + missed)


def _polls_and_missed(scene: Scene) -> tuple[int, int]:
    rows = scene.gateway.ask("devices")["devices"]
    return sum(row["polls"] for row in rows), sum(row["missed"] for row in rows)


def _closes_the_books(scene: Scene, pid: int, reasons: set[str]) -> None:
    scene.broker.start()
    scene.sink.wait_subscribed()
    scene.gateway.wait_drained(within=120, below=20_000)
    assert scene.gateway.pid == pid
    assert scene.gateway.process.alive
    for line in range(10):
        scene.plant.refuse(line)  # no reading is in flight when the books are closed
    wait_until(lambda: scene.gateway.backlog() == 0, 120, every=0.5, why="everything is delivered")
    scene.sink.wait_caught_up()

    def balanced() -> bool:
        ledger = scene.sink.snapshot()
        assert not ledger.conflicts
        assert ledger.all_missing() == {}
        good = sum(1 for reading in ledger.readings() if reading.quality == "good")
        given = 100 * sum(scene.plant.counts().values())
        # At most the one answer per device that was on the wire when its port closed.
        assert 0 <= given - (good + ledger.in_gaps()) <= 10 * 100, (given, good, ledger.in_gaps())
        return True

    wait_until(balanced, 60, every=0.5)
    ledger = scene.sink.snapshot()
    found = {gap["why"] for gaps in ledger.gaps.values() for gap in gaps}
    assert found, "something was lost, and told"
    assert found <= reasons
    assert {key[0] for key in ledger.gaps} == {"telemetry"}, "events outlive telemetry"
    kinds = [entry["kind"] for entry in ledger.entries("event")]
    assert "device" in kinds
    assert ledger.entries("event")[0]["seq"] == 1, "the first event is still there"
    log = scene.gateway.log()
    assert "Traceback" not in log, log[-4000:]
    assert scene.gateway.stop() == 0
