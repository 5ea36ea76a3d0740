"""FL-5: a full disk costs only what is counted, and alarms stay."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def _namespace() -> list[str]:
    """The command that gives a mount namespace of our own; skips where the kernel forbids it."""
    command = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    found = (
        shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    )
    if not found:
        line = "missing: mount namespaces; allow them with: sysctl kernel.unprivileged_userns_clone=1"
        if os.environ.get("CI") == "1":
            pytest.fail(line, pytrace=False)
        pytest.skip(line)  # not on CI: some kernels forbid it, and a full disk cannot be had without root otherwise
    return command


@pytest.mark.parametrize(("before", "alarms"), [(300, 106), (20, 50), (3, 47)])
def test_fl_5_a_full_disk_is_counted_exactly_and_alarms_outlive_telemetry(
    tmp_path: Path, before: int, alarms: int
) -> None:
    command = [*_namespace(), sys.executable, "-m", "tests.unit.store.full_disk", str(tmp_path), str(before)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["refused_before"] == 0
    assert result["file_before"] <= 5_000_000
    assert result["file_after"] <= 5_000_000
    assert result["covered_exactly"] is True
    assert result["numbers"] == result["made"]
    assert result["alarms"] == alarms  # each one that was made before, during and after
    assert result["refused_after"] == 0
    assert "store_full" not in result["issues_after"]
    # at its cap the journal reuses its own pages and never asks the full disk
    assert ("the file system is full" in result["dropped_text"]) is (before < 300)
    assert result["opens_again"] is True
