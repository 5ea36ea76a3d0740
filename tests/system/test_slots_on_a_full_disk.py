"""A disk that fills up: while a release is staged, while it is tried, and when it is to be confirmed."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import parts
from tests.support.runnable import runtime, wheel
from tests.support.site import Site
from tests.support.slots import SlotBox
from tests.unit.ota.publisher import Publisher

OLD, NEW = "1.1.0-aaaaaaaaaaaa", "1.2.0-bbbbbbbbbbbb"


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Path]:
    """The root of a machine whose slots and state lie on a disk of `size` bytes, and whose /run does not."""
    parts.require("root", "mkfs.ext4")
    image, mount = folder / "disk.img", folder / "root/opt"
    mount.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        yield folder / "root"
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SlotBox]:
    """NEW is on trial."""
    with _small_disk(tmp_path, 8_000_000) as root:
        made = SlotBox(root)
        made.make(OLD)
        made.make(NEW)
        assert made.run("adopt", OLD) == 0
        assert made.run("trial", asked={"slot": NEW, "job": "j1"}) == 0
        yield made


def test_a_disk_that_fills_up_while_a_release_is_staged_leaves_the_old_version(tmp_path: Path) -> None:
    """The release says that it is small, so the look at the free space lets it pass."""
    publisher = Publisher(tmp_path / "publisher")
    publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    publisher.repository.refresh(publisher.signers)
    wheels = {"fieldpost": runtime("1.2.0"), "big": wheel("big", "1.0", {"big/__init__.py": "#" * 90_000_000})}
    bundle = publisher.bundle(publisher.release("1.2.0", wheels=wheels, installed_size=100_000))
    with _small_disk(tmp_path, 90_000_000) as root:
        site = Site(root, publisher)
        site.send(bundle)
        before = (site.at.base / "state/reserve").read_bytes()
        assert site.update() == 1, site.output
        assert site.outcome() == ("FAILED", "disk"), site.output
        assert "No space left on device" in site.output
        assert "Traceback" not in site.output
        assert site.untouched()
        assert (site.at.base / "state/reserve").read_bytes() == before, "the updater eats nothing of it"
        assert site.run("boot") == 0, site.output
        assert site.selected["slot"] == "1.1.0-aaaaaaaaaaaa"


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
