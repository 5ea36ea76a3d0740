"""How soon a rule acts, measured at the device: from the answer that changes a register to the write on the wire.

The device (reacting_device.py) hands the answer to its socket, the gateway reads it, evaluates the rule and writes a
coil. With `for: 1s` what counts is how late after that second the write comes; times of readings are whole
milliseconds, so that it may come up to 1 ms before.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys

from benchmarks.report import Row, at_most, main
from benchmarks.rig import Rig, rig
from tests.support.processes import ROOT

RUNS = int(os.environ.get("BENCH_REACTIONS", "100"))
_WITHIN_S = 20 + 4 * RUNS
TAGS = {
    "temperature": {"address": "holding/0", "type": "uint16"},
    "valve": {"address": "coil/0", "type": "bool", "access": "rw", "on_demand": True},
}


def _reactions(parts: Rig, name: str, delay: str | None) -> list[float]:
    """Milliseconds of each run."""
    process = parts.processes.start(name, [sys.executable, "-m", "benchmarks.reacting_device", str(RUNS)], cwd=ROOT)
    found = re.search(r"port (\d+)", process.wait_output("port "))
    assert found is not None
    broker = parts.broker()
    gateway = parts.gateway(parts.plant([]), broker, name=f"gateway-{name}", start=False)
    gateway.write(
        "channels/line.yaml",
        {
            "driver": "modbus",
            "url": f"tcp://127.0.0.1:{found[1]}",
            "interval": "50ms",
            "devices": {"boiler": {"unit_id": 1, "tags": TAGS}},
        },
    )
    hot = {"when": "boiler.temperature > 80", "start": [{"write": {"boiler.valve": True}}]}
    gateway.write("rules/hot.yaml", {"hot": {**hot, **({"for": delay} if delay else {})}})
    gateway.start()
    text = process.wait_output(" end", _WITHIN_S)
    gateway.stop()
    broker.stop()
    times: list[float] = json.loads(text.rpartition("times ")[2].partition(" end")[0])
    return [1000 * one for one in times]


def _rows(what: str, times: list[float]) -> list[Row]:
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    return [
        at_most(f"{what}, p50", p50, 1.5, "ms", f"{len(times)} runs, {min(times):.2f} to {max(times):.2f} ms"),
        at_most("  p99", p99, 5, "ms"),
    ]


def measure() -> list[Row]:
    with rig() as parts:
        at_once = _reactions(parts, "at-once", None)
        delayed = [one - 1000 for one in _reactions(parts, "delayed", "1s")]
    return [
        *_rows("rule: changed register to the write on the wire", at_once),
        *_rows("  with `for: 1s`: its end to the write", delayed),
    ]


if __name__ == "__main__":
    main(measure)
