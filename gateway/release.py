"""Which release this is, and of when."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed release."""
    try:
        return metadata.version("fieldpost")
    except metadata.PackageNotFoundError:
        return "0.0.0"


def release_ms() -> int:
    """Date of this release in UTC ms: an older wall clock is certainly wrong."""
    return 1_795_305_600_000  # 2026-11-22
