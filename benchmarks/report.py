"""Rows of the table: what was measured, against which budget."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """`budget` as text; `met` None where the row is only for comparison."""

    what: str
    value: str
    budget: str = ""
    met: bool | None = None
    note: str = ""


def at_most(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    return Row(what, f"{value:.4g} {unit}", f"<= {limit:g} {unit}", value <= limit, note)


def at_least(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    return Row(what, f"{value:.4g} {unit}", f">= {limit:g} {unit}", value >= limit, note)


def heading() -> str:
    """The circumstances: machine, loop, versions, disk. Without them a figure says nothing."""
    loop = "asyncio"
    if importlib.util.find_spec("uvloop") and os.environ.get("FIELDPOST_LOOP") != "asyncio":
        loop = f"uvloop {metadata.version('uvloop')}"
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    place = os.environ.get("BENCH_DIR", "/tmp")
    disk = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, "
        f"loop {loop}, pymodbus {metadata.version('pymodbus')}, store on {disk}; without rules but where a row names them"
    )


def show(rows: list[Row]) -> None:
    for row in rows:
        verdict = {True: "ok", False: "MISSED", None: ""}[row.met]
        note = f"  ({row.note})" if row.note else ""
        print(f"{row.what:<58} {row.value:>16}  {row.budget:<18} {verdict:<6}{note}", flush=True)


def main(measure: Callable[[], list[Row]]) -> None:
    """Run one measurement from the command line."""
    print(heading(), flush=True)
    rows = measure()
    show(rows)
    sys.exit(1 if any(row.met is False for row in rows) else 0)
