"""The nested object of dotted paths: the one form of a shadow document that gateway and operator both write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The nested object of path -> value."""
    root: dict[str, Any] = {}
    for path, value in leaves.items():
        node = root
        *folders, last = path.split(".")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = value
    return root
