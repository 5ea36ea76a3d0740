"""The reserve file: 1 MiB that is given back to the file system when it is full, so that a drop can be committed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

SIZE = 1 << 20
_log = logging.getLogger("fieldpost.store")


class Reserve:
    """One file of real blocks. On small file systems it takes at most a 32nd of the whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def release(self) -> None:
        """Give the room back. Nothing happens when it is gone already."""
        self._path.unlink(missing_ok=True)

    def restore(self) -> None:
        """Take the room again, once it is not needed elsewhere. A failure only means that there is no reserve yet."""
        if self._path.exists():
            return
        try:
            room = os.statvfs(self._path.parent)
            size = min(SIZE, room.f_blocks * room.f_frsize // 32)
            if room.f_bavail * room.f_frsize < 4 * size:
                return
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError as err:
            _log.debug("no reserve file: %s", err)
            self.release_quietly()

    def release_quietly(self) -> None:
        try:
            self.release()
        except OSError as err:
            _log.debug("the reserve file cannot be removed: %s", err)
