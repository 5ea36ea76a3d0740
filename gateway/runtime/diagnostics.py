"""What a person far away needs to know of a gateway: a snapshot without secrets, small enough for any uplink."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from gateway.runtime.node import Node

PARTS = ("versions", "memory", "issues", "units", "status")
"""Smallest first: what does not fit any more is left out and named."""
MAX_BYTES = 100_000
_LIBRARIES = ("aiomqtt", "paho-mqtt", "lmdb", "msgpack", "msgspec", "PyYAML", "pymodbus", "pyserial", "uvloop")
_MEMORY = ("VmRSS", "VmHWM", "RssAnon", "Threads")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET = re.compile(r"(?i)(password|passwd|secret|token|credential|private_?key)")


def snapshot(node: Node, parts: Sequence[str] = PARTS) -> dict[str, Any]:
    """The parts by name; `left_out` names those for which there was no room."""
    made: dict[str, Any] = {}
    left_out: list[str] = []
    room = MAX_BYTES
    for part in PARTS:
        if part not in parts:
            continue
        content = without_secrets(_part(node, part))
        size = len(msgspec.json.encode(content))
        if size > room:
            left_out.append(part)
        else:
            made[part] = content
            room -= size
    return {**made, "left_out": left_out} if left_out else made


def without_secrets(value: Any, key: str = "") -> Any:
    """`value` with what is called a secret, and users in addresses, replaced."""
    if isinstance(value, dict):
        return {name: without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item, key) for item in value]
    if value is not None and _SECRET.search(key):
        return "***"
    return _USER_IN_URL.sub("***@", value) if isinstance(value, str) else value


def _part(node: Node, part: str) -> Any:
    if part == "versions":
        return _versions(node)
    if part == "memory":
        return _memory()
    status = node.status()
    if part in {"issues", "units"}:
        return status[part]
    return {name: content for name, content in status.items() if name not in {"issues", "units"}}


def _versions(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "fieldpost": node.version,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _memory() -> dict[str, Any]:
    """Of this process, in bytes (`Threads`, `files`: counts)."""
    found: dict[str, Any] = {"modules": len(sys.modules)}
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            name, _, rest = line.partition(":")
            if name in _MEMORY:
                number = int(rest.split()[0])
                found[name] = number if name == "Threads" else number * 1024
        found["files"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    except (OSError, ValueError):
        return found
    return found
