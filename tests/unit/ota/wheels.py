"""Wheels of a few bytes, with names, tags and requirements as real ones have."""

from __future__ import annotations

import zipfile
from pathlib import Path


def wheel(
    folder: Path, name: str, version: str = "1.0", tags: str = "py3-none-any", *needs: str, licence: str = "MIT"
) -> Path:
    """Write a wheel that `building` takes for a real one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tags}.whl"
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", f"License-Expression: {licence}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}/__init__.py"), "")
        archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA"), "\n".join(lines) + "\n\n")
    return path


def complete(folder: Path, version: str = "1.1.0") -> Path:
    """Wheels of a gateway that is whole."""
    wheel(
        folder,
        "fieldpost",
        version,
        "py3-none-any",
        "msgpack>=1",
        "tomli; python_version < '3.11'",
        "dev; extra == 'dev'",
    )
    wheel(folder, "msgpack", "1.1", "cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64")
    return folder
