"""The mark of a complete slot, `.complete`: every file of it with hash and size, every link with its target.

A slot whose files were not on disk when the power went has its mark and damaged files, and its imports still work:
only the bytes tell. So the mark is checked against them at the first start of a trial.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from slots.disk import read_small

MARK = ".complete"
CONFIRMED = ".confirmed"
_HEAD = "fieldpost-slot 1"
_MOST = 16 << 20


class Damaged(Exception):
    """A slot is not what was staged."""


def describe(folder: Path) -> bytes:
    """The mark for a slot as it lies there."""
    lines = [_line(folder, name) for name in _names(folder)]
    return "\n".join([_HEAD, *lines, f"end {len(lines)}", ""]).encode()


def check(folder: Path) -> None:
    """Compare every file with the mark. Raises Damaged with the first that differs."""
    wanted = read(folder)
    try:
        found = _names(folder)
        for name in found:
            if wanted.pop(name, None) != _line(folder, name):
                raise Damaged(f"{name} is not what was staged")
    except OSError as error:
        raise Damaged(f"{error.filename}: {error.strerror}") from None
    if wanted:
        raise Damaged(f"{min(wanted)} is missing")


def read(folder: Path) -> dict[str, str]:
    """The lines of the mark by the name of their file. Raises Damaged where there is none or it is cut short."""
    try:
        lines = read_small(folder / MARK, _MOST).decode().splitlines()
    except FileNotFoundError:
        raise Damaged("it is not complete") from None
    except (OSError, ValueError) as error:
        raise Damaged(f"its mark cannot be read: {error}") from None
    if len(lines) < 2 or lines[0] != _HEAD or lines[-1] != f"end {len(lines) - 2}":
        raise Damaged("its mark is cut short")
    return {line.split("  ", 2)[-1]: line for line in lines[1:-1]}


def _names(folder: Path) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        found += [os.path.relpath(os.path.join(root, name), folder) for name in (*files, *links)]  # noqa: PTH118
    return sorted(set(found) - {MARK, f"{MARK}.tmp", CONFIRMED, f"{CONFIRMED}.tmp"})


def _line(folder: Path, name: str) -> str:
    path = folder / name
    if path.is_symlink():
        return f"link  {path.readlink()}  {name}"
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 18):
            digest.update(chunk)
            size += len(chunk)
    return f"{digest.hexdigest()}  {size}  {name}"
