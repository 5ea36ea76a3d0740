"""Writes the project of a new driver: everything that its author needs, in a state where all tests pass."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from gateway.errors import GatewayError
from gateway.registry import installed, origin

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 40

_BOTH = {
    "pyproject.toml": "pyproject.toml",
    "gitignore": ".gitignore",
    "test_conformance.py": "tests/test_conformance.py",
}
_EACH = {
    "README.md": "README.md",
    "__init__.py": "src/{package}/__init__.py",
    "settings.py": "src/{package}/settings.py",
    "check.py": "src/{package}/check.py",
    "driver.py": "src/{package}/driver.py",
    "peer.py": "src/{package}/peer.py",
    "sample.yaml": "src/{package}/sample.yaml",
    "quality.yaml": "src/{package}/quality.yaml",
    "world.py": "tests/world.py",
    "test_driver.py": "tests/test_driver.py",
}
_ONLY = {
    "polling": {"wire.py": "src/{package}/wire.py"},
    "pushing": {"session.py": "src/{package}/session.py"},
}
_EMPTY = ("src/{package}/py.typed", "tests/__init__.py")


class NoProject(GatewayError):
    """The project cannot be written; nothing was."""


def write_project(name: str, folder: Path, *, push: bool) -> list[Path]:
    """Write the project `fieldpost-NAME` into a new folder below `folder`. Returns the files. Raises NoProject and
    OSError; then nothing of it is left.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or keyword.iskeyword(name):
        raise NoProject(
            f"{name!r} is no name of a driver: small letters and digits, with - or _ between, for example acme"
        )
    word = name.replace("-", "_")
    taken = next((point for point in installed() if point.name.replace("-", "_") == word), None)
    if taken is not None:
        owner = origin(taken) or "another distribution"
        raise NoProject(f"there is a driver {taken.name!r} already, of {owner}: two of a name are used by nobody")
    root = folder / f"fieldpost-{name}"
    if root.exists():
        raise NoProject(f"{root} exists already: nothing was written")
    kind = "pushing" if push else "polling"
    package = f"fieldpost_{word}"
    texts = {to: _text("both", file) for file, to in _BOTH.items()}
    texts |= {to: _text(kind, file) for file, to in {**_EACH, **_ONLY[kind]}.items()}
    texts |= dict.fromkeys(_EMPTY, "")
    class_name = "".join(part.capitalize() for part in word.split("_"))
    marks = {"@NAME@": name, "@PACKAGE@": package, "@WORD@": word, "@CLASS@": class_name}
    try:
        return _written(root, texts, marks)
    except OSError:
        shutil.rmtree(root, ignore_errors=True)  # half a project would be in the way of the next try
        raise


def _written(root: Path, texts: Mapping[str, str], marks: Mapping[str, str]) -> list[Path]:
    written = []
    for to, text in texts.items():
        path = root / to.format(package=marks["@PACKAGE@"])
        path.parent.mkdir(parents=True, exist_ok=True)
        for mark, put in marks.items():
            text = text.replace(mark, put)  # noqa: PLW2901 - one after the other
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _text(kind: str, file: str) -> str:
    place = resources.files("gateway.sdk") / "template" / kind / f"{file}.in"
    return place.read_text(encoding="utf-8")
