"""Processes of a test: started by a fixture, ended by pid, their output shown when the test fails."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.eventually import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
"""The project."""


class Process:
    """One started process. Output (both channels) goes to `log`."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=dict(env), cwd=cwd
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_output(self, text: str, within: float = 20.0) -> str:
        """Wait until the output contains `text`; fails at once when the process has ended without it."""

        def seen() -> bool:
            if text in self.output():
                return True
            if not self.alive and text not in self.output():
                raise RuntimeError(f"{self.name} ended with {self.returncode}:\n{self.output()[-4000:]}")
            return False

        wait_until(seen, within, why=lambda: f"{self.name} says {text!r}; it said:\n{self.output()[-4000:]}")
        return self.output()

    def wait(self, within: float = 20.0) -> int:
        """Exit status. Raises subprocess.TimeoutExpired."""
        return self._popen.wait(within)

    def signal(self, number: int) -> None:
        if self.alive:
            self._popen.send_signal(number)

    def terminate(self, within: float = 20.0) -> int:
        self.signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> int:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        return self.wait(20)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """End it whatever its state: asked first, then killed."""
        if not self.alive:
            return
        self.thaw()
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(10)
            return
        self.kill()


class Processes:
    """All processes of one test (fixture `processes`)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Process] = []

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> Process:
        """Start `argv`. `env` is added to the environment. A second process of the same name goes on in its log."""
        path = log or self._directory / f"{name}.log"
        process = Process(name, argv, path, {**os.environ, **(env or {})}, cwd or self._directory)
        self._started.append(process)
        return process

    def unique(self, name: str) -> str:
        """`name` with a number that no process of this test has yet: its log is its own."""
        return f"{name}-{len(self._started)}"

    def end_all(self) -> None:
        for process in reversed(self._started):
            process.end()

    def report(self, tail: int = 6000) -> list[tuple[str, str]]:
        """(title, end of output) per log, for the report of a failed test."""
        states: dict[Path, list[str]] = {}
        names: dict[Path, str] = {}
        for process in self._started:
            state = "runs" if process.alive else f"ended {process.returncode}"
            states.setdefault(process.log, []).append(f"{process.pid} {state}")
            names[process.log] = process.name
        return [
            (f"process {names[log]} ({', '.join(lives[-3:])})", log.read_text(errors="replace")[-tail:])
            for log, lives in states.items()
            if log.exists()
        ]
