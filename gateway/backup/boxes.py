"""What of a box goes into a backup, and how a box is made of one."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack

from gateway.atomic import create_file, sync_folder
from gateway.backup.archive import BackupError
from gateway.release import version
from gateway.store.copying import Copied, copy_tables, place_tables

_LEFT_OUT = {"store", "store.mirror"}
"""Of the state directory: readings and what belongs to one run. The small tables of the store go by `copy_tables`."""
_TABLES = "tables"
_MOST_FILE = 50 * 2**20


def gather(config: Path, state: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and files of the box with this configuration and state. Raises BackupError, StoreError."""
    files = {f"config/{name}": content for name, content in _files(config, skip={state})}
    files |= {f"state/{name}": content for name, content in _files(state, skip={state / name for name in _LEFT_OUT})}
    copied = copy_tables(state)
    if copied is not None:
        files[_TABLES] = msgpack.packb([copied.rows, copied.mirror, copied.epoch])
    made = {"made": int(time.time() * 1000), "version": version(), "epoch": copied.epoch if copied else 0}
    return {"format": 1, **made}, files


def _files(folder: Path, skip: set[Path]) -> Iterator[tuple[str, bytes]]:
    """Regular files below a folder, without links, sockets and hidden ones."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path in skip or path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir():
            for name, content in _files(path, skip):
                yield f"{path.name}/{name}", content
        elif path.is_file():
            if path.stat().st_size > _MOST_FILE:
                raise BackupError(f"{path} is larger than {_MOST_FILE // 2**20} MiB: move it out of the folder")
            yield path.name, path.read_bytes()


def scatter(files: Mapping[str, bytes], config: Path, state: Path) -> list[str]:
    """Make a box of a backup: no file may be in either folder. Returns what was put in place; as root, each folder's
    owner has it, as the service needs it.

    Raises BackupError before anything is written, OSError when the disk fails; what was begun is removed then.
    """
    for folder in (config, state):
        if any(path.is_symlink() or not path.is_dir() for path in folder.rglob("*")):
            raise BackupError(f"{folder} is not empty: a backup is restored to a new box")
    tables = _tables(files)
    begun = [folder for folder in (config, state) if not folder.exists()]
    try:
        for name, content in files.items():
            kind, _, rest = name.partition("/")
            if kind in {"config", "state"} and rest:
                _put((config if kind == "config" else state) / rest, content)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if tables is not None:
            place_tables(state, tables)
        if os.geteuid() == 0:
            _hand_over(config, state)
    except BaseException:
        for folder in (config, state):
            _empty(folder, remove=folder in begun)
        raise
    return sorted({name.split("/")[0] for name in files})


def _hand_over(config: Path, state: Path) -> None:
    """What root restored belongs to whom the folders belong to. The configuration is read by its group; its secrets are
    the gateway's alone.
    """
    owner, reader = state.stat(), config.stat()
    for path in state.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    for path in config.rglob("*"):
        if "credentials" in path.relative_to(config).parts[:1]:
            os.chown(path, owner.st_uid, owner.st_gid)
        else:
            os.chown(path, reader.st_uid, reader.st_gid)
            path.chmod(0o750 if path.is_dir() else 0o640)


def _tables(files: Mapping[str, bytes]) -> Copied | None:
    raw = files.get(_TABLES)
    if raw is None:
        return None
    try:
        rows, mirror, epoch = msgpack.unpackb(raw)
        found = [(bytes(key), bytes(value)) for key, value in rows]
        return Copied(found, bytes(mirror), int(epoch))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BackupError(f"the backup's tables cannot be read: {error}") from None


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_file(path, content)
    sync_folder(path.parent)


def _empty(folder: Path, *, remove: bool) -> None:
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    if remove:
        with contextlib.suppress(OSError):
            folder.rmdir()
