"""The plant of tests/support/opcua_plant.py as a process of its own."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
from typing import Any

from tests.support.eventually import SLOW
from tests.support.ports import free_port
from tests.support.processes import ROOT


class PlantProcess:
    """Start it, tell it what to do, close it."""

    def __init__(self, nodes: int = 10, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.support.opcua_plant", str(self.port), str(nodes), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True, bufsize=1,
        )  # fmt: skip
        assert self._line(60) == "ready"

    @property
    def pid(self) -> int:
        return self._popen.pid

    def tell(self, what: str, *arguments: Any, within: float = 30) -> Any:
        """One command; its answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._popen.stdin.flush()
        return json.loads(self._line(within))

    async def say(self, what: str, *arguments: Any) -> Any:
        """The same beside a running loop."""
        return await asyncio.to_thread(self.tell, what, *arguments)

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait(10)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self, within: float) -> str:
        out = self._popen.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], within * SLOW)
        line = out.readline().strip() if ready else ""
        if not line:
            raise RuntimeError(f"the plant said nothing within {within:g} s (status {self._popen.poll()})")
        return line
