"""Changes of a configuration folder: shown as a diff, checked as a whole, written together or not at all."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.session import Session
from gateway.cli.splicing import Merge, splice
from gateway.cli.writing import write_tree
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files, read_tree
from gateway.settings.types import GatewaySettings
from rules.expression import RuleExpressions


class Changes:
    """What a command would do to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: dict[str, bytes] = {name: bytes(text) for name, text in read_tree(folder).items()}
        self.after: dict[str, bytes] = dict(self.before)
        self.notes: list[str] = []  # what a person should know before writing

    def add(self, file: str, text: str) -> None:
        """A new file; a name that is taken gets another one."""
        stem, dot, suffix = file.rpartition(".")
        number = 2
        while file in self.after:
            file = f"{stem}-{number}{dot}{suffix}"
            number += 1
        self.after[file] = text.encode()

    def edit(self, file: str, wanted: Merge, document: int = 0) -> None:
        """Change a document of a file; everything that is not touched stays as it is written."""
        self.after[file] = splice(file, self.after[file], document, wanted)

    def settings(self) -> GatewaySettings:
        """The result, loaded. Raises ConfigError with every fault."""
        return load_files(
            self.after,
            Registry().load,
            env=os.environ,
            credentials=credentials_of(self.folder, os.environ),
            base=self.folder,
            expressions=RuleExpressions(),
        )

    def diff(self) -> list[str]:
        """The change as a unified diff, a line each."""
        lines: list[str] = []
        for file in sorted(self.after):
            old, new = self.before.get(file, b"").decode(), self.after[file].decode()
            if old != new:
                name = f"a/{file}" if file in self.before else "/dev/null"
                lines += difflib.unified_diff(old.splitlines(), new.splitlines(), name, f"b/{file}", lineterm="")
        return lines

    def write(self) -> list[str]:
        """Write what changed, all of it or nothing. Returns the names. Raises OSError, and CommandFailed when a file is
        not any more what the diff was made from.
        """
        return write_tree(self.folder, self.before, self.after)


def finish(session: Session, changes: Changes, extra: Mapping[str, Any] | None = None) -> None:
    """Show the diff; with --write also write it, if the result is a good configuration. Raises ConfigError."""
    lines = changes.diff()
    if lines:
        changes.settings()
    written = changes.write() if session.option("write") and lines else []
    if session.out.as_json:
        session.out.result({"ok": True, "diff": lines, "written": written, "notes": changes.notes, **(extra or {})})
        return
    for line in lines:
        style = {"+": "good", "-": "bad", "@": "dim"}.get(line[:1], "")
        session.out.line(session.out.styled(line, style))
    for note in changes.notes:
        session.out.line(note)
    if not lines:
        session.out.line("nothing to change")
    elif written:
        session.out.line(f"written; next: fieldpost apply --config {changes.folder}")
    else:
        session.out.line("nothing is written yet: add --write")


__all__ = ["Changes", "ConfigError", "finish"]
