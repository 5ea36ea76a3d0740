"""Which release this is, and of when."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import PurePath


def version() -> str:
    """The installed release."""
    try:
        return metadata.version("fieldpost")
    except metadata.PackageNotFoundError:
        return "0.0.0"


def release_ms() -> int:
    """Date of this release in UTC ms: an older wall clock is certainly wrong."""
    return 1_795_305_600_000  # 2026-11-22


def release_slot(prefix: str = sys.prefix) -> str:
    """The release slot that this process runs from, as `1.2.0-5ecb10a34a27`; empty when it runs from elsewhere."""
    path = PurePath(prefix)
    inside = path.name == "venv" and path.parts[-5:-2] == ("opt", "fieldpost", "releases")
    return path.parent.name if inside else ""
