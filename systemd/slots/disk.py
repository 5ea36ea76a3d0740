"""Writes that a kill or a power cut leaves undone or done, and the points where tests kill."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

RESERVE = 64 * 1024
_LOCK_S = 10.0


def kill_point(name: str) -> None:
    """Die here when OTA_KILL_AT names this point: what a power cut leaves is what the next start finds."""
    if os.environ.get("OTA_KILL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def sync_folder(folder: Path) -> None:
    """The names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes) -> None:
    """A file with its content on disk, readable by all; its name is the caller's to make durable."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file as a whole: readers and the next start see the old or the new content."""
    fresh = path.with_name(f"{path.name}.tmp")
    try:
        write_file(fresh, data)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_small(path: Path, most: int = 1 << 20) -> bytes:
    """A small regular file, no link followed. Raises OSError, ValueError for one that is too large or none."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} has more than {most} bytes")
    return data


def free_reserve(reserve: Path, error: OSError) -> bool:
    """On a full disk, give back the bytes kept for this. False where there are none or the error is another."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not reserve.exists():
        return False
    with contextlib.suppress(OSError):
        reserve.unlink()
        return True
    return False


def keep_reserve(reserve: Path) -> None:
    """Bytes that are freed when the disk is full, so that the state can still be written."""
    if reserve.exists() and reserve.stat().st_size == RESERVE:
        return
    with contextlib.suppress(OSError):
        write_file(reserve, os.urandom(RESERVE))  # not zeros: a file system may store those as nothing
        sync_folder(reserve.parent)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = _LOCK_S) -> Iterator[bool]:
    """Hold a lock file. Gives False where it cannot be had in time, or where the file cannot even be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _take(handle, wait_s)
    finally:
        os.close(handle)


def _take(handle: int, wait_s: float) -> bool:
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        else:
            return True
