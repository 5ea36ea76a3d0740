"""Where the store's files are, and the three small ones that are not LMDB's: lock, marker, quarantine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path

from msgspec import Struct

from gateway.atomic import replace_file, sync_folder
from gateway.errors import StoreError

KEEP_QUARANTINED = 3
DEATHS = 3
"""So many deaths in a row soon after opening, and the store is verified before it is opened again."""


class Paths(Struct, frozen=True):
    """All paths of a store, from the state directory."""

    base: Path

    @property
    def root(self) -> Path:
        return self.base / "store"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def values(self) -> Path:
        return self.root / "values"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def marker(self) -> Path:
        return self.root / "open"

    @property
    def reserve(self) -> Path:
        return self.root / "reserve"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def mirror(self) -> Path:
        """Outside `root`, so that copying the store back does not bring the old mirror with it."""
        return self.base / "store.mirror"


class Lock:
    """One process per store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises StoreError, naming the process, when another one has the store open."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreError(f"the store {self._path.parent} is in use by process {owner}") from err
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Marker:
    """Says how far the last process came: `opening`, `running`, `suspect`; no file after a clean close.

    `deaths` counts processes in a row that died soon after opening.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.state = ""
        self.deaths = 0

    def read(self) -> None:
        try:
            document = json.loads(self._path.read_text(encoding="ascii"))
            self.state = str(document["state"])
            self.deaths = int(document["deaths"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, OSError):  # cut off by a power cut: nothing is known
            self.state = "opening"

    @property
    def wants_verify(self) -> bool:
        return self.state in {"opening", "suspect"} or self.deaths >= DEATHS

    def write(self, state: str, deaths: int) -> None:
        """A disk without room must not keep the store from opening: then the marker is missing, nothing else."""
        self.state, self.deaths = state, deaths
        with contextlib.suppress(OSError):
            replace_file(self._path, json.dumps({"state": state, "deaths": deaths}).encode(), 0o600)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def quarantine(paths: Paths, name: str, room: int) -> Path:
    """Move the journal aside and keep the newest few; older ones go first when less than `room` bytes are free."""
    paths.quarantine.mkdir(parents=True, exist_ok=True)
    target = paths.quarantine / name
    for i in range(1, 1000):
        if not target.exists():
            break
        target = paths.quarantine / f"{name}-{i}"
    paths.journal.rename(target)
    sync_folder(paths.root)
    kept = sorted(paths.quarantine.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    kept.remove(target)
    while kept and (len(kept) >= KEEP_QUARANTINED or _free_bytes(paths.root) < room):
        shutil.rmtree(kept.pop(0), ignore_errors=True)
    if _free_bytes(paths.root) < room // 4:  # the service comes before the evidence
        shutil.rmtree(target, ignore_errors=True)
    return target


def _free_bytes(path: Path) -> int:
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize
