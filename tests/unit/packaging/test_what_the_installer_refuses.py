"""install.sh below another root: what it leaves alone, and what it sets."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.unit.ota.publisher import Publisher

UNITS = "etc/systemd/system"
TRUSTED = "usr/share/fieldpost/tuf/root.json"


def _install(root: Path, *words: str) -> tuple[int, str]:
    """Its exit code, and what it said."""
    argv = [str(ROOT / "systemd/install.sh"), "--root", str(root), *words]
    env = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty one that trusts somebody."""
    trusted = tmp_path / "image" / TRUSTED
    trusted.parent.mkdir(parents=True)
    trusted.write_text("the one before")
    return tmp_path / "image"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "download.fpb"
    path.write_bytes(b"<html>log in first</html>")
    return path


def _with_release(image: Path) -> None:
    """A release in its slot: the gateway under test, and what its tests run with."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = image / f"opt/fieldpost/releases/1.0.0-000000000000/venv/lib/{version}/site-packages"
    library.mkdir(parents=True)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        (library / path.name).symlink_to(path)
    (library / "gateway").symlink_to(ROOT / "gateway")
    (image / "opt/fieldpost/current").symlink_to("releases/1.0.0-000000000000")


def _found(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "site-packages" not in path.parts}


def test_a_root_file_is_not_put_there_before_a_bundle_is_proven_by_it(image: Path, bundle: Path) -> None:
    code, said = _install(image, "--bundle", str(bundle), "--trust", str(bundle))
    assert code == 1
    assert f"{bundle} is no bundle, or is cut short" in said
    assert (image / TRUSTED).read_text() == "the one before"


def test_trust_alone_sets_whose_releases_count_and_nothing_else(image: Path, tmp_path: Path) -> None:
    _with_release(image)
    root = tmp_path / "1.root.json"
    root.write_bytes(Publisher(tmp_path / "publisher").factory_root)
    before = _found(image)
    assert _install(image, "--trust", str(root)) == (0, f"write {image / TRUSTED}\n")
    assert (image / TRUSTED).read_bytes() == root.read_bytes()
    assert _found(image) == before
    assert _install(image, "--trust", str(root)) == (0, "nothing to do\n")


def test_trust_alone_takes_no_file_that_is_no_root_file(image: Path, bundle: Path) -> None:
    _with_release(image)
    code, said = _install(image, "--trust", str(bundle))
    assert code == 1
    assert f"{bundle} is no root file of a publisher" in said
    assert "Traceback" not in said
    assert (image / TRUSTED).read_text() == "the one before"


@pytest.mark.parametrize("place", ["opt", "usr/lib", "etc/systemd", "var/lib/fieldpost"])
def test_a_link_out_of_the_image_is_refused(image: Path, bundle: Path, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (image / place).parent.mkdir(parents=True, exist_ok=True)
    (image / place).symlink_to(elsewhere)
    for words in (("--bundle", str(bundle)), ("--uninstall", "--purge")):
        code, said = _install(image, *words)
        assert code == 1
        assert "leads out of the image" in said
    assert list(elsewhere.iterdir()) == []


def test_a_masked_unit_stays_masked(image: Path, bundle: Path) -> None:
    (image / UNITS).mkdir(parents=True)
    mask = image / UNITS / "fieldpost.service"
    mask.symlink_to("/dev/null")
    code, said = _install(image, "--bundle", str(bundle))
    assert code == 1
    assert f"{mask} is a mask" in said
    assert mask.is_symlink()


def test_a_program_of_somebody_elses_stays_also_when_ours_is_taken_away(image: Path, bundle: Path) -> None:
    program = image / "usr/local/bin/fieldpost"
    program.parent.mkdir(parents=True)
    program.write_text("mine")
    code, said = _install(image, "--bundle", str(bundle))
    assert code == 1
    assert f"{program} is in the way" in said
    assert _install(image, "--uninstall")[0] == 0
    assert program.read_text() == "mine"


def test_a_dry_run_makes_no_folder(bundle: Path, tmp_path: Path) -> None:
    _, said = _install(tmp_path / "none/such", "--bundle", str(bundle), "--dry-run")
    assert "would: write" in said
    assert not (tmp_path / "none").exists()


def test_taking_away_goes_with_nothing_to_install(image: Path, bundle: Path) -> None:
    code, said = _install(image, "--uninstall", "--bundle", str(bundle))
    assert code == 1
    assert "--uninstall installs nothing" in said
    assert (image / TRUSTED).exists()


def test_of_data_behind_a_link_is_told_where_they_are_left(image: Path) -> None:
    data = image / "data"
    data.mkdir()
    (data / "journal").touch()
    (image / "var/lib").mkdir(parents=True)
    (image / "var/lib/fieldpost").symlink_to("../../data")
    code, said = _install(image, "--uninstall", "--purge")
    assert code == 0
    assert f"remove the link {image}/var/lib/fieldpost; left: what is in {data}" in said
    assert (data / "journal").exists()
    assert not (image / "var/lib/fieldpost").is_symlink()


@pytest.mark.parametrize("left", ["command", "unit", ""])
def test_the_debian_package_is_refused_on_top_of_the_installer_and_upgraded_over_itself(image: Path, left: str) -> None:
    unit, command = image / UNITS / "fieldpost-update.service", image / "usr/local/bin/fieldpost"
    for path in (unit, command):
        path.parent.mkdir(parents=True)
    if left == "unit":
        unit.write_text("[Service]\n")
    elif left == "command":
        command.symlink_to("/opt/fieldpost/current/venv/bin/fieldpost")
    else:
        command.symlink_to("/home/me/venv/bin/fieldpost")
    for action, code in (("install", 1 if left else 0), ("upgrade", 0)):
        argv = [str(ROOT / "packaging/debian/preinst"), action]
        env = {**os.environ, "DPKG_ROOT": str(image)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == code
        assert ("first systemd/install.sh --uninstall" in done.stderr) == bool(code)
