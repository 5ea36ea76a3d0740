"""`fieldpost simulate` as a process, with its control socket."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

from tests.support.gateway import FIELDPOST
from tests.support.processes import Processes


class Simulated:
    """A device made from a profile. `place` is what it says to put into a channel."""

    def __init__(
        self, processes: Processes, directory: Path, profile: str, *arguments: str, name: str = "device"
    ) -> None:
        self._control = directory / f"{name}.sock"
        command = [str(FIELDPOST), "simulate", profile, "--control", str(self._control), *arguments]
        self.process = processes.start(name, command, cwd=directory)
        text = self.process.wait_output("in a channel: ")
        found = re.search(r"in a channel: (.*)", text)
        assert found is not None
        self.place = found[1].strip()

    def say(self, line: str) -> dict[str, Any]:
        """One line of words; the answer."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(str(self._control))
            wire.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                answer += wire.recv(1 << 20)
        return json.loads(answer)

    def requests(self, unit: int, count: int = 10_000) -> list[dict[str, int]]:
        """The last requests that reached a unit."""
        return self.say(f"log {count}")["requests"][str(unit)]
