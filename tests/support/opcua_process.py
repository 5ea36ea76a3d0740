"""The plant of tests/support/opcua_plant.py as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.eventually import SLOW
from tests.support.ports import free_port
from tests.support.processes import ROOT


class Told:
    """A process that is told what to do by lines of JSON and answers each by one that begins with `= `. `ready`: its first words."""

    def __init__(self, argv: Sequence[str], ready: str, env: Mapping[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True, bufsize=1,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._line(ready, 60)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def tell(self, what: str, *arguments: Any, within: float = 30) -> Any:
        """One command; its answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._popen.stdin.flush()
        return json.loads(self._line("= ", within).removeprefix("= "))

    async def say(self, what: str, *arguments: Any) -> Any:
        """The same beside a running loop."""
        return await asyncio.to_thread(self.tell, what, *arguments)

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait(10)
        self._reader.join(10)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        out = self._popen.stdout
        assert out is not None
        for line in out:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def _line(self, beginning: str, within: float) -> str:
        """The next line that begins so; libraries say other things in between."""
        end, said = time.monotonic() + within * SLOW, list[str]()
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                line = None
            if line is None:
                raise RuntimeError(f"no {beginning!r} within {within:g} s (status {self._popen.poll()}): {said[-20:]}")
            if line.startswith(beginning):
                return line
            said.append(line)


class PlantProcess(Told):
    """Start it, tell it what to do, close it."""

    def __init__(self, nodes: int = 10, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        argv = [sys.executable, "-m", "tests.support.opcua_plant", str(self.port), str(nodes), *arguments]
        super().__init__(argv, "ready")
