"""Wheels by the hash of their content: what a release shares with the one before is there already."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.atomic import sync_folder
from gateway.ota.files import regular
from gateway.ota.places import kill_point
from gateway.ota.release import ReleaseRefused, Wheel


class WheelStore:
    """A folder that only the updater writes. `slotctl gc` removes what no kept slot names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, wheel: Wheel, path: Path) -> Path:
        """Move a verified file into the store; it is there for good when this returns. Raises ReleaseRefused."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / f"{wheel.sha256}.whl"
        if not (kept.is_file() and _hash(kept) == wheel.sha256):
            path.replace(kept)
            kill_point("apply.wheel")
            sync_folder(self._folder)
            if _hash(kept) != wheel.sha256:
                kept.unlink()
                raise ReleaseRefused("hash", f"{wheel.file} is not what was verified")
        return kept


def _hash(path: Path) -> str:
    with regular(path) as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 18):
            digest.update(chunk)
        return digest.hexdigest()
