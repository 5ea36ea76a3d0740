"""A real systemd in a container: boots a Debian root file system with systemd-nspawn, looks in with nsenter.

The container shares the machine's network, so that loopback peers are reachable, and nothing else. Its root is an
overlay in memory: what it writes is gone with it. `--keep-unit --register=no` needs no D-Bus of the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.eventually import wait_until
from tests.support.processes import Process, Processes


class Container:
    """One booted system. `binds`: "source:target" pairs, read-only."""

    def __init__(self, processes: Processes, root: Path, binds: Sequence[str]) -> None:
        self.name = f"fieldpost{os.getpid()}"
        self._groups = self._make_groups()
        # With --keep-unit a container takes its caller's cgroup: each gets one of its own. On a hybrid layout
        # nspawn 252 makes sub-groups in one hierarchy only and stops, so they are made here in all of them.
        joined = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in self._groups)
        argv = [
            "systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={self.name}", "--volatile=overlay",
            "--register=no", "--keep-unit", "--console=pipe", *(f"--bind-ro={bind}" for bind in binds), "--boot",
        ]  # fmt: skip
        script = f'{joined}; exec "$@"' if joined else 'exec "$@"'
        self._process: Process = processes.start("nspawn", ["/bin/bash", "-c", script, "nspawn", *argv])
        self._init = 0
        wait_until(self._is_up, 90, every=0.2, why=lambda: f"systemd is up: {self._process.output()}")

    @property
    def init(self) -> int:
        """Its first process, as the machine sees it."""
        return self._init

    def run(self, *argv: str, check: bool = True) -> str:
        """Output of a command inside."""
        inside = ["nsenter", "-t", str(self._init), "-m", "-p", "-u", "-i", "-C", *argv]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode:
            raise AssertionError(f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", unit, "-p", name, "--value").strip()

    def write(self, path: str, text: str) -> None:
        self.run("/bin/sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "sh", path, text)

    def put(self, file: Path, path: str) -> None:
        """A file of the machine, copied to a path inside."""
        with file.open("rb") as content:
            inside = ["nsenter", "-t", str(self._init), "-m", "-p", "-u", "-i", "-C", "/bin/sh", "-c"]
            script = 'mkdir -p "$(dirname "$1")" && cat > "$1"'
            subprocess.run([*inside, script, "sh", path], stdin=content, check=True, timeout=60)

    def read(self, path: str) -> bytes:
        """The content of a file inside."""
        inside = ["nsenter", "-t", str(self._init), "-m", "cat", path]
        return subprocess.run(inside, capture_output=True, check=True, timeout=60).stdout

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "-u", unit, "-o", "cat", "--no-pager")

    def close(self) -> None:
        """Power off; SIGKILL of nspawn alone would leave the container's init alive."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGRTMIN + 4)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._process.alive, 20)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)
        self._process.end()
        for group in self._groups:
            _remove_group(group)
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self.name}", ignore_errors=True)

    def _make_groups(self) -> list[Path]:
        hierarchies = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", "")]
        groups = [path / self.name for path in hierarchies if (path / "cgroup.procs").exists()]
        for group in groups:
            (group / "payload").mkdir(parents=True, exist_ok=True)
            (group / "supervisor").mkdir(exist_ok=True)
        return groups

    def _find_init(self) -> int:
        if not self._process.alive:
            raise RuntimeError(f"nspawn ended:\n{self._process.output()}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _is_up(self) -> bool:
        # Looked up each time: nspawn's first child is not the container's init yet.
        self._init = self._find_init()
        if not self._init:
            return False
        return self.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}


def _remove_group(group: Path) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()
            return
        time.sleep(0.1)
