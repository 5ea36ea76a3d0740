"""A new driver's project as its author has it: own tests, ruff, mypy --strict, a wheel in a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*words: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "more"), [("acme", []), ("acme-events", ["--push"])])
def test_a_new_project_passes_everything_and_works_as_a_wheel(name, more, tmp_path):
    run(sys.executable, "-m", "gateway.cli", "driver", "new", name, *more, "--dir", tmp_path, cwd=ROOT)
    project = tmp_path / f"fieldpost-{name}"
    run(sys.executable, "-m", "ruff", "format", "--check", ".", cwd=project)
    run(sys.executable, "-m", "ruff", "check", ".", cwd=project)
    run(sys.executable, "-m", "mypy", cwd=project, MYPYPATH=f"src:{ROOT}")
    run(sys.executable, "-m", "pytest", "-q", cwd=project)

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=project)
    (wheel,) = (project / "dist").glob("*.whl")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    here = sysconfig.get_path("purelib")  # the gateway and what it needs, without a network
    (packages / "gateway_of_the_tests.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel, cwd=tmp_path
    )
    found = json.loads(run(python, "-m", "gateway.cli", "driver", "test", name, "--json", cwd=tmp_path))
    assert found["passed"] is True
    rows = json.loads(run(python, "-m", "gateway.cli", "driver", "ls", "--json", cwd=tmp_path))["drivers"]
    (row,) = [row for row in rows if row["name"] == name]
    assert row["distribution"] == f"fieldpost-{name} 0.1.0"
    assert row["trouble"] == ""
