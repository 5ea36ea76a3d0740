"""What Linux says of the machine in /proc and /sys: small pure readers below a root. What is not there is None."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.machine import CpuTotals, parse_stat

_OCTAL = re.compile(r"\\([0-7]{3})")
_PSEUDO = frozenset((
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "squashfs",
    "sysfs", "tmpfs", "tracefs",
))  # fmt: skip
_CPU = (
    "cpu-thermal",
    "cpu_thermal",
    "x86_pkg_temp",
    "coretemp_package_id_0",
    "k10temp_tctl",
    "soc-thermal",
    "soc_thermal",
)
_SENSOR_SIGNS = re.compile(r"[^a-z0-9_-]+")
_PAGES = {"VmRSS": "rss", "RssAnon": "rss_anon"}


def text(path: Path) -> str | None:
    """A file's text without the last line end."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n\0")
    except (OSError, ValueError):
        return None


def number(path: Path) -> int | None:
    """A file that is one whole number."""
    found = text(path)
    try:
        return None if found is None else int(found)
    except ValueError:
        return None


def table(path: Path) -> dict[str, int]:
    """Lines `Name: number [kB]`, in bytes where they say kB."""
    rows = {}
    for line in (text(path) or "").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            rows[words[0]] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return rows


def listed(folder: Path, pattern: str = "*") -> list[Path]:
    """What is in a folder, in the order of its numbers."""
    try:
        return sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    except OSError:
        return []


def cpu_totals(proc: Path) -> dict[str, CpuTotals]:
    """Of all processors (empty name), and of each by its number."""
    found = {}
    for line in (text(proc / "stat") or "").splitlines():
        name = line.split(" ", 1)[0]
        if not name.startswith("cpu"):
            continue
        totals = parse_stat("cpu" + line[len(name) :])
        if totals is not None:
            found[name[3:]] = totals
    return found


def memory(proc: Path) -> dict[str, Any]:
    rows = table(proc / "meminfo")
    total, available = rows.get("MemTotal"), rows.get("MemAvailable")
    share = 100.0 * (total - available) / total if total and available is not None else None
    return {"total": total, "available": available, "used_percent": share}


def swap(proc: Path) -> dict[str, Any]:
    rows = table(proc / "meminfo")
    total, free = rows.get("SwapTotal"), rows.get("SwapFree")
    return {"total": total, "used": total - free if total is not None and free is not None else None}


def load(proc: Path) -> dict[str, Any]:
    words = (text(proc / "loadavg") or "").split()
    with contextlib.suppress(ValueError):
        return dict(zip(("1m", "5m", "15m"), map(float, words[:3]), strict=False))
    return {}


def system(root: Path) -> dict[str, Any]:
    proc = root / "proc"
    uptime = (text(proc / "uptime") or "").split()
    names = dict(line.split("=", 1) for line in (text(root / "etc/os-release") or "").splitlines() if "=" in line)
    model = text(proc / "device-tree/model") or text(root / "sys/class/dmi/id/product_name")
    return {
        "uptime": float(uptime[0]) if uptime else None,
        "hostname": text(proc / "sys/kernel/hostname"),
        "kernel": text(proc / "sys/kernel/osrelease"),
        "os": names.get("PRETTY_NAME", "").strip('"') or None,
        "model": model or None,
    }


def sensors(root: Path) -> dict[str, Path]:
    """The file of each temperature sensor by a name that is told apart; values are in 1/1000 degrees."""
    found: dict[str, Path] = {}
    for name, path in _sensors(root):
        clean = _SENSOR_SIGNS.sub("_", name.lower()).strip("_") or "sensor"
        unique, count = clean, 2
        while unique in found:
            unique, count = f"{clean}-{count}", count + 1
        found[unique] = path
    return found


def _sensors(root: Path) -> Iterator[tuple[str, Path]]:
    for zone in listed(root / "sys/class/thermal", "thermal_zone*"):
        yield text(zone / "type") or zone.name, zone / "temp"
    for chip in listed(root / "sys/class/hwmon", "hwmon*"):
        name = text(chip / "name") or chip.name
        for value in listed(chip, "temp*_input"):
            which = value.name.removesuffix("_input")
            yield f"{name}_{text(chip / f'{which}_label') or which}", value


def cpu_sensor(names: dict[str, Path]) -> Path | None:
    """The processor's own, under whatever name its maker gave it."""
    for name in _CPU:
        if name in names:
            return names[name]
    return next((path for name, path in names.items() if "cpu" in name or "core" in name), None)


def interface(root: Path, name: str) -> dict[str, Any]:
    """Figures of a network interface."""
    folder = root / "sys/class/net" / name
    if "/" in name or name in (".", "..") or not folder.is_dir():
        return {}
    found: dict[str, Any] = {
        f"{way}_{what}": number(folder / "statistics" / f"{way}_{what}")
        for way in ("rx", "tx")
        for what in ("bytes", "packets", "errors", "dropped")
    }
    state, speed = text(folder / "operstate"), number(folder / "speed")
    carrier = number(folder / "carrier")
    found["up"] = state == "up" or (state == "unknown" and carrier == 1) if state is not None else None
    found["speed"] = float(speed) if speed is not None and speed > 0 else None
    found["mac"] = text(folder / "address") or None
    found["ipv6"] = _ipv6(root, name)
    return found


def _ipv6(root: Path, name: str) -> str | None:
    """The first address of global scope."""
    import ipaddress

    for line in (text(root / "proc/net/if_inet6") or "").splitlines():
        words = line.split()
        if len(words) == 6 and words[5] == name and words[3] == "00":
            with contextlib.suppress(ValueError):
                return str(ipaddress.IPv6Address(bytes.fromhex(words[0])))
    return None


def process(proc: Path) -> dict[str, Any]:
    """This process. `ticks`: processor time in clock ticks; `started`: ticks after the start of the machine."""
    own = proc / "self"
    rows = table(own / "status")
    found: dict[str, Any] = {item: rows.get(name) for name, item in _PAGES.items()}
    found["threads"] = rows.get("Threads")
    fds = listed(own / "fd")
    found["fds"] = len(fds) or None
    words = (text(own / "stat") or "").rpartition(")")[2].split()
    if len(words) > 19:
        found["ticks"], found["started"] = int(words[11]) + int(words[12]), int(words[19])
    return found


def mounts(root: Path) -> dict[str, str]:
    """File systems that keep files: mount point -> type."""
    found = {}
    for line in (text(root / "proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        words, kind = left.split(), right.split()
        if len(words) >= 5 and kind and kind[0] not in _PSEUDO:
            found[_OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4])] = kind[0]
    return found
