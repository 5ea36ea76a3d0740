"""What a machine has to show, as a tree. Blocking: called in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from drivers.system import files
from drivers.system.address import ITEMS, Address


class Entry(Struct, frozen=True):
    """A folder, or a figure."""

    path: tuple[str, ...]
    address: Address | None = None

    def view(self, now: Mapping[Address, Any]) -> Mapping[str, Any]:
        """As gateway.abilities.Browsing has it; `now`: what the machine shows."""
        common = {"name": self.path[-1], "path": "/".join(self.path)}
        if self.address is None:
            return {**common, "address": "/".join(self.path), "kind": "folder", "type": "", "access": ""}
        item = self.address.meaning
        keys = {"address": str(self.address), "type": item.type, **({"unit": item.unit} if item.unit else {})}
        figure = {"address": str(self.address), "kind": "variable", "type": item.type, "access": "r", "keys": keys}
        value = now.get(self.address)
        return {**common, **figure, **({} if value is None else {"value": value})}


def tree(root: Path) -> list[Entry]:
    """All groups, the parts that are there, and their items."""
    parts = {
        "temperature": list(files.sensors(root)),
        "net": [path.name for path in files.listed(root / "sys/class/net") if path.is_dir()],
        "disk": sorted(files.mounts(root)),
    }
    return [entry for group in ITEMS for entry in _group(group, parts.get(group))]


def _group(group: str, parts: list[str] | None) -> Iterator[Entry]:
    if parts is not None and not parts:
        return
    yield Entry((group,))
    if parts is None:
        for item in ITEMS[group]:
            yield Entry((group, item), Address(group, "", item))
        return
    if group == "temperature":
        for part in ("cpu", *(name for name in parts if name != "cpu")):
            yield Entry((group, part), Address(group, part, ""))
        return
    for part in parts:
        name = part.strip("/").replace("/", "_") or "root" if group == "disk" else part
        yield Entry((group, name))
        for item in ITEMS[group]:
            yield Entry((group, name, item), Address(group, part, item))
