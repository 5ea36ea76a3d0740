"""Profiles that come with the installed drivers: YAML files in a folder `library` of the driver's package."""

from __future__ import annotations

from importlib import metadata, resources

from gateway.registry import GROUP


def defines(text: bytes, profile: str) -> bool:
    """Whether a profile file has a profile of that name."""
    return f"\n{profile}:".encode() in b"\n" + text


def profile_texts(driver: str) -> dict[str, str]:
    """Name of each profile of a driver's library to its file's text."""
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=GROUP, name=driver):
        folder = resources.files(point.module) / "library"
        if not folder.is_dir():
            continue
        for file in folder.iterdir():
            if file.name.endswith(".yaml"):
                found[file.name.removesuffix(".yaml")] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))
