"""How soon a rule acts, measured at the device: from the answer that changes a register to the write on the wire.

The device (reacting_device.py) hands the answer to its socket, the gateway reads it, evaluates the rule and writes a
coil. With `for: 1s` what counts is how late after that second the write comes; times of readings are whole
milliseconds, so that it may come up to 1 ms before. Beside it a bare loop that does nothing else (bare_reaction.py),
in turn and again: a slow moment meets both, and enough runs give a p99 that is not one such moment.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys

from benchmarks.report import Row, at_most, main
from benchmarks.rig import Rig, rig
from tests.support.processes import ROOT, Process

RUNS = int(os.environ.get("BENCH_REACTIONS", "100"))
ROUNDS = 3
INTERVAL = "20ms"
_WITHIN_S = 20 + 4 * RUNS
TAGS = {
    "temperature": {"address": "holding/0", "type": "uint16"},
    "valve": {"address": "coil/0", "type": "bool", "access": "rw", "on_demand": True},
}


class _Device:
    """One reacting device as a process."""

    def __init__(self, parts: Rig, name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.reacting_device", str(RUNS)]
        self._process: Process = parts.processes.start(name, command, cwd=ROOT)
        found = re.search(r"port (\d+)", self._process.wait_output("port "))
        assert found is not None
        self.port = int(found[1])

    def times(self) -> list[float]:
        """Milliseconds of each run, once all are done."""
        text = self._process.wait_output(" end", _WITHIN_S)
        found: list[float] = json.loads(text.rpartition("times ")[2].partition(" end")[0])
        return [1000 * one for one in found]


def _reactions(parts: Rig, name: str, delay: str | None) -> list[float]:
    """Milliseconds of each run."""
    device, broker = _Device(parts, name), parts.broker()
    gateway = parts.gateway(parts.plant([]), broker, name=f"gateway-{name}", start=False)
    channel = {
        "driver": "modbus",
        "url": f"tcp://127.0.0.1:{device.port}",
        "interval": INTERVAL,
        "devices": {"boiler": {"unit_id": 1, "tags": TAGS}},
    }
    gateway.write("channels/line.yaml", channel)
    hot = {"when": "boiler.temperature > 80", "start": [{"write": {"boiler.valve": True}}]}
    gateway.write("rules/hot.yaml", {"hot": {**hot, **({"for": delay} if delay else {})}})
    gateway.start()
    found = device.times()
    gateway.stop()
    broker.stop()
    return found


def _bare(parts: Rig, name: str) -> list[float]:
    device = _Device(parts, f"{name}-device")
    loop = parts.processes.start(name, [sys.executable, "-m", "benchmarks.bare_reaction", str(device.port)], cwd=ROOT)
    found = device.times()
    loop.kill()
    return found


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _rows(what: str, times: list[float]) -> list[Row]:
    spread = f"{len(times)} runs, {min(times):.2f} to {max(times):.2f} ms"
    return [
        at_most(f"{what}, p50", statistics.median(times), 1.5, "ms", spread),
        at_most("  p99", _p99(times), 5, "ms"),
    ]


def measure() -> list[Row]:
    at_once: list[float] = []
    bare: list[float] = []
    with rig() as parts:
        for number in range(ROUNDS):
            at_once += _reactions(parts, f"at-once-{number}", None)
            bare += _bare(parts, f"bare-{number}")
        delayed = [one - 1000 for one in _reactions(parts, "delayed", "1s")]
    return [
        *_rows("rule: changed register to the write on the wire", at_once),
        Row("  a bare loop beside it, p50 and p99", f"{statistics.median(bare):.3g}, {_p99(bare):.3g} ms"),
        *_rows("rule with `for: 1s`: its end to the write", delayed),
    ]


if __name__ == "__main__":
    main(measure)
