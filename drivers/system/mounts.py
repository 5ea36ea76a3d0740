"""Room on file systems, asked in threads: a server that is gone holds a statvfs for minutes, and nobody else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gateway.threads import Threads


class Mount:
    """One mount point. While an earlier question hangs, no other is put."""

    def __init__(self, root: Path, point: str) -> None:
        self._path = root / point.lstrip("/")
        self._threads = Threads(f"disk {point}", 1)
        self._asking = False

    async def ask(self, timeout_s: float) -> dict[str, Any]:
        """Its figures. Raises TimeoutError, OSError."""
        if self._asking:
            raise TimeoutError("the file system has not answered yet")
        self._asking = True
        return await self._threads.call(self._ask, timeout_s, lambda: None)

    def _ask(self) -> dict[str, Any]:
        try:
            return figures(os.statvfs(self._path))
        finally:
            self._asking = False


def figures(found: os.statvfs_result) -> dict[str, Any]:
    """Items of `disk`. What is kept for the administrator counts as used: the gateway cannot write there."""
    used = 100.0 * (1.0 - found.f_bavail / found.f_blocks) if found.f_blocks else None
    files = 100.0 * (1.0 - found.f_favail / found.f_files) if found.f_files else None
    return {
        "total": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "used_percent": used,
        "inodes_used_percent": files,
    }
