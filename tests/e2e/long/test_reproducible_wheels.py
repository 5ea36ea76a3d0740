"""The same checkout gives the same wheel: whoever doubts a release builds it and compares."""

import os
import shutil
import subprocess
import sys
import time

from tests.support.processes import ROOT
from tests.support.releases import SOURCES


def _wheel(folder, epoch, touched):
    """A wheel of a copy of the checkout, whose files are of another time."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    for path in source.rglob("*"):
        os.utime(path, (touched, touched))
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel"]
    argv += ["--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(argv, check=True, timeout=300, env=env, umask=0o022)
    (made,) = folder.glob("*.whl")
    return made.name, made.read_bytes()


def test_the_same_checkout_gives_the_same_wheel_whenever_and_wherever(tmp_path):
    now = time.time()
    first = _wheel(tmp_path / "a", 1795000000, now)
    assert _wheel(tmp_path / "somewhere/else", 1795000000, now - 10_000_000) == first
    assert _wheel(tmp_path / "c", 1796000000, now)[1] != first[1], "the time is that of SOURCE_DATE_EPOCH"
