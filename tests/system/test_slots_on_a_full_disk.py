"""A disk without a free byte while a version is tried: an attempt that cannot be counted is not made."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import parts
from tests.support.slots import SlotBox

OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SlotBox]:
    """A machine whose slots and state lie on a small disk, and whose /run does not; NEW is on trial."""
    parts.require("root", "mkfs.ext4")
    image, mount = tmp_path / "disk.img", tmp_path / "root/opt"
    mount.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(8_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    made = SlotBox(tmp_path / "root")
    made.make(OLD)
    made.make(NEW)
    assert made.run("adopt", OLD) == 0
    assert made.run("trial", asked={"slot": NEW, "job": "j1"}) == 0
    yield made
    subprocess.run(["umount", "-l", mount], check=True)


def _fill(box: SlotBox, name: str) -> None:
    with (box.root / "opt" / name).open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1 << 9, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


def test_without_room_for_a_count_the_old_version_runs(box: SlotBox) -> None:
    _fill(box, "filler1")
    assert box.run("boot") == 0, box.output
    assert box.selected["slot"] == NEW
    assert box.loaded().state.trial is not None
    assert box.loaded().state.trial.tries_left == 2, "counted in the bytes of the reserve"
    box.places.reserve.unlink()
    _fill(box, "filler2")
    before = box.places.state.read_bytes()
    for _ in range(3):
        assert box.run("boot") == 0, box.output
        assert "cannot be counted" in box.output
        assert box.selected["slot"] == OLD
    assert box.places.state.read_bytes() == before
    for name in ("filler1", "filler2"):
        (box.root / "opt" / name).unlink()
    assert box.run("boot") == 0
    assert box.selected["slot"] == NEW, "the trial goes on when there is room again"


def test_a_confirmation_that_cannot_be_written_is_made_later(box: SlotBox) -> None:
    assert box.run("boot") == 0
    _fill(box, "filler1")
    box.places.reserve.unlink()
    _fill(box, "filler2")
    assert box.run("keep") == 1
    assert "Traceback" not in box.output
    assert box.loaded().state.phase == "TRIAL"
    for name in ("filler1", "filler2"):
        (box.root / "opt" / name).unlink()
    assert box.run("keep") == 0, box.output
    assert box.loaded().state.good == NEW
