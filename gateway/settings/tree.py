"""The files of a configuration folder: which are read, which are refused, which are nobody's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.errors import ConfigError, Problem
from gateway.settings.ids import did_you_mean

ROOT = "gateway.yaml"
FOLDERS = ("channels", "profiles", "rules", "alarms")
OTHER_FOLDERS = ("credentials", "schema", "examples", "certs", "tls")
MAX_FILES = 2000


def scan(folder: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """The YAML files of a tree by relative path, and what could not be read."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    try:
        for path in _yaml_files(folder):
            name = path.relative_to(folder).as_posix()
            if len(files) >= MAX_FILES:
                problems.append(Problem(name, 0, 0, "", f"more than {MAX_FILES} files"))
                break
            try:
                files[name] = path.read_bytes()
            except OSError as error:
                problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}", "check owner and mode"))
        problems.extend(_misnamed_folders(folder))
    except OSError as error:
        name = str(error.filename or folder)
        problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}", "check the folder"))
    return files, problems


def read_tree(folder: Path) -> dict[str, bytes]:
    """The YAML files of a tree by relative path. Raises ConfigError when any cannot be read."""
    if not folder.is_dir():
        hint = "name the folder with --config, or make one with fieldpost init"
        raise ConfigError([Problem(str(folder), 0, 0, "", "there is no such configuration folder", hint)])
    files, problems = scan(folder)
    if problems:
        raise ConfigError(problems)
    return files


def _yaml_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and _is_yaml(path):
            yield path
        elif path.is_dir() and path.name in FOLDERS:
            yield from (below for below in sorted(path.rglob("*")) if below.is_file() and _is_yaml(below))


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in {".yaml", ".yml"} and not path.name.startswith((".", "#"))


def _misnamed_folders(folder: Path) -> Iterator[Problem]:
    """`chanels/` with YAML in it would be ignored without a word."""
    for path in sorted(folder.iterdir()):
        known = (*FOLDERS, *OTHER_FOLDERS)
        if path.is_dir() and path.name not in known and not path.name.startswith("."):
            near = did_you_mean(path.name, FOLDERS)
            if near.startswith("did you mean") and any(_is_yaml(below) for below in path.iterdir()):
                yield Problem(path.name, 0, 0, "", f"the folder `{path.name}` is not read", near)
