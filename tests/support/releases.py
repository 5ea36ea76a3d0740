"""Signed bundles of the gateway under test, with another version and a fault where a test wants one."""

from __future__ import annotations

import datetime as dt
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.ota.building import Wanted, build
from tests.support.processes import ROOT
from tests.unit.ota.publisher import Publisher

SOURCES = ("gateway", "drivers", "rules", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
_START = '"""Run the gateway until it is told to stop. Returns the process\' exit code (cli reference)."""\n'
_TEST = "    config, state, *drivers = words\n    try:\n"


@dataclass(frozen=True)
class Machines:
    """Which machines releases are for: what `uname -m` says there, and their Python."""

    machine: str
    python: tuple[int, int]

    @property
    def tag(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}"


THIS = Machines(platform.machine(), (sys.version_info[0], sys.version_info[1]))


class Releases:
    """Builds wheels from a copy of the project; what it needs is built once, for other machines than this one fetched:
    the wheels of packaging/locks.
    """

    def __init__(self, folder: Path, machines: Machines = THIS) -> None:
        self._folder, self._machines = folder, machines
        self.publisher = Publisher(folder / "publisher")
        self.publisher.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        self.publisher.repository.refresh(self.publisher.signers)
        self._needs = folder / "needs"
        if machines == THIS:
            self._pip("wheel", "-w", str(self._needs), f"{ROOT}[modbus,uvloop,ota]")
            next(self._needs.glob("fieldpost-*.whl")).unlink()
        else:
            self._fetch()

    def make(self, version: str, fault: str = "", selftest: str = "", **health: int) -> Path:
        """A bundle. `fault`: a line of Python that `run` begins with; `selftest`: one that the self-test begins with."""
        wheels = self.wheels(version, fault, selftest)
        wanted = Wanted(f"linux_{self._machines.machine}", self._machines.tag, health=health)
        build(wheels, self._folder / f"release-{version}", wanted)
        publisher = self.publisher
        release = publisher.repository.add(self._folder / f"release-{version}", publisher.signers)
        return publisher.bundle(release)

    def wheels(self, version: str, fault: str = "", selftest: str = "") -> Path:
        """A folder with the gateway as this version, and all that it needs."""
        source, wheels = self._folder / f"source-{version}", self._folder / f"wheels-{version}"
        source.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / name)
        setup = source / "setup.cfg"
        setup.write_text(re.sub(r"(?m)^version = .*", f"version = {version}", setup.read_text()))
        for file, start, line in (("app.py", _START, fault), ("ota/selftest.py", _TEST, selftest)):
            changed, indent = source / "gateway" / file, "        " if start is _TEST else "    "
            assert start in changed.read_text()
            changed.write_text(changed.read_text().replace(start, f"{start}{indent}{line or 'pass'}\n"))
        shutil.copytree(self._needs, wheels)
        self._pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source))
        return wheels

    def _fetch(self) -> None:
        """As packaging/debian/build.sh does."""
        machine, (major, minor) = self._machines.machine, self._machines.python
        lock = ROOT / "packaging/locks" / f"linux_{machine}-{self._machines.tag}.txt"
        argv = ["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
        argv += ["--python-version", f"{major}.{minor}", "--dest", str(self._needs), "-r", str(lock)]
        argv += [word for glibc in ("_2_28", "_2_17", "2014") for word in ("--platform", f"manylinux{glibc}_{machine}")]
        self._pip(*argv)

    @staticmethod
    def _pip(*words: str) -> None:
        argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
        subprocess.run(argv, check=True, timeout=600)
