"""Wheels that mean harm: names, links, sizes, scripts, and what a vendor's driver may not bring."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest
from installer.sources import WheelFile

from gateway.ota.members import MOST_UNPACKED, check_members, check_scripts
from tests.support.runnable import driver, wheel


def _archive(*names: str, size: int = 1, mode: int = 0o644) -> zipfile.ZipFile:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"0" * size)
    return zipfile.ZipFile(raw)


def _wheel(content: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(content))
    archive.filename = f"{archive.namelist()[-1].partition('.dist-info')[0]}-py3-none-any.whl"
    return archive


def _check(*names: str, vendor: bool = False, **keys: int) -> int:
    return check_members(_archive(*names, **keys), MOST_UNPACKED, vendor=vendor)


def test_a_good_wheel_is_counted() -> None:
    assert _check("a/__init__.py", "a/b/c.txt", "a-1.dist-info/RECORD", size=10) == 30
    archive = _wheel(driver("acme", "1.0"))
    assert check_members(archive, MOST_UNPACKED, vendor=True) > 0
    check_scripts(WheelFile(archive), archive)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["../x"], "leaves its folder"),
        (["a/../../x"], "leaves its folder"),
        (["/etc/passwd"], "leaves its folder"),
        (["a\\..\\x"], "leaves its folder"),
        (["a//x"], "leaves its folder"),
        (["./x"], "leaves its folder"),
        (["a\n"], "is no name"),
        (["a/x.py", "a/X.py"], "in it twice"),
        (["a", "a/x.py"], "a file and a folder"),
        (["a/", "a"], "a file and a folder"),
    ],
)
def test_names_that_mean_harm_are_refused(names: list[str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _check(*names)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="in it twice"):
        _check("a/x.py", "a/x.py")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_is_no_file_is_refused(kind: int) -> None:
    with pytest.raises(ValueError, match="no regular file"):
        _check("a/x", mode=kind | 0o777)


def test_a_wheel_that_unpacks_to_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack to more"):
        check_members(_archive("a", "b", size=60), 100, vendor=False)
    with pytest.raises(ValueError, match="more than 16 MiB"):
        _check("a-1.dist-info/RECORD", size=(16 << 20) + 1)


def test_there_is_an_end_to_the_files_of_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ota.members._MOST_MEMBERS", 3)
    assert _check("a", "b", "c")
    with pytest.raises(ValueError, match="more than 3 files"):
        _check("a", "b", "c", "d")


@pytest.mark.parametrize(
    "name",
    [
        "gateway/more.py",
        "Drivers/acme.py",
        "rules/x.py",
        "start.pth",
        "sitecustomize.py",
        "usercustomize/__init__.py",
        "helper-1.data/data/lib/start.pth",
        "helper-1.data/scripts/tool",
        "helper-1.data/headers/x.h",
        "helper-1.data/purelib/gateway/x.py",
        "helper-1.data/platlib/x.pth",
    ],
)
def test_a_driver_brings_packages_of_its_own_and_nothing_else(name: str) -> None:
    assert _check(name)
    with pytest.raises(ValueError, match=r"is the gateway's own|at every start|not for drivers"):
        _check(name, vendor=True)


@pytest.mark.parametrize("script", ["python3", "python3.11", "../x", "a b"])
def test_no_script_takes_the_place_of_a_python(script: str) -> None:
    archive = _wheel(wheel("odd", "1.0", {}, {script: "os:abort"}))
    with pytest.raises(ValueError, match="no name of a script"):
        check_scripts(WheelFile(archive), archive)


def test_a_script_that_a_wheel_carries_as_a_file_is_looked_at_too() -> None:
    archive = _wheel(wheel("odd", "1.0", {"odd-1.0.data/scripts/python3": "#!python\n"}))
    with pytest.raises(ValueError, match="no name of a script"):
        check_scripts(WheelFile(archive), archive)
