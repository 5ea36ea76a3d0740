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
def test_fl_4_fl_5_cap_and_full_disk_lose_only_what_gap_records_count(make_scene: MakeScene, disk: Path) -> None:
    """FL-4, FL-5: 5 MB of journal on 32 MB, the broker away until far more was made, then no byte left."""
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

    filler = _fill(disk)
    before, begin = scene.lowest(), time.monotonic()
    wait_until(lambda: any("full" in i["id"] + i["text"] for i in scene.gateway.issues()), 60, every=0.5)
    time.sleep(scaled(10, 60))  # the length of the fault is what is asked for
    missed = max(row["missed"] for row in scene.gateway.ask("devices")["devices"])
    polls = scene.lowest()
    assert polls > before, "polling goes on"
    assert missed <= 0.02 * polls, f"{missed} of {polls} in {time.monotonic() - begin:.0f} s"
    filler.unlink()
    wait_until(lambda: not any("full" in i["id"] + i["text"] for i in scene.gateway.issues()), 60, every=0.5)

    scene.broker.start()
    scene.sink.wait_subscribed()
    scene.gateway.wait_drained(within=120, below=20_000)
    assert scene.gateway.pid == pid
    assert scene.gateway.process.alive
    for line in range(10):
        scene.plant.refuse(line)  # no reading is in flight when the books are closed
    wait_until(lambda: scene.gateway.backlog() == 0, 120, every=0.5, why="everything is delivered")
    _closes_the_books(scene)


def _closes_the_books(scene: Scene) -> None:
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
    assert {gap["why"] for gaps in ledger.gaps.values() for gap in gaps} == {"size", "full"}
    assert {key[0] for key in ledger.gaps} == {"telemetry"}, "events outlive telemetry"
    kinds = [entry["kind"] for entry in ledger.entries("event")]
    assert "device" in kinds
    assert ledger.entries("event")[0]["seq"] == 1, "the first event is still there"
    log = scene.gateway.log()
    assert "Traceback" not in log, log[-4000:]
    assert scene.gateway.stop() == 0
