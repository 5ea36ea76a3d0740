"""Files for people, written all of them or none: a full disk leaves nothing half done, and the file is named."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.atomic import sync_folder, write_file
from gateway.cli.session import CommandFailed
from gateway.settings.tree import scan
from gateway.settings.unfinished import locked, replace_together


def write_tree(folder: Path, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Write what differs of a configuration folder, all of it or nothing, over kills too. Returns the names. Raises
    OSError with the name of the file, ConfigError, and CommandFailed when the folder is not any more what was read.
    """
    changed = [file for file, text in after.items() if before.get(file) != text]
    if not changed:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        now, _ = scan(folder)
        for file in sorted({*now, *before, *changed}):
            found = now[file] if file in now else _content(folder / file)
            if found != before.get(file):
                raise CommandFailed(f"{file} was changed by somebody else in between; nothing is written")
        with _named(folder / min(changed), keep=True):
            replace_together(folder, {file: after[file] for file in changed}, _stage_named)
    return changed


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _stage_named(fresh: Path, path: Path, text: bytes) -> None:
    with _named(path):
        _stage(fresh, path, text)


def write_all(files: Mapping[Path, bytes]) -> None:
    """Replace or make the files: all stand on disk before the first is replaced. A file keeps its mode and its owner, a
    link stays one; a device or a pipe is written to. Raises OSError with the name of the file.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for given, text in files.items():
            with _named(given):
                if given.exists() and not given.is_file():
                    given.write_bytes(text)
                    continue
                path = given.resolve()
                path.parent.mkdir(parents=True, exist_ok=True)
                staged.append((path.with_name(f".{path.name}.{os.urandom(8).hex()}.new"), path))
                _stage(*staged[-1], text)
        for fresh, path in staged:
            with _named(path):
                fresh.replace(path)
    finally:
        for fresh, _ in staged:
            fresh.unlink(missing_ok=True)
    for folder in {path.parent for _, path in staged}:
        sync_folder(folder)


def _stage(fresh: Path, path: Path, text: bytes) -> None:
    """The new content on disk beside the file, with the file's mode and owner."""
    fresh.unlink(missing_ok=True)
    write_file(fresh, text, 0o600 if path.exists() else 0o666)  # 0o666: what the umask leaves
    if path.exists():
        old = path.stat()
        with contextlib.suppress(PermissionError):  # only root gives files away
            os.chown(fresh, old.st_uid, old.st_gid)
        fresh.chmod(old.st_mode & 0o7777)


@contextlib.contextmanager
def _named(path: Path, *, keep: bool = False) -> Iterator[None]:
    """Errors carry the name that a person knows, not none and not that of a temporary file. `keep`: a name they have
    stays.
    """
    try:
        yield
    except OSError as error:
        if keep and error.filename:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
