"""Changes of a configuration folder: shown as a diff, checked as a whole, written together or not at all.

Existing files are edited by ruamel.yaml, which keeps comments, order and quotes; it is imported here only, never by
the running gateway.
"""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.cli.session import Session
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files, read_tree
from gateway.settings.types import GatewaySettings

Edit = Callable[[Any], None]


class Changes:
    """What a command would do to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: dict[str, bytes] = {name: bytes(text) for name, text in read_tree(folder).items()}
        self.after: dict[str, bytes] = dict(self.before)

    def add(self, file: str, text: str) -> None:
        """A new file; a name that is taken gets another one."""
        stem, dot, suffix = file.rpartition(".")
        number = 2
        while file in self.after:
            file = f"{stem}-{number}{dot}{suffix}"
            number += 1
        self.after[file] = text.encode()

    def edit(self, file: str, change: Edit, document: int = 0) -> None:
        """Change a document of a file; everything that is not touched stays as it is written."""
        from ruamel.yaml import YAML

        yaml = YAML()
        yaml.preserve_quotes = True
        yaml.width = 4096
        yaml.indent(mapping=2, sequence=4, offset=2)
        documents = list(yaml.load_all(self.after[file].decode()))
        change(documents[document])
        out = io.StringIO()
        yaml.dump_all(documents, out)
        self.after[file] = out.getvalue().encode()

    def settings(self) -> GatewaySettings:
        """The result, loaded. Raises ConfigError with every fault."""
        return load_files(
            self.after,
            Registry().load,
            env=os.environ,
            credentials=credentials_of(self.folder, os.environ),
            base=self.folder,
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
        """Write what changed, each file in one step. Returns the names."""
        written = []
        for file, text in self.after.items():
            if self.before.get(file) == text:
                continue
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_bytes(text)
            fresh.replace(path)
            written.append(file)
        return written


def finish(session: Session, changes: Changes, extra: Mapping[str, Any] | None = None) -> None:
    """Show the diff; with --write also write it, if the result is a good configuration. Raises ConfigError."""
    lines = changes.diff()
    if lines:
        changes.settings()
    written = changes.write() if session.option("write") and lines else []
    if session.out.as_json:
        session.out.result({"ok": True, "diff": lines, "written": written, **(extra or {})})
        return
    for line in lines:
        style = {"+": "good", "-": "bad", "@": "dim"}.get(line[:1], "")
        session.out.line(session.out.styled(line, style))
    if not lines:
        session.out.line("nothing to change")
    elif written:
        session.out.line(f"written; next: fieldpost apply --config {changes.folder}")
    else:
        session.out.line("nothing is written yet: add --write")


__all__ = ["Changes", "ConfigError", "finish"]
