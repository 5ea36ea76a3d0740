"""Distributions that look installed: a folder on sys.path with what pip would have written."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, name: str, entry_points: dict[str, str], version: str = "0.1.0") -> None:
    """Make `folder` (to be put on sys.path) hold a distribution with these drivers."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nA driver.\n")
    lines = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[fieldpost.drivers]\n{lines}")
