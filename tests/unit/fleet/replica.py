"""What a gateway makes of desired documents (protocol.md 3.1), tombstones included: the judge of writers."""

from __future__ import annotations

from typing import Any

from gateway.canonical import canonical
from gateway.fleet.document import Document


class Replica:
    """Merges whole documents as they come; older ones than known are ignored."""

    def __init__(self) -> None:
        self.ver = 0
        self.rows: dict[str, tuple[Any, int]] = {}
        """Path to (value, version); None is a tombstone."""
        self.writes: list[tuple[str, Any, int]] = []

    def take(self, document: Document) -> None:
        if document.ver < self.ver:
            return
        self.ver = document.ver
        for path, leaf in document.leaves.items():
            value, ver = self.rows.get(path, (None, 0))
            if (leaf.ver, canonical(leaf.value)) > (ver, canonical(value)):
                self.rows[path] = (leaf.value, leaf.ver)
                self.writes.append((path, leaf.value, leaf.ver))
        for path, (value, ver) in self.rows.items():
            if path not in document.leaves and ver < document.ver and value is not None:
                self.rows[path] = (None, document.ver)

    def values(self) -> dict[str, Any]:
        return {path: value for path, (value, _) in self.rows.items() if value is not None}
