"""Files that somebody else may change while they are read: copied first, without following links, then looked at."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.atomic import sync_folder
from gateway.ota.release import ReleaseRefused

_CHUNK = 1 << 16


@contextlib.contextmanager
def regular(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened without following a link at its end. Raises ReleaseRefused for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ReleaseRefused("missing", f"{path.name}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ReleaseRefused("file", f"{path.name} is no regular file")
    with os.fdopen(handle, "rb") as file:
        yield file


def copy(source: Path, to: Path, most: int) -> int:
    """Copy a regular file of at most `most` bytes, on disk when it returns. Returns its size. Raises ReleaseRefused."""
    size = 0
    with regular(source) as file, to.open("xb") as out:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise ReleaseRefused("length", f"{source.name} is longer than {most} bytes")
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return size


def sync_tree(folder: Path) -> None:
    """All files below a folder and their names are on disk."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_symlink():
                continue
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(root))
