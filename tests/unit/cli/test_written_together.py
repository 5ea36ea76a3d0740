"""Files of a configuration folder are written as one: by one writer at a time, and whole after a kill at any point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.session import CommandFailed
from gateway.cli.writing import write_tree
from gateway.errors import ConfigError
from gateway.settings.tree import JOURNAL, read_tree
from gateway.settings.unfinished import locked
from tests.support.gateway import FIELDPOST

FILES = ("channels/a.yaml", "channels/b.yaml", "gateway.yaml", "profiles/new.yaml")

DIES = """
import os, signal, sys
folder, last = sys.argv[1:3]
seen = 0
def hook(event, args):
    global seen
    if event in ("os.rename", "os.remove") or (event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT):
        if str(args[0]).startswith(folder):
            seen += 1
            if last in (str(seen), str(args[1]) if event == "os.rename" else None):
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""
"""A process that ends by itself, as `kill -9` would, before the given step that changes the folder, or the renaming to a given name."""

_READS = """
from pathlib import Path
from gateway.cli.writing import write_tree
from gateway.settings.tree import read_tree
before = read_tree(Path(folder))
"""
WRITES = f'{_READS}write_tree(Path(folder), before, dict.fromkeys({FILES}, b"new"))'
ADDS = _READS + r'write_tree(Path(folder), before, {name: text + b"# more\n" for name, text in before.items()})'

ONE_OF_MANY = """
import sys
from pathlib import Path
from gateway.cli.session import CommandFailed
from gateway.cli.writing import write_tree
from gateway.settings.tree import read_tree
folder, text = Path(sys.argv[1]), sys.argv[2].encode()
before = read_tree(folder)
print("ready", flush=True)
sys.stdin.readline()
try:
    write_tree(folder, before, {name: text for name in sys.argv[3:]})
except CommandFailed as error:
    sys.exit(f"{error}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "config"
    (root / "channels").mkdir(parents=True)
    for name in FILES[:3]:
        (root / name).write_bytes(b"old")
    return root


def everything(folder: Path) -> dict[str, bytes]:
    """Hidden files too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(folder: Path, code: str, step: int | Path) -> int:
    command = [sys.executable, "-c", DIES + code, str(folder), str(step)]
    return subprocess.run(command, timeout=60, check=False, capture_output=True).returncode


def test_a_kill_at_any_step_leaves_all_files_old_or_all_new_and_nothing_else(folder: Path) -> None:
    old, new = dict.fromkeys(FILES[:3], b"old"), dict.fromkeys(FILES, b"new")
    found, step = [], 1
    while killed(folder, WRITES, step) == -signal.SIGKILL:
        assert read_tree(folder) in (old, new), step
        assert everything(folder) in (old, new), step
        found.append(everything(folder) == new)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        for name in FILES[:3]:
            (folder / name).write_bytes(b"old")
        step += 1
    assert everything(folder) == new
    assert found == sorted(found)  # first not begun, then done
    assert found.count(True) >= len(FILES)  # at each rename
    assert found.count(False) >= len(FILES)


def test_a_command_after_a_kill_finishes_what_was_under_way(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    subprocess.run([str(FIELDPOST), "init", str(folder)], check=True, timeout=60, capture_output=True)
    assert killed(folder, ADDS, folder / "gateway.yaml") == -signal.SIGKILL
    ends = {name: text.endswith(b"# more\n") for name, text in everything(folder).items() if name[0] != "."}
    assert ends == {"channels/line1.yaml": True, "gateway.yaml": False}
    done = subprocess.run([str(FIELDPOST), "check", str(folder)], timeout=60, check=False, capture_output=True)
    assert done.returncode == 0, done
    assert sorted(everything(folder)) == ["channels/line1.yaml", "gateway.yaml"]
    assert all(text.endswith(b"# more\n") for text in everything(folder).values())


def test_of_many_writers_at_once_one_writes_and_the_others_are_told(folder: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_MANY, str(folder), f"text {number}", *FILES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(5)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=60)[1] for writer in writers]
    good = [number for number, writer in enumerate(writers) if writer.returncode == 0]
    assert len(good) == 1, told
    assert everything(folder) == dict.fromkeys(FILES, f"text {good[0]}".encode())
    assert all("was changed by somebody else in between; nothing is written" in text for text in told if text)


def test_a_change_of_any_other_file_in_between_is_told_too(folder: Path) -> None:
    before = read_tree(folder)
    write_tree(folder, before, {"channels/a.yaml": b"first"})
    with pytest.raises(CommandFailed, match=r"channels/a\.yaml was changed by somebody else"):
        write_tree(folder, before, {"channels/b.yaml": b"second"})
    assert (folder / "channels" / "b.yaml").read_bytes() == b"old"


def test_who_writes_holds_the_folder_and_lets_it_go(folder: Path) -> None:
    with locked(folder), pytest.raises(ConfigError, match="somebody else is writing this folder"), locked(folder, 0):
        pass
    with locked(folder, 0):
        pass


@pytest.mark.parametrize(
    "journal",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps({"token": "0" * 16, "ready": True, "files": ["../outside"]}).encode(),
        json.dumps({"token": "0" * 16, "ready": True, "files": ["/etc/outside"]}).encode(),
        json.dumps({"token": "/../x", "ready": True, "files": ["gateway.yaml"]}).encode(),
        json.dumps({"token": "0" * 16, "ready": 1, "files": ["gateway.yaml"]}).encode(),
    ],
)
def test_a_journal_that_is_none_is_named_and_followed_nowhere(folder: Path, journal: bytes) -> None:
    (folder.parent / f".outside.{'0' * 16}.new").write_bytes(b"x")
    (folder / JOURNAL).write_bytes(journal)
    with pytest.raises(ConfigError) as caught:
        read_tree(folder)
    assert caught.value.problems[0].file == JOURNAL
    assert not (folder.parent / "outside").exists()
    assert (folder / JOURNAL).read_bytes() == journal


def test_a_link_stays_one_and_its_file_is_replaced_in_its_mode(folder: Path) -> None:
    kept = folder.parent / "kept.yaml"
    kept.write_bytes(b"old")
    kept.chmod(0o604)
    (folder / "channels" / "c.yaml").symlink_to(kept)
    write_tree(folder, read_tree(folder), {"channels/c.yaml": b"new", "channels/a.yaml": b"new"})
    assert (folder / "channels" / "c.yaml").is_symlink()
    assert kept.read_bytes() == b"new"
    assert os.stat(kept).st_mode & 0o777 == 0o604
    assert not list(folder.parent.glob(".*"))
