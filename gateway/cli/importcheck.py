"""An import beside the configuration that it goes into: what is there, what would change, whether it all is right."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec.structs import replace

from gateway.cli.writing import write_tree
from gateway.errors import ConfigError, Problem
from gateway.importing.draft import Draft
from gateway.importing.report import Place
from gateway.importing.writing import HEAD, files_of
from gateway.registry import Registry
from gateway.settings.credentials import CredentialError, CredentialSource, credentials_of
from gateway.settings.foreign import names_in
from gateway.settings.loader import load_files, read_tree
from gateway.settings.positions import Document, Key, Problems
from gateway.settings.tree import ROOT
from gateway.settings.yaml_reader import read_documents
from rules.expression import RuleExpressions

_ALONE = b"gateway: {id: import}\n"
"""What stands around an import that has no configuration yet, while it is checked."""
_NAMED = ("profiles", "channels", "devices", "tags", "commands", "watch", "groups")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Target:
    """A configuration folder, or an empty one to be, or none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        there = folder is not None and folder.is_dir()
        self.files: dict[str, bytes] = read_tree(folder) if there and folder is not None else {}
        self.is_configuration = ROOT in self.files

    def channels(self) -> frozenset[str]:
        """Ids that people gave: those of an earlier import are used again."""
        return self._names("channels")

    def profiles(self) -> frozenset[str]:
        return self._names("profiles")

    def _names(self, folder: str) -> frozenset[str]:
        documents: dict[str, list[Document]] = {
            file: read_documents(file, raw, Problems())
            for file, raw in self.files.items()
            if PurePosixPath(file).parts[0] == folder and not raw.startswith(HEAD.encode())
        }
        return frozenset(names_in(documents, folder))

    def edited(self, wanted: Mapping[str, bytes]) -> list[str]:
        """Files that are there and hold something else."""
        return [file for file, text in wanted.items() if self.files.get(file, text) != text]

    def diff(self, wanted: Mapping[str, bytes]) -> list[str]:
        """The change as a unified diff, a line each."""
        lines: list[str] = []
        for file, text in sorted(wanted.items()):
            old, new = self.files.get(file, b"").decode("utf-8", "replace"), text.decode()
            if old != new:
                before = f"a/{file}" if file in self.files else "/dev/null"
                lines += difflib.unified_diff(old.splitlines(), new.splitlines(), before, f"b/{file}", lineterm="")
        return lines

    def write(self, wanted: Mapping[str, bytes]) -> list[str]:
        """Write what changes, all of it or nothing. Returns the names. Raises OSError, CommandFailed."""
        assert self.folder is not None
        return write_tree(self.folder, self.files, wanted)

    def faults(self, wanted: Mapping[str, bytes]) -> list[Problem]:
        """What the loader says of the configuration with these files."""
        around = self.files if self.is_configuration else {ROOT: _ALONE}
        base = self.folder if self.folder is not None else Path()
        try:
            load_files(
                {**around, **wanted},
                Registry().load,
                env=os.environ,
                credentials=_Promised(credentials_of(base, os.environ)),
                base=base,
                expressions=RuleExpressions(),
            )
        except ConfigError as error:
            return error.problems
        return []


class _Promised:
    """Credentials that may still be missing: the import says which to put in place."""

    def __init__(self, source: CredentialSource) -> None:
        self._source = source

    def path(self, name: str) -> Path:
        try:
            return self._source.path(name)
        except CredentialError:
            return Path(name)

    def read(self, name: str) -> str:
        try:
            return self._source.read(name)
        except CredentialError:
            return f"credential {name}"


def faults_of(draft: Draft, target: Target) -> list[Problem]:
    """What the loader would refuse of a draft, at its places in the foreign files; not what was wrong before."""
    return [_at_origin(problem, draft) for problem in _faults(draft, target)]


def keep_what_is_right(draft: Draft, target: Target) -> None:
    """Take the parts out of a draft that the loader would refuse: a tag, else its device, else the whole file. What
    goes with them, since it names them, is told.
    """
    told = True
    while faults := _faults(draft, target):
        if not told:
            for problem in faults:
                place = _at_origin(problem, draft)
                text = f"left out with what is wrong: {problem.message}"
                draft.report.follows(Place(place.file, place.line, place.column, problem.path), text)
        told = False
        # all are found before any goes: of two faults of a tag the second would take its device
        parts = [part for problem in faults if (part := _smallest(draft, _keys(problem))) is not None]
        if not parts:
            draft.channels.clear()
            draft.profiles.clear()
            return
        for holder, name in parts:
            if isinstance(holder, dict):
                holder.pop(name, None)
            elif name in holder:
                holder.remove(name)


def _faults(draft: Draft, target: Target) -> list[Problem]:
    wanted = {file: text.encode() for file, text in files_of(draft).items()}
    before = set(target.faults({})) if target.is_configuration else set()
    return [problem for problem in target.faults(wanted) if problem not in before] if wanted else []


def _keys(problem: Problem) -> tuple[Key, ...]:
    """The draft's path of a problem in a written file."""
    path = PurePosixPath(problem.file)
    root = (path.parts[0],) if path.parts[0] == "profiles" else (path.parts[0], path.stem)
    return (*root, *(int(index) if index else name for name, index in _STEP.findall(problem.path)))


def _at_origin(problem: Problem, draft: Draft) -> Problem:
    keys = _keys(problem)
    if len(keys) < 2 or keys[1] not in (draft.profiles if keys[0] == "profiles" else draft.channels):
        return problem
    place = draft.place_of(keys)
    return replace(problem, file=place.file, line=place.line, column=place.column)


def _smallest(draft: Draft, keys: tuple[Key, ...]) -> tuple[dict[str, Any] | list[Any], Any] | None:
    """The smallest named part that holds `keys`: what it is in, and its name there. None when there is none."""
    data: Any = {"profiles": draft.profiles, "channels": draft.channels}
    smallest: tuple[dict[str, Any] | list[Any], Any] | None = None
    for above, key in zip(("", *keys), keys, strict=False):
        if isinstance(data, list) and isinstance(key, int) and key < len(data):
            name = data[key]
        elif isinstance(data, dict) and key in data:
            name = key
        else:
            break
        if above in _NAMED:
            smallest = data, name
        data = data[key]
    return smallest
