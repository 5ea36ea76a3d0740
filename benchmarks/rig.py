"""What every measurement is made with: a plant, a broker, a cheap sink and the gateway, each a process of its own.

CPU and memory are read from /proc of the gateway's pid alone. Everything lives in one temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.arrivals import Arrivals
from tests.support import counting
from tests.support.gateway import FIELDPOST, Gateway
from tests.support.mosquitto import Broker, Brokers
from tests.support.plant import Plant
from tests.support.processes import Process, Processes

SECONDS = float(os.environ.get("BENCH_SECONDS", "30"))
"""Length of one steady measurement."""


class Rig:
    """Makes the parts of one measurement and ends them."""

    def __init__(self, directory: Path, command: Path = FIELDPOST) -> None:
        self.directory = directory
        self._command = command
        self.processes = Processes(directory)
        self._brokers = Brokers(self.processes, directory)
        self._plants: list[Plant] = []
        self._arrivals: list[Arrivals] = []
        self._gateways: list[Gateway] = []

    def plant(self, lines: int | list[list[int]], **options: Any) -> Plant:
        plant = Plant(self.processes, [[1]] * lines if isinstance(lines, int) else lines, **options)
        self._plants.append(plant)
        return plant

    def broker(self, **options: Any) -> Broker:
        # Without persistence: the broker's disk is not what is measured.
        return self._brokers.make(persistence=False, **options)

    def arrivals(self, broker: Broker, topic: str = "#", *, persistent: bool = False) -> Arrivals:
        arrivals = Arrivals(broker.port, topic, persistent=persistent)
        self._arrivals.append(arrivals)
        return arrivals.start()

    def gateway(
        self,
        plant: Plant,
        broker: Broker,
        *,
        interval: str = "1s",
        codec: str = "json",
        name: str = "gateway",
        timeout: str = "1s",
        registers: int = 100,
        start: bool = True,
        gateway_id: str = "gw",
        uplink: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **store: Any,
    ) -> Gateway:
        env = {"FIELDPOST_LOG": "WARNING", **(env or {})}
        gateway = Gateway(self.processes, self.directory / name, name=name, env=env, command=self._command)
        self._gateways.append(gateway)
        cloud = {"urls": [broker.url], "codec": codec, **(uplink or {})}
        counting.write_config(
            gateway, plant, {"cloud": cloud}, interval=interval, timeout=timeout, registers=registers, **store
        )
        if gateway_id != "gw":
            gateway.write_main(uplinks={"cloud": cloud}, gateway_id=gateway_id, **store)
        return gateway.start() if start else gateway

    def bare_loop(self, plant: Plant, broker: Broker, *, interval_s: float, registers: int = 100) -> Process:
        """The same work without anything of ours (benchmarks/bare_loop.py)."""
        import json
        import sys

        from tests.support.processes import ROOT

        ports = [[plant.ports[line], units] for line, units in enumerate(plant.lines)]
        spec = {"ports": ports, "broker": broker.port, "interval": interval_s, "registers": registers}
        argv = [sys.executable, "-m", "benchmarks.bare_loop", json.dumps(spec)]
        process = self.processes.start("bare", argv, cwd=ROOT)
        process.wait_output("polling")
        return process

    def close(self) -> None:
        for arrivals in self._arrivals:
            arrivals.stop()
        for plant in self._plants:
            plant.close()
        for gateway in self._gateways:
            gateway.close()
        self.processes.end_all()


@contextlib.contextmanager
def rig(command: Path = FIELDPOST) -> Iterator[Rig]:
    """A rig in a temporary folder (BENCH_DIR names another place, to measure another disk). `command`: the gateway's."""
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR")))
    made = Rig(directory, command)
    try:
        yield made
    except BaseException:
        for title, text in made.processes.report(2000):
            print(f"--- {title}\n{text}")
        raise
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def readings(plant: Plant, registers: int = 100) -> int:
    """Readings that the plant has given so far."""
    return sum(plant.counts().values()) * registers


def cpu_per_million(pid: int, plant: Plant, seconds: float = SECONDS, settle: float = 5.0) -> tuple[float, float]:
    """(CPU seconds per million readings, readings per second) of a running process, after it has settled."""
    time.sleep(settle)
    cpu, count, begin = cpu_seconds(pid), readings(plant), time.monotonic()
    time.sleep(seconds)
    used, made, lasted = cpu_seconds(pid) - cpu, readings(plant) - count, time.monotonic() - begin
    return used / made * 1e6, made / lasted
