"""What Linux says of the machine and of our share in it: /proc and cgroup v2. What cannot be read is None."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

_IDLE = (3, 4)
"""Columns of /proc/stat that are no work: idle, iowait."""
_COLUMNS = 8
"""Without guest time, which stands in user time already."""


class CpuTotals(Struct, frozen=True):
    """Time since the boot, in any unit: of work, and of all processors."""

    busy: float
    total: float


class Memory(Struct, frozen=True):
    """Bytes. `what` names it for people."""

    what: str
    used: int
    of: int

    @property
    def share(self) -> float:
        return self.used / self.of


def parse_stat(text: str) -> CpuTotals | None:
    """The line of all processors in /proc/stat."""
    words = text.split("\n", 1)[0].split()
    if len(words) < 5 or words[0] != "cpu":
        return None
    try:
        ticks = [int(word) for word in words[1 : 1 + _COLUMNS]]
    except ValueError:
        return None
    return CpuTotals(sum(ticks) - sum(ticks[column] for column in _IDLE if column < len(ticks)), sum(ticks))


def parse_meminfo(text: str) -> Memory | None:
    """What the machine cannot give any more, of /proc/meminfo."""
    rows = _table(text.replace(":", ""))
    total, available = rows.get("MemTotal"), rows.get("MemAvailable")
    if not total or available is None:
        return None
    return Memory("the machine", (total - available) * 1024, total * 1024)


def parse_limit(text: str) -> int | None:
    """A limit in a cgroup's file; None for `max`."""
    word = text.strip()
    return int(word) if word.isdigit() and int(word) > 0 else None


def parse_cpu_limit(text: str) -> float | None:
    """Processors that a cgroup may use, of cpu.max; None for `max`."""
    words = text.split()
    if len(words) != 2 or not (words[0].isdigit() and words[1].isdigit()) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1]) or None


def parse_cgroup(text: str) -> str | None:
    """Our path in the cgroup v2 tree, of /proc/self/cgroup."""
    for line in text.splitlines():
        if line.startswith("0::/"):
            return line[3:].strip("/")
    return None


def _table(text: str) -> dict[str, int]:
    """Lines of a name and a number."""
    rows = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdigit():
            rows[words[0]] = int(words[1])
    return rows


class Machine:
    """Reads the files; `root` is the root of the file system."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc = root / "proc"
        self._cgroups = root / "sys/fs/cgroup"
        self._page = os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> CpuTotals | None:
        """Of all processors."""
        return parse_stat(_read(self._proc / "stat"))

    def cpu_of_ours(self, mono: float) -> CpuTotals | None:
        """Of what our cgroup may use, in seconds; None where nothing limits it. `mono`: the boot clock."""
        for folder in self._folders():
            allowed = parse_cpu_limit(_read(folder / "cpu.max"))
            used = _table(_read(folder / "cpu.stat")).get("usage_usec")
            if allowed is not None and used is not None:
                return CpuTotals(used / 1e6, mono * allowed)
        return None

    def memory(self) -> list[Memory]:
        """Whatever may run out: the machine's, that of our cgroups with a limit, and our process against that."""
        found = [parse_meminfo(_read(self._proc / "meminfo"))]
        resident = self._resident()
        for folder in self._folders():
            limit = parse_limit(_read(folder / "memory.max"))
            used = parse_limit(_read(folder / "memory.current"))
            if limit is None or used is None:
                continue
            cache = _table(_read(folder / "memory.stat")).get("inactive_file", 0)  # given back before anything fails
            found.append(Memory(f"the limit of {folder.name}", max(0, used - cache), limit))
            if resident is not None:
                found.append(Memory("this process", resident, limit))
        return [each for each in found if each is not None]

    def _resident(self) -> int | None:
        words = _read(self._proc / "self/statm").split()
        return int(words[1]) * self._page if len(words) > 1 and words[1].isdigit() else None

    def _folders(self) -> list[Path]:
        """Our cgroup and those above it, nearest first."""
        path = parse_cgroup(_read(self._proc / "self/cgroup"))
        if path is None:
            return []
        own = self._cgroups / path
        return [own, *(folder for folder in own.parents if folder.is_relative_to(self._cgroups))]


def disk_used(folder: Path) -> tuple[float, int] | None:
    """Share of a folder's file system that we cannot write to any more, and the bytes that we can."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return (1.0 - found.f_bavail / found.f_blocks, found.f_bavail * found.f_frsize) if found.f_blocks else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
