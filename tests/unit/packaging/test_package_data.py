"""What the code reads at run time is in the wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("gateway", "drivers", "rules")
FILES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "NOTICE")
LEFT_OUT = ("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names of the files in a wheel that is built from a copy of the sources, with what is installed."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def files_of(folder):
    return {str(path.relative_to(ROOT)) for path in folder.rglob("*") if path.is_file() and is_ours(path)}


def is_ours(path):
    return not any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    wanted = set().union(*(files_of(ROOT / name) for name in PACKAGES))
    assert sorted(wanted - wheel) == []


def test_the_profile_library_is_in_the_wheel(wheel):
    for name in ("modbus/library/eastron_sdm630", "mqtt/library/shelly_plug", "ble/library/ruuvi_tag"):
        assert {f"drivers/{name}.yaml", f"drivers/{name}.cases.yaml"} <= wheel


def test_nothing_else_is_in_the_wheel(wheel):
    foreign = {name for name in wheel if name.split("/")[0] not in PACKAGES and ".dist-info/" not in name}
    assert foreign == set()
