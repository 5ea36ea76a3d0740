"""The files of a configuration folder: which are read, which are refused, which are nobody's business."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import ConfigError, Problem
from gateway.settings.ids import did_you_mean
from gateway.settings.yaml_reader import MAX_BYTES

ROOT = "gateway.yaml"
FOLDERS = ("channels", "profiles", "rules", "alarms")
FOREIGN = ("channels", "profiles")
"""Folders in which files of other gateways are understood, JSON too."""
OTHER_FOLDERS = ("credentials", "schema", "examples", "certs", "tls", "health.d")
CASES = ".cases.yaml"
"""Cases of a profile, beside it: they test a configuration and are no part of it."""
MAX_FILES = 2000
JOURNAL = ".fieldpost-write.json"
"""Stands in a folder while files of it are written as one; see `unfinished`."""
FRESH_JOURNAL = f"{JOURNAL}.new"


def scan(folder: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """The files of a tree that are meant to be read, by relative path, and what could not be read.

    These are YAML files, and JSON where files of other gateways may lie.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    try:
        for path in _meant(folder):
            name = path.relative_to(folder).as_posix()
            if len(files) >= MAX_FILES:
                problems.append(Problem(name, 0, 0, "", f"more than {MAX_FILES} files"))
                break
            wrong = _kind(path) or ("a file" if path.name in FOLDERS else "")
            if wrong:
                wanted = "folder" if path.name in FOLDERS else "file"
                problems.append(Problem(name, 0, 0, "", f"this is {wrong}", f"it has to be a {wanted}"))
                continue
            try:
                with path.open("rb") as file:
                    files[name] = file.read(MAX_BYTES + 1)  # of a larger one enough to be told that it is too large
            except OSError as error:
                problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}", "check owner and mode"))
        problems.extend(_misnamed_folders(folder))
    except OSError as error:
        name = str(error.filename or folder)
        problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}", "check the folder"))
    return files, problems


def read_tree(folder: Path) -> dict[str, bytes]:
    """The files of a tree by relative path, as `scan` finds them; a write that was cut off is finished first. Raises
    ConfigError when any cannot be read.
    """
    if not folder.is_dir():
        hint = "name the folder with --config, or make one with fieldpost init"
        raise ConfigError([Problem(str(folder), 0, 0, "", "there is no such configuration folder", hint)])
    if os.path.lexists(folder / JOURNAL) or os.path.lexists(folder / FRESH_JOURNAL):
        from gateway.settings.unfinished import settle  # only after a kill: a start without it is quicker

        settle(folder)
    files, problems = scan(folder)
    if problems:
        raise ConfigError(problems)
    return files


def _meant(folder: Path) -> Iterator[Path]:
    """Names that should be files to read, whatever they really are: what is not a file must not count as absent."""
    for path in sorted(folder.iterdir()):
        if path.name in FOLDERS and path.is_dir():
            yield from (below for below in sorted(path.rglob("*")) if _is_yaml(below) or _is_json(below, path))
        elif path.name in FOLDERS or _is_yaml(path):
            yield path


def _kind(path: Path) -> str:
    """What a path is that is no regular file, in words; empty for a file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            return "a link that leads nowhere" if error.errno == errno.ENOENT else "a link that leads to itself"
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "" if stat.S_ISREG(mode) else "no regular file"


def _is_yaml(path: Path) -> bool:
    is_case = path.parent.name == "profiles" and path.name.endswith(CASES)
    return path.suffix.lower() in {".yaml", ".yml"} and not path.name.startswith((".", "#")) and not is_case


def _is_json(path: Path, folder: Path) -> bool:
    return folder.name in FOREIGN and path.suffix.lower() == ".json" and not path.name.startswith((".", "#"))


def _misnamed_folders(folder: Path) -> Iterator[Problem]:
    """`chanels/` with YAML in it would be ignored without a word."""
    for path in sorted(folder.iterdir()):
        known = (*FOLDERS, *OTHER_FOLDERS)
        if path.is_dir() and path.name not in known and not path.name.startswith("."):
            near = did_you_mean(path.name, FOLDERS)
            if near.startswith("did you mean") and any(_is_yaml(below) for below in path.iterdir()):
                yield Problem(path.name, 0, 0, "", f"the folder `{path.name}` is not read", near)
