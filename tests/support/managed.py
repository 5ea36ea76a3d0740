"""A gateway that runs from release slots under a service manager of the test: starts, ends, confirmations, deadlines,
as the units have them; the code in the slots is the one under test, with a fault where the test wants one.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from slots import manifest
from slots.clock import Clock
from slots.commands import Slots
from tests.support.gateway import Gateway
from tests.support.processes import ROOT, Processes
from tests.support.slots import PYTHON, SLOT_EXEC, SlotBox

_LIBRARIES = sysconfig.get_path("purelib")


class Managed(SlotBox):
    """`gateway` is what runs now."""

    def __init__(self, root: Path, processes: Processes) -> None:
        super().__init__(root)
        self.install_slotctl()
        command = root / "fieldpost"
        command.write_text(
            f'#!/bin/sh\nexec {PYTHON} -I -S {SLOT_EXEC} --root {root} -I -m gateway.cli.main "$@"\n', encoding="utf-8"
        )
        command.chmod(0o755)
        self.gateway = Gateway(processes, root, state=root / "var/lib/fieldpost", command=command)
        self.starts: list[str] = []
        self._slots = Slots(self.places, Clock(self.places), main_pid=lambda: self.gateway.pid, restart=self._restart)

    def make_real(self, name: str, fault: str = "") -> Path:
        """A slot with the code under test. `fault`: Python that runs in it before everything else."""
        folder = self.make(name)
        library = next(folder.glob("venv/lib/*/site-packages"))
        (library / "gateway.py").unlink()
        (library / "code.pth").write_text(f"{ROOT}\nimport site; site.addsitedir({_LIBRARIES!r})\n")
        if fault:
            (library / "sitecustomize.py").write_text(fault)
        (folder / manifest.MARK).write_bytes(manifest.describe(folder))
        return folder

    def start(self) -> None:
        assert self.run("boot") == 0, self.output
        self.starts.append(self.selected["slot"])
        self.gateway.start(wait=False)

    def pump(self) -> None:
        """One look of the service manager: what ended is started again, what was asked is done."""
        if not self.gateway.process.alive:
            result = "success" if self.gateway.process.returncode == 0 else "exit-code"
            assert self.run("stopped", env={"SERVICE_RESULT": result}) == 0, self.output
            self.start()
        if self.places.confirm.exists():
            self._slots.confirm()
            self.places.confirm.unlink()
        self._slots.check()

    def _restart(self) -> str:
        self.gateway.process.signal(15)
        return ""
