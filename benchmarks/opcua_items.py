"""CPU of 1000 OPC UA items that change ten times a second: the whole gateway, journal with fsync, beside bare clients.

All see the same server in the same run, one after the other; figures are per million values that each received.
"""

from __future__ import annotations

import sys
import time

from benchmarks.report import Row, at_least, at_most, main
from benchmarks.rig import SECONDS, Rig, cpu_seconds, rig
from tests.support.gateway import Gateway
from tests.support.opcua_plant import LINE
from tests.support.opcua_process import PlantProcess
from tests.support.processes import ROOT, Process

NODES, HERTZ = 1000, 10.0


def measure() -> list[Row]:
    with rig() as parts:
        plant = PlantProcess(NODES)
        try:
            plant.tell("storm", HERTZ)
            ours, rate, share, memory = _gateway(parts, plant)
            iterator, pace = _bare(parts, plant)
            handler, _ = _bare(parts, plant, "handler")
        finally:
            plant.close()
    return [
        Row("OPC UA, 1000 items at 10 Hz: the gateway", f"{ours:.4g} s", note=f"{rate:.0f} values/s, {memory:.0f} MB"),
        Row("  a bare client with asyncua's iterator", f"{iterator:.4g} s", note=f"{pace:.0f} values/s"),
        Row("  a bare client with asyncua's handler", f"{handler:.4g} s"),
        at_most("  ratio to the bare client (iterator)", ours / iterator, 1.5, "x"),
        at_least("  values that reached the gateway, of those the server made", share, 0.95, "x"),
    ]


def _gateway(parts: Rig, plant: PlantProcess) -> tuple[float, float, float, float]:
    """(CPU seconds per million values, values per second, share of what was sent, RssAnon in MB)."""
    gateway = Gateway(parts.processes, parts.directory / "opcua", name="opcua", env={"FIELDPOST_LOG": "WARNING"})
    gateway.write_main(uplinks={})
    tags = {f"n{number:04d}": {"address": f"s=Line.N{number:04d}", "type": "float64"} for number in range(NODES)}
    gateway.write(
        "channels/plant.yaml",
        {
            "driver": "opcua",
            "url": plant.url,
            "namespace": LINE,
            "devices": {"line": {"interval": "100ms", "tags": tags}},
        },
    )
    gateway.start()
    try:
        time.sleep(5)
        cpu, count, begin = cpu_seconds(gateway.pid), _values(gateway), time.monotonic()
        rounds = plant.tell("rounds")
        time.sleep(SECONDS)
        used = cpu_seconds(gateway.pid) - cpu
        got, lasted = _values(gateway) - count, time.monotonic() - begin
        sent = (plant.tell("rounds") - rounds) * NODES
        return used / got * 1e6, got / lasted, got / sent, gateway.memory()["RssAnon"]
    finally:
        gateway.stop()
        gateway.close()


def _received(process: Process) -> int:
    """What a bare client said last, at most a second ago."""
    return int(process.output().rpartition("received ")[2].split()[0])


def _values(gateway: Gateway) -> int:
    answer = gateway.ask("status")
    counters = answer["channels"]["plant"]["stats"]
    return int(counters["values"])


def _bare(parts: Rig, plant: PlantProcess, *words: str) -> tuple[float, float]:
    """(CPU seconds per million values that it received, values per second)."""
    argv = [sys.executable, "-m", "benchmarks.bare_opcua", plant.url, str(NODES), *words]
    process = parts.processes.start(f"bare_opcua_{len(words)}", argv, cwd=ROOT)
    process.wait_output("reading")
    try:
        time.sleep(5)
        cpu, count, begin = cpu_seconds(process.pid), _received(process), time.monotonic()
        time.sleep(SECONDS)
        used = cpu_seconds(process.pid) - cpu
        got, lasted = _received(process) - count, time.monotonic() - begin
        return used / got * 1e6, got / lasted
    finally:
        process.terminate()


if __name__ == "__main__":
    main(measure)
