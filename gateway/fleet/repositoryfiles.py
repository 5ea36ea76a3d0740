"""Files of a repository's folder, for those who ask for them by name: never anything outside of it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from gateway.fleet.faults import FleetError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*){0,7}\Z")
LONGEST_NAME = 400


class RepositoryFiles:
    """Reads below `folder`. No part of a name may be a link: what is served is what was published."""

    def __init__(self, folder: Path) -> None:
        """Raises FleetError 404 when it is no repository."""
        if not (folder / "metadata" / "timestamp.json").is_file():
            raise FleetError(f"{folder} is no repository: metadata/timestamp.json is not there", code=404)
        self.folder = folder

    def read(self, name: str, offset: int, count: int) -> tuple[int, bytes] | None:
        """The size of a file, and up to `count` bytes from `offset`. None for what is no file here."""
        if len(name) > LONGEST_NAME or not _NAME.match(name):
            return None
        try:
            descriptor = self._open(name)
            try:
                found = os.fstat(descriptor)
                return (found.st_size, os.pread(descriptor, count, offset)) if stat.S_ISREG(found.st_mode) else None
            finally:
                os.close(descriptor)
        except OSError:
            return None

    def _open(self, name: str) -> int:
        """Part by part from the folder, so that no link is followed. Raises OSError."""
        *folders, last = name.split("/")
        at = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(at)
                at = below
            return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)


def published(folder: Path) -> set[str]:
    """Names of all targets that a repository's newest set has, delegated ones included. It is a look at one's own
    folder: no signature is checked. Raises FleetError.
    """
    RepositoryFiles(folder)
    metadata = folder / "metadata"
    try:
        timestamp = _signed(metadata / "timestamp.json")
        snapshot = _signed(metadata / f"{timestamp['meta']['snapshot.json']['version']}.snapshot.json")
        found: set[str] = set()
        for name, meta in snapshot["meta"].items():
            found.update(_signed(metadata / f"{meta['version']}.{name}").get("targets", {}))
    except (OSError, KeyError, TypeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{folder} is no whole repository: {error}", code=422) from error
    return found


def _signed(path: Path) -> dict[str, Any]:
    signed: dict[str, Any] = msgspec.json.decode(path.read_bytes())["signed"]
    return signed
