"""A configuration folder as something to deploy: read, checked as its gateway would, one document per gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError, Problem
from gateway.fleet.targets import PLACE, Target
from gateway.settings.afar import tree_of
from gateway.settings.tree import ROOT, read_tree


class _Elsewhere:
    """The credentials of another machine: whatever is named is taken to be there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def path(self, name: str) -> Path:  # noqa: ARG002 - the name is the other machine's business
        return self._file

    def read(self, name: str) -> str:  # noqa: ARG002
        return "kept-on-the-gateway"


class _Foreign(CommandFailed):
    """The folder is another gateway's."""


def is_folder(text: str) -> bool:
    """Whether a target is meant as a folder; `{gateway}` in it stands for each gateway's own."""
    return Path(text).is_dir() or (PLACE in text and not text.startswith("configs/"))


def config_target(session: Session, text: str, rev: int | None) -> Target:
    """The target of a folder. What is wrong with it is told when a gateway's document is asked for: raises ConfigError,
    CommandFailed.
    """
    number = rev if rev is not None else int(time.time())
    read: dict[tuple[Path, str], dict[str, Any]] = {}

    def doc_of(gateway: str) -> dict[str, Any]:
        folder = Path(text.replace(PLACE, gateway))
        key = folder, "" if session.option("unchecked") else gateway  # each gateway's name is checked against it
        if key not in read:
            try:
                read[key] = checked_tree(session, folder, gateway)
            except _Foreign as error:
                raise CommandFailed(f"{error}: keep one folder for each and write FOLDER/{PLACE}", Exit.USAGE) from None
        return {"rev": number, "tree": read[key]}

    return Target("config", f"{text} rev {number}", doc_of)


def checked_tree(session: Session, folder: Path, gateway: str) -> dict[str, str]:
    """The files of a gateway's folder as text, checked as that gateway would unless `--unchecked` says otherwise.
    Raises ConfigError, CommandFailed.
    """
    tree = _tree(folder)
    if not session.option("unchecked"):
        _check(folder, gateway)
    return tree


def _tree(folder: Path) -> dict[str, str]:
    """Its files as text. Raises ConfigError."""
    files = read_tree(folder)
    if ROOT not in files:
        raise ConfigError([Problem(str(folder / ROOT), 0, 0, "", "there is no such file", "a tree is sent as a whole")])
    tree: dict[str, str] = {}
    for name, content in files.items():
        try:
            tree[name] = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(name, 0, 0, "", f"not UTF-8: {error.reason}", "")]) from error
    tree_of(tree)
    return tree


def _check(folder: Path, gateway: str) -> None:
    """As its gateway would, but for its secrets. Raises ConfigError, CommandFailed."""
    from gateway.settings.loader import load_tree
    from rules.expression import RuleExpressions

    env: Mapping[str, str] = os.environ
    settings = load_tree(folder, env=env, credentials=_Elsewhere(folder / ROOT), expressions=RuleExpressions())
    if settings.id != gateway:
        raise _Foreign(f"{folder} is the configuration of {settings.id}, not of {gateway}", Exit.USAGE)
