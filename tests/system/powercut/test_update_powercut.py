"""Power cuts during an update: the disk's image at each point, as it was without what the kernel still held in memory.

The updater works on an ext4 in a file and is killed; the file is copied at once, so the copy has only what was written to
the disk, and is mounted (its journal replayed) as after a boot. Not modelled: a disk that lies about a flush.
"""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slots import manifest
from slots.manifest import Damaged
from tests.support import parts
from tests.support.runnable import runtime, wheel
from tests.support.site import OLD, Site
from tests.support.slots import SlotBox
from tests.unit.ota.publisher import Publisher

BEFORE = (
    "apply.verified", "floors.state-rename", "floors.state-done", "apply.wheel", "apply.folder", "apply.unpacked",
    "apply.installed", "apply.compiled", "apply.tested", "seal.marked", "seal.renamed", "apply.sealed",
    "trial.state-begin", "trial.state-tmp", "trial.state-bak", "trial.state-rename",
)  # fmt: skip
AFTER = ("trial.state-done", "apply.committed")
LIBRARY = wheel("msgpack", "1.0", {f"msgpack/part{number}.py": f"A = {'x' * 5000!r}\n" for number in range(60)})


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    made = Publisher(tmp_path_factory.mktemp("publisher"))
    made.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    made.repository.refresh(made.signers)
    return made


@pytest.fixture(scope="module")
def bundle(publisher: Publisher) -> Path:
    wheels = {"fieldpost": runtime("1.2.0"), "msgpack": LIBRARY}
    return publisher.bundle(publisher.release("1.2.0", wheels=wheels, installed_size=2_000_000))


class Disk:
    """A machine whose `/opt` is an ext4 in a file."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        self._folder = folder
        self._image = folder / "disk.img"
        self._mounts: list[Path] = []
        with self._image.open("wb") as file:
            file.truncate(160_000_000)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self._image], check=True)
        self.site = Site(self._mount(self._image, "machine"), publisher)
        subprocess.run(["sync", "-f", self.site.at.base], check=True)

    def after_the_cut(self) -> SlotBox:
        """The machine as it is when the power is back."""
        copy = self._folder / "copy.img"
        subprocess.run(["cp", "--sparse=always", self._image, copy], check=True)
        return SlotBox(self._mount(copy, "again"))

    def close(self) -> None:
        for mount in self._mounts:
            subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self, image: Path, name: str) -> Path:
        mount = self._folder / name / "opt"
        mount.mkdir(parents=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        self._mounts.append(mount)
        return mount.parent


@pytest.fixture
def disk(tmp_path: Path, publisher: Publisher) -> Iterator[Disk]:
    parts.require("root", "mkfs.ext4")
    (tmp_path / "disk").mkdir()
    made = Disk(tmp_path / "disk", publisher)
    yield made
    made.close()


def _damaged(box: SlotBox) -> list[str]:
    """Slots that have their name and are not what was staged."""
    found = []
    for folder in box.places.releases.iterdir():
        if not folder.name.startswith("."):
            try:
                manifest.check(folder)
            except Damaged as error:
                found.append(f"{folder.name}: {error}")
    return found


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_a_power_cut_leaves_a_version_that_starts_and_no_slot_that_is_half_there(
    disk: Disk, bundle: Path, point: str
) -> None:
    disk.site.send(bundle)
    disk.site.update(kill_at=point)
    again = disk.after_the_cut()
    assert _damaged(again) == []
    assert again.loaded().source in {"state", "backup"}
    assert again.run("boot") == 0, again.output
    if point in AFTER:
        assert again.selected["slot"].startswith("1.2.0-"), "what was committed is there"
    elif point != "trial.state-rename":  # renamed, and perhaps on disk
        assert again.selected["slot"] == OLD


def _without(tmp_path: Path, *options: str) -> str:
    """The library that replaces calls which write to disk."""
    shim = tmp_path / "nosync.so"
    source = Path(__file__).with_name("nosync.c")
    subprocess.run([parts.command("gcc"), "-shared", "-fPIC", *options, "-o", shim, source], check=True)
    return str(shim)


def test_the_cut_is_seen_where_nothing_was_written_to_disk(disk: Disk, bundle: Path, tmp_path: Path) -> None:
    """Guards the test above: the same without fsync and sync must not look safe."""
    disk.site.send(bundle)
    assert disk.site.update(preload=_without(tmp_path)) == 0, disk.site.output
    assert disk.site.loaded().state.phase == "TRIAL"
    again = disk.after_the_cut()
    safe = again.loaded().state.phase == "TRIAL" and not _damaged(again)
    assert not safe


def test_a_slot_that_was_not_written_as_a_whole_is_seen_and_not_started(
    disk: Disk, bundle: Path, tmp_path: Path
) -> None:
    disk.site.send(bundle)
    assert disk.site.update(preload=_without(tmp_path, "-DONLY_SYNC")) == 0, disk.site.output
    again = disk.after_the_cut()
    assert again.loaded().state.phase == "TRIAL"
    assert _damaged(again) != []
    assert again.run("boot") == 0, again.output
    assert again.selected["slot"] == OLD
    assert again.loaded().state.result["reason"] == "damaged"
