"""The rules of tests/conftest.py hold: a leftover task and a warning fail a test, a missing part is told."""

from pathlib import Path

import pytest

from tests.support import parts
from tests.support.processes import ROOT, Processes

CASES = """
import asyncio
import warnings
from tests.support.parts import require

async def test_leaves_a_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(60), name="forgotten")

def test_warns():
    warnings.warn("careless")

def test_misses_a_part(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    require("mbpoll")
"""


@pytest.mark.parametrize(("ci", "outcome"), [("0", "skipped"), ("1", "failed")])
def test_planted_defects_are_caught(processes: Processes, tmp_path: Path, ci: str, outcome: str) -> None:
    import sys

    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "test_planted.py").write_text(CASES)
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "setup.cfg"),
            "--rootdir", str(ROOT), str(folder)]  # fmt: skip
    process = processes.start("pytest", argv, env={"CI": ci, "PATH": "/usr/bin:/bin"}, cwd=ROOT)
    assert process.wait(60) == 1
    output = process.output()
    assert "tasks left behind: ['forgotten']" in output
    assert "UserWarning: careless" in output
    assert ("1 skipped" in output) == (outcome == "skipped")
    assert "missing: mbpoll; install it with: apt install mbpoll" in output


def test_every_part_names_its_install_command() -> None:
    assert all(part.install.split()[0] in {"apt", "pip", "npm", "sudo", "placing"} for part in parts.PARTS.values())
