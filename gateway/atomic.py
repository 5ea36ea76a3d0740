"""Writes that a kill or a power cut leaves either undone or done."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes, mode: int = 0o640) -> None:
    """A new file with its content on disk. The caller makes its name durable."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def create_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A file that must not exist yet, with its content on disk. Raises FileExistsError; half a file is removed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace `path` as a whole: readers and the next start see the old or the new content."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        write_file(temporary, data, mode)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    """A new folder with all `files` on disk; it must not exist. Its own name is the caller's to make durable."""
    folder.mkdir(mode=0o750)
    folders = {folder}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_file(path, data)
        folders.update(parent for parent in path.parents if parent.is_relative_to(folder))
    for below in folders:
        sync_folder(below)
