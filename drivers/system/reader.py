"""Everything of the machine that one poll asks for, read once per group. Blocking, short: called in a thread."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drivers.system import clocks, files
from drivers.system.address import Address
from gateway.machine import CpuTotals

SHORTEST_S = 0.2
"""Between two looks that a share is made of: ticks are 10 ms."""
SENSORS_S = 60.0

Found = dict[Address, Any]


class Share:
    """The share of time since an earlier look. Two looks are kept: a quick second one uses the older."""

    def __init__(self) -> None:
        self._older: tuple[float, CpuTotals] | None = None
        self._newer: tuple[float, CpuTotals] | None = None

    def add(self, at: float, totals: CpuTotals) -> float | None:
        """Percent; None before two looks that are far enough from each other."""
        if self._newer is None or at - self._newer[0] >= SHORTEST_S:
            before, self._older, self._newer = self._newer, self._newer, (at, totals)
        else:
            before = self._older
        of = totals.total - before[1].total if before is not None else 0.0
        if before is None or of <= 0:
            return None
        return min(100.0 * max(0.0, totals.busy - before[1].busy) / of, 10_000.0)


class Reader:
    """The machine below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._proc = root / "proc"
        self._own = root == Path("/")
        self._shares: dict[str, Share] = {}
        self._process = Share()
        self._sensors: dict[str, Path] = {}
        self._sensors_at = -SENSORS_S
        self._ticks = os.sysconf("SC_CLK_TCK")

    def look(self) -> None:
        """A first look at what is a share of time."""
        self._cpu_usage()
        self._process_items()

    def read(self, addresses: Iterable[Address]) -> Found:
        """Values by address; None for what is not there."""
        parts: dict[tuple[str, str], dict[str, Any]] = {}
        usage: dict[str, float | None] | None = None
        found: Found = {}
        for address in addresses:
            group, part, item = address.group, address.part, address.item
            if group == "cpu" and item == "usage":
                usage = self._cpu_usage() if usage is None else usage
                found[address] = usage.get(part)
                continue
            if (group, part) not in parts:
                parts[group, part] = getattr(self, f"_{group}_items")(part) if group != "disk" else {}
            found[address] = parts[group, part].get(item)
        return found

    def _cpu_usage(self) -> dict[str, float | None]:
        now = time.monotonic()
        totals = files.cpu_totals(self._proc)
        return {name: self._shares.setdefault(name, Share()).add(now, each) for name, each in totals.items()}

    def _cpu_items(self, part: str) -> dict[str, Any]:
        count = len(files.cpu_totals(self._proc)) - 1
        khz = files.number(self._root / f"sys/devices/system/cpu/cpu{part or 0}/cpufreq/scaling_cur_freq")
        return {"count": count if count > 0 else None, "frequency": None if khz is None else khz / 1000.0}

    def _load_items(self, _part: str) -> dict[str, Any]:
        return files.load(self._proc)

    def _memory_items(self, _part: str) -> dict[str, Any]:
        return files.memory(self._proc)

    def _swap_items(self, _part: str) -> dict[str, Any]:
        return files.swap(self._proc)

    def _system_items(self, _part: str) -> dict[str, Any]:
        return files.system(self._root)

    def _clock_items(self, _part: str) -> dict[str, Any]:
        return clocks.kernel_clock()

    def _temperature_items(self, part: str) -> dict[str, Any]:
        now = time.monotonic()
        if now - self._sensors_at >= SENSORS_S or part not in (*self._sensors, "cpu"):
            self._sensors, self._sensors_at = files.sensors(self._root), now
        path = self._sensors.get(part) or (files.cpu_sensor(self._sensors) if part == "cpu" else None)
        value = None if path is None else files.number(path)
        return {"": None if value is None else value / 1000.0}

    def _net_items(self, part: str) -> dict[str, Any]:
        found = files.interface(self._root, part)
        if found and self._own:
            found["ipv4"] = clocks.ipv4_of(part)
        return found

    def _process_items(self, _part: str = "") -> dict[str, Any]:
        found = files.process(self._proc)
        now = time.monotonic()
        if "ticks" in found:
            found["cpu"] = self._process.add(now, CpuTotals(found["ticks"] / self._ticks, now))
            uptime = files.system(self._root)["uptime"]
            found["uptime"] = None if uptime is None else max(0.0, uptime - found["started"] / self._ticks)
        return found
