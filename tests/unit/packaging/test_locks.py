"""What releases are made of: exact wheels by their hash, all that setup.cfg asks for, nothing that changes our licence."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[3]
_LOCKS = sorted((_ROOT / "packaging/locks").glob("*.txt"))
_LINE = re.compile(r"([a-z0-9-]+)==([^ ]+) --hash=sha256:[0-9a-f]{64}\Z")
_COPYLEFT = re.compile(r"\b(A?GPL|LGPL|GNU|SSPL|CDDL|BUSL)", re.IGNORECASE)
_OPTIONAL = {"asyncua"}
"""LGPL, imported unmodified, an extra of its own."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", _ROOT / "packaging/lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pins(lock: Path) -> dict[str, str]:
    found = {}
    for line in lock.read_text().splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.match(line)
        assert match, f"{lock.name}: {line}"
        found[match[1]] = match[2]
    return found


def test_there_is_a_lock_for_each_kind_of_gateway(script: ModuleType) -> None:
    wanted = {
        f"linux_{machine}-cp{python.replace('.', '')}.txt" for machine in script.MACHINES for python in script.PYTHONS
    }
    assert {lock.name for lock in _LOCKS} == wanted


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_meets_all_that_a_gateway_may_run(script: ModuleType, lock: Path) -> None:
    pins = _pins(lock)
    for text in script.requirements():
        wanted = Requirement(text)
        version = pins.get(canonicalize_name(wanted.name))
        assert version is not None, f"{text} is not in {lock.name}: run packaging/lock.py"
        assert wanted.specifier.contains(version), f"{text}: {lock.name} has {version}: run packaging/lock.py"


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.stem)
def test_what_is_locked_needs_nothing_else(script: ModuleType, lock: Path) -> None:
    """As far as the libraries are installed here, so that their requirements can be read."""
    pins, looked = _pins(lock), 0
    environment = {"extra": "", "python_version": "3.11" if "cp311" in lock.stem else "3.13"}
    for name in pins:
        try:
            needs = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue
        looked += 1
        for text in needs:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({**environment, "sys_platform": "linux"}):
                assert canonicalize_name(wanted.name) in pins, f"{name} needs {text}"
    assert looked > len(pins) // 2


def _licence(name: str) -> list[str]:
    """What a library says of its licence: in its metadata, else in the first words of its licence file."""
    about = metadata.metadata(name)
    words = [about.get("License-Expression") or "", (about.get("License") or "")[:100]]
    words += [word for word in about.get_all("Classifier") or [] if word.startswith("License")]
    files = metadata.files(name) or []
    words += [file.read_text()[:200] for file in files if file.name.upper().startswith(("LICENSE", "COPYING"))]
    return [word for word in words if word]


def test_no_library_of_a_release_is_copyleft_but_the_optional_one() -> None:
    found = set()
    for name in _pins(_LOCKS[0]):
        try:
            told = _licence(name)
        except metadata.PackageNotFoundError:
            continue
        assert told, f"{name} does not say its licence"
        if any(_COPYLEFT.search(word) for word in told):
            found.add(name)
    assert found == _OPTIONAL
