"""Several files of a folder replaced as one: what a kill leaves half done, the next reader or writer finishes.

Beside the files stands a journal while they are written. It names what is staged; once it says `ready`, the write
counts as done and whoever comes next carries on with the renames. Before that it counts as not begun, and what is
staged goes.
Writers exclude each other by a lock on the folder itself, so none is left lying about.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from gateway.atomic import sync_folder, write_file
from gateway.errors import ConfigError, Problem
from gateway.settings.tree import FRESH_JOURNAL, JOURNAL

WAIT_S = 10.0
"""How long one waits for somebody else who writes."""
_POLL_S = 0.02
_TOKEN = re.compile(r"[0-9a-f]{16}")

Stage = Callable[[Path, Path, bytes], None]
"""Puts the new content (last) of a file (second) on disk under another name (first)."""


@contextlib.contextmanager
def locked(folder: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Only one at a time, and with nothing unfinished. Raises ConfigError when somebody else does not end, or what was
    left cannot be finished; OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        ends = time.monotonic() + wait_s
        while not _locked(descriptor):
            if time.monotonic() > ends:
                hint = "try again when it is done"
                raise ConfigError([Problem(str(folder), 0, 0, "", "somebody else is writing this folder", hint)])
            time.sleep(_POLL_S)
        _finish(folder)
        yield
    finally:
        os.close(descriptor)


def settle(folder: Path) -> None:
    """Finish or undo what a killed writer left, or wait for one that lives. Raises ConfigError."""
    try:
        with locked(folder):
            pass
    except OSError as error:
        # Without a journal all files are as they were; what is wrong with the folder, whoever reads it next says.
        if os.path.lexists(folder / JOURNAL):
            raise _stuck(f"a write was cut off here and cannot be finished: {error.strerror}") from error


def replace_together(folder: Path, files: Mapping[str, bytes], stage: Stage) -> None:
    """Replace the files (by relative name) as one; the caller holds the lock. Raises OSError: then nothing is done, or,
    where a rename fails, the next one who comes finishes it.
    """
    token = os.urandom(8).hex()
    names = sorted(files)
    _note(folder, token, names, ready=False)
    try:
        for name in names:
            fresh, path = _places(folder, name, token)
            path.parent.mkdir(parents=True, exist_ok=True)
            stage(fresh, path, files[name])
        for below in {_places(folder, name, token)[1].parent for name in names}:
            sync_folder(below)
        _note(folder, token, names, ready=True)
    except OSError:
        _finish(folder)
        raise
    _finish(folder)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Network file systems that lock no folder: what is left is the look at what was read before.
        if error.errno not in {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP}:
            raise
    return True


def _note(folder: Path, token: str, names: list[str], *, ready: bool) -> None:
    """The journal, replaced as a whole."""
    fresh = folder / FRESH_JOURNAL  # only who holds the lock writes it
    try:
        text = json.dumps({"token": token, "ready": ready, "files": names})
        write_file(fresh, text.encode(), 0o644)
        fresh.replace(folder / JOURNAL)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def _finish(folder: Path) -> None:
    """Do the renames that are left, or remove what was staged; the journal goes last."""
    (folder / FRESH_JOURNAL).unlink(missing_ok=True)
    journal = folder / JOURNAL
    if not journal.exists():
        return
    token, ready, names = _read(journal)
    folders = set()
    for name in names:
        fresh, path = _places(folder, name, token)
        if not ready:
            fresh.unlink(missing_ok=True)
        elif fresh.exists():
            fresh.replace(path)
        folders.add(path.parent)
    for below in folders:
        if below.is_dir():
            sync_folder(below)
    journal.unlink()
    sync_folder(folder)


def _read(journal: Path) -> tuple[str, bool, list[str]]:
    """Token, whether all is staged, names. Raises ConfigError: it may have been written by anybody."""
    try:
        data = json.loads(journal.read_bytes())
        token, ready, names = data["token"], data["ready"], data["files"]
        good = _TOKEN.fullmatch(token) is not None and isinstance(ready, bool) and all(map(_is_below, names))
    except (ValueError, TypeError, KeyError, AttributeError):
        good = False
    if not good:
        raise _stuck("this is not the journal of a write that was cut off")
    return token, ready, names


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _places(folder: Path, name: str, token: str) -> tuple[Path, Path]:
    """Where the new content of a file is staged, and the file: a link stays one."""
    path = (folder / name).resolve()
    return path.with_name(f".{path.name}.{token}.new"), path


def _stuck(text: str) -> ConfigError:
    hint = "run `fieldpost check` as who owns the folder; or look at its files and remove this one"
    return ConfigError([Problem(JOURNAL, 0, 0, "", text, hint)])
