"""Release slots for tests: small folders with the mark of a complete slot, and slotctl as the process that it is."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slots import manifest
from slots.places import Places
from slots.state import Loaded, load
from tests.support.processes import ROOT

SLOTCTL = ROOT / "systemd" / "slotctl"
SLOT_EXEC = ROOT / "systemd" / "slot-exec"
PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


class SlotBox:
    """A machine's folders below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = Places(str(root))
        for folder in (self.places.releases, self.places.wheels, self.places.selected.parent):
            folder.mkdir(parents=True, exist_ok=True)

    def install_slotctl(self) -> None:
        """Where the operating system's package puts it."""
        library = self.root / "usr/lib"
        library.mkdir(parents=True)
        (library / "fieldpost").symlink_to(SLOTCTL.parent)

    def make(
        self, name: str, *, confirmed: bool = False, wheels: tuple[str, ...] = (), rollback_index: int = 0
    ) -> Path:
        """A complete slot whose Python is this one's."""
        folder = self.places.slot(name)
        library = folder / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        library.mkdir(parents=True)
        (library / "gateway.py").write_text(f"VERSION = {name!r}\n")
        (folder / "venv/bin").mkdir()
        (folder / "venv/bin/python3").symlink_to(PYTHON)
        (folder / "venv/pyvenv.cfg").write_text(f"home = {PYTHON.parent}\ninclude-system-site-packages = false\n")
        description = {"rollback_index": rollback_index, "wheels": [{"sha256": sha} for sha in wheels]}
        (folder / "release.json").write_text(json.dumps(description))
        (folder / manifest.MARK).write_bytes(manifest.describe(folder))
        if confirmed:
            (folder / manifest.CONFIRMED).write_text("confirmed\n")
        return folder

    def run(self, *words: str, asked: object = None, kill_at: str = "", env: Mapping[str, str] | None = None) -> int:
        """Exit status of one command of slotctl, negative for a signal; `output` has what it said."""
        return self._run("slotctl", words, asked, {**(env or {}), "OTA_KILL_AT": kill_at})

    def update(self, kill_at: str = "", preload: str = "") -> int:
        """The same for one run of the updater; `preload` is a library that replaces calls of it and its children."""
        return self._run(f"updater {preload}".strip(), (), None, {"OTA_KILL_AT": kill_at})

    def _run(self, program: str, words: tuple[str, ...], asked: object, env: Mapping[str, str]) -> int:
        request = {
            "words": ["--root", str(self.root), *words],
            "asked": "" if asked is None else json.dumps(asked),
            "env": env,
        }
        status, self.output = _server(program).run(request)
        return status

    def loaded(self) -> Loaded:
        return load(self.places)

    @property
    def selected(self) -> dict[str, Any]:
        return json.loads(self.places.selected.read_text())


class HandClock:
    """Seconds since boot, and the boot, as the test says."""

    def __init__(self) -> None:
        self.now, self.boot = 1000, "boot-1"

    def boottime_s(self) -> int:
        return self.now

    def boot_id(self) -> str:
        return self.boot

    def wall_s(self) -> int:
        """As on a machine without a clock."""
        return 0


class _Server:
    """slot_server.py as a process, for as long as the tests run."""

    def __init__(self, argv: list[str], preload: str = "") -> None:
        env = {**os.environ, "LD_PRELOAD": preload} if preload else None
        self._process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self._end)

    def run(self, request: dict[str, Any]) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["output"]

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(10)


@functools.cache
def _server(program: str) -> _Server:
    server = str(Path(__file__).with_name("slot_server.py"))
    if program == "slotctl":
        return _Server([str(PYTHON), "-I", "-S", server, str(SLOTCTL.parent)])
    return _Server([sys.executable, "-I", server, "-", str(ROOT)], program.partition(" ")[2])
