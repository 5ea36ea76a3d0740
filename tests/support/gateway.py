"""The installed gateway as a process: config trees, start, kill, the command line from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.eventually import wait_until
from tests.support.processes import ROOT, Process, Processes

FIELDPOST = Path(sys.executable).parent / "fieldpost"
"""The installed command, from the environment that runs the tests."""


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Notifications:
    """What a service says to its manager: a socket like systemd's NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="fp-")
        self.path = f"{self._directory}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.lines: list[str] = []

    def read(self) -> list[str]:
        """All lines so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.lines += self._socket.recv(65536).decode(errors="replace").splitlines()
        return self.lines

    def clear(self) -> None:
        self.read()
        self.lines.clear()

    def close(self) -> None:
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class Gateway:
    """One gateway with its config folder and state directory below `directory`."""

    def __init__(
        self,
        processes: Processes,
        directory: Path,
        *,
        name: str = "gateway",
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        state: Path | None = None,
        command: Path = FIELDPOST,
    ) -> None:
        self.directory = directory
        self.config = directory / "config"
        self.state = state or directory / "state"
        self.config.mkdir(parents=True, exist_ok=True)
        self._processes = processes
        self._name = name
        self.env = dict(env or {})
        self._prefix = list(prefix)
        self._command = str(command)
        self._process: Process | None = None
        self.notifications = Notifications()

    # Configuration

    def write(self, file: str, content: Mapping[str, Any] | str) -> None:
        """Write one file of the config tree; a mapping becomes YAML."""
        path = self.config / file
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
        # A new file in place of the old one, as an editor does.
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text)
        fresh.replace(path)

    def write_main(self, *, uplinks: Mapping[str, Any], gateway_id: str = "gw", **store: Any) -> None:
        """gateway.yaml; `store` gives keys of the section of that name."""
        self.write(
            "gateway.yaml",
            {"gateway": {"id": gateway_id}, "store": {"path": str(self.state), **store}, "uplinks": dict(uplinks)},
        )

    # Life

    @property
    def process(self) -> Process:
        assert self._process is not None, "the gateway was never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(
        self,
        *arguments: str,
        wait: bool = True,
        env: Mapping[str, str] | None = None,
        within: float = 30,
    ) -> Gateway:
        """Start it; returns when it says READY=1. `arguments` are added to the command."""
        self.notifications.clear()
        self._process = self._processes.start(
            self._name,
            [*self._prefix, self._command, "run", "--config", str(self.config), *arguments],
            env={"NOTIFY_SOCKET": self.notifications.path, "PYTHONFAULTHANDLER": "1", **self.env, **(env or {})},
            cwd=ROOT if self._prefix else None,
        )
        if wait:
            self.wait_ready(within)
        return self

    def wait_ready(self, within: float = 30) -> None:
        def ready() -> bool:
            if not self.process.alive:
                raise RuntimeError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-6000:]}")
            return "READY=1" in self.notifications.read()

        wait_until(ready, within, why=lambda: f"READY=1; log:\n{self.log()[-4000:]}")

    def stop(self, within: float = 30) -> int:
        """SIGTERM; returns the exit status."""
        return self.process.terminate(within)

    def kill(self) -> None:
        self.process.kill()

    def log(self) -> str:
        return self.process.output()

    def close(self) -> None:
        self.notifications.close()

    # From outside

    def cli(self, *arguments: str, within: float = 60, env: Mapping[str, str] | None = None) -> Answer:
        """Run `fieldpost ARGUMENTS --config DIR`."""
        done = subprocess.run(
            [self._command, *arguments, "--config", str(self.config)],
            capture_output=True, text=True, timeout=within, check=False, env={**os.environ, **self.env, **(env or {})},
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def ask(self, *arguments: str) -> Any:
        """JSON answer of a command that must succeed."""
        answer = self.cli(*arguments, "--json")
        assert answer.code == 0, f"{arguments}: {answer}"
        return answer.json

    def status(self) -> Any:
        return self.ask("status")

    def issues(self) -> list[dict[str, Any]]:
        issues: list[dict[str, Any]] = self.status()["issues"]
        return issues

    def backlog(self, uplink: str = "cloud") -> int:
        """Readings that this uplink has still to deliver."""
        return int(self.status()["uplinks"][uplink]["backlog"]["readings"])

    def wait_drained(self, within: float = 60, uplink: str = "cloud", below: int = 1) -> None:
        wait_until(lambda: self.backlog(uplink) < below, within, every=0.2, why="the backlog is delivered")

    # What the kernel says of the process

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, float]:
        """`RssAnon`, `RssFile`, `VmRSS`, `VmHWM` in MB (10^6)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        wanted = ("RssAnon:", "RssFile:", "VmRSS:", "VmHWM:")
        return {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(wanted)}

    def written_bytes(self) -> tuple[int, int]:
        """Bytes that the process wrote to files, and what the file system made of them (whole pages and blocks).

        The first counts every thread but the main one, which alone writes to sockets; the store has a thread of its own.
        """
        files = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            if int(thread.name) != self.pid:
                files += _io(thread / "io", "wchar")
        return files, _io(Path(f"/proc/{self.pid}/io"), "write_bytes")

    def started_at(self) -> float:
        """time.time() at which the process was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks)


def _io(file: Path, field: str) -> int:
    return int(next(line for line in file.read_text().splitlines() if line.startswith(field)).split()[1])
