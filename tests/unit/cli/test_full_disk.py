"""A disk without room: a command says which file could not be written, and leaves no half one and none of its own."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import FIELDPOST

CHANNEL = (
    "driver: modbus\nurl: tcp://192.0.2.10\ndevices:\n  m: {unit_id: 1, tags: {x: {address: holding/1, type: int16}}}\n"
)


def no_room() -> None:
    """From here on no file grows: like a full disk, and without one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def without_room(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FIELDPOST), *words], capture_output=True, text=True, timeout=60, check=False, cwd=cwd, preexec_fn=no_room
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config" / "channels").mkdir(parents=True)
    (tmp_path / "config" / "gateway.yaml").write_text("gateway: {id: plant-7}\n")
    (tmp_path / "config" / "channels" / "m2.yaml").write_text(CHANNEL)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("init", "new"), "new/gateway.yaml"),
        (("export", "-o", "tags.csv"), "tags.csv"),
        (("export", "-o", "/dev/full"), "/dev/full"),
        (("add", "modbus", "192.0.2.10", "--unit", "2", "--name", "n", "--write"), "channels/m2.yaml"),
        (("add", "modbus", "192.0.2.11", "--write"), "channels/192-0-2-11-502.yaml"),
        (("profiles", "abb_b23", "--write"), "profiles/abb_b23.yaml"),
    ],
    ids=str,
)
def test_without_room_nothing_is_written_and_the_file_is_named(folder, words, named):
    before = names(folder)
    done = without_room(*words, cwd=folder)
    assert done.returncode == 1, done
    assert done.stderr.endswith((f"{named}: File too large\n", f"{named}: No space left on device\n")), done.stderr
    assert names(folder) == before
    assert (folder / "config" / "channels" / "m2.yaml").read_text() == CHANNEL


def test_what_is_exported_may_go_to_a_device_and_replaces_a_file_in_its_mode(folder):
    (folder / "tags.csv").write_text("old")
    (folder / "tags.csv").chmod(0o604)
    for target in ("/dev/stdout", "tags.csv"):
        done = subprocess.run(
            [str(FIELDPOST), "export", "-o", target], capture_output=True, text=True, timeout=60, check=True, cwd=folder
        )
    assert "1 tags in tags.csv" in done.stdout
    assert (folder / "tags.csv").read_text().startswith("device,tag,")
    assert os.stat(folder / "tags.csv").st_mode & 0o777 == 0o604


def test_a_driver_project_that_found_no_room_is_not_in_the_way_of_the_next_try(tmp_path: Path) -> None:
    done = without_room("driver", "new", "acme", cwd=tmp_path)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []
    again = subprocess.run(
        [str(FIELDPOST), "driver", "new", "acme"], capture_output=True, timeout=60, check=False, cwd=tmp_path
    )
    assert again.returncode == 0
