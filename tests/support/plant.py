"""A simulated plant for tests: Modbus TCP devices in their own process whose registers carry their poll count."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tests.support.processes import ROOT, Processes


class Plant:
    """Lines of devices. `ports[line]` is where a line listens; units are addressed by (line, unit id)."""

    def __init__(
        self,
        processes: Processes,
        lines: Sequence[Sequence[int]],
        *,
        registers: int = 100,
        noise: bool = False,
        ports: Sequence[int] | None = None,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
    ) -> None:
        self.lines = [list(units) for units in lines]
        spec: dict[str, Any] = {"lines": self.lines, "registers": registers, "noise": noise, "host": host}
        if ports is not None:
            spec["ports"] = list(ports)
        argv = [*prefix, sys.executable, "-m", "tests.support.plant_server", json.dumps(spec)]
        self.process = processes.start(processes.unique("plant"), argv, cwd=ROOT)
        self.process.wait_output('"control"')
        line = next(line for line in self.process.output().splitlines() if '"control"' in line)
        hello = json.loads(line)
        self.ports: list[int] = hello["ports"]
        self._lock = threading.Lock()
        self._socket = socket.create_connection(("127.0.0.1", hello["control"]), timeout=20)
        self._file = self._socket.makefile("rw", encoding="utf-8")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    # Faults

    def fault(self, line: int, fault: str | int, unit: int = 1, delay: float = 0.0) -> None:
        """`ok`, `silent`, `garbage`, `foreign`, `slow` or a Modbus exception code; `delay` in seconds with `ok`."""
        self._ask(do="fault", line=line, unit=unit, fault=fault, delay=delay)

    def refuse(self, line: int) -> None:
        """Close the port and all its connections."""
        self._ask(do="line", line=line, mode="refuse")

    def black_hole(self, line: int) -> None:
        """Take connections and never answer."""
        self._ask(do="line", line=line, mode="black_hole")

    def hang_up(self, line: int) -> None:
        """Reset the line's connections once."""
        self._ask(do="line", line=line, mode="hang_up")

    def pass_(self, line: int) -> None:
        """The line is good again."""
        self._ask(do="line", line=line, mode="pass")

    # What was seen

    def counts(self) -> dict[tuple[int, int], int]:
        """Poll count by (line, unit)."""
        return self._units("count")

    def requests(self) -> dict[tuple[int, int], int]:
        """Requests of any kind by (line, unit), unanswered ones included."""
        return self._units("requests")

    def first_polls(self) -> dict[tuple[int, int], float]:
        """time.time() of the first answered poll, 0.0 when there was none."""
        return self._units("first")

    def watch_gaps(self) -> None:
        """Forget the longest gaps so far."""
        self._ask(do="watch gaps")

    def longest_gaps(self) -> dict[tuple[int, int], float]:
        """The longest time between two polls since `watch_gaps`, in seconds."""
        return self._units("longest")

    def accepted(self) -> list[int]:
        """Connections accepted so far, by line."""
        return [line["accepted"] for line in self._ask(do="state")]

    def open_connections(self) -> list[int]:
        return [line["open"] for line in self._ask(do="state")]

    def writes(self, line: int, unit: int = 1) -> list[Any]:
        """[address, value, time] of each write that reached the device."""
        answer: list[Any] = self._ask(do="writes", line=line, unit=unit)
        return answer

    def memory(self, line: int, address: int, unit: int = 1, value: int | None = None) -> int:
        """Read or set a plain register (addresses from `registers` on)."""
        return int(self._ask(do="memory", line=line, unit=unit, address=address, value=value))

    def _units(self, key: str) -> dict[tuple[int, int], Any]:
        return {
            (number, int(unit)): state[key]
            for number, line in enumerate(self._ask(do="state"))
            for unit, state in line["units"].items()
        }

    def _ask(self, **request: Any) -> Any:
        with self._lock:
            self._file.write(json.dumps(request) + "\n")
            self._file.flush()
            return json.loads(self._file.readline())
