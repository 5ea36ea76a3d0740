"""Changes of a configuration folder: shown as a diff, checked as a whole, written together or not at all."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.session import CommandFailed, Session
from gateway.cli.splicing import Merge, splice
from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.atomic import fsync_folder, write_file
from gateway.settings.credentials import credentials_of
from gateway.settings.loader import load_files, read_tree
from gateway.settings.types import GatewaySettings


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
        """Write what changed: all of it stands on disk before the first file is replaced. Returns the names.

        A file keeps its mode and its owner; a link stays one. Raises CommandFailed when a file is not any more what the
        diff was made from.
        """
        changed = [file for file, text in self.after.items() if self.before.get(file) != text]
        for file in changed:
            path = self.folder / file
            if (path.read_bytes() if path.exists() else None) != self.before.get(file):
                raise CommandFailed(f"{file} was changed by somebody else in between; nothing is written")
        staged: list[tuple[Path, Path]] = []
        try:
            for file in changed:
                path = (self.folder / file).resolve()
                path.parent.mkdir(parents=True, exist_ok=True)
                staged.append((path.with_name(f".{path.name}.new"), path))
                _stage(*staged[-1], self.after[file])
            for fresh, path in staged:
                fresh.replace(path)
        finally:
            for fresh, _ in staged:
                fresh.unlink(missing_ok=True)
        for folder in {path.parent for _, path in staged}:
            fsync_folder(folder)
        return changed


def _stage(fresh: Path, path: Path, text: bytes) -> None:
    """The new content on disk beside the file, with the file's mode and owner."""
    fresh.unlink(missing_ok=True)
    write_file(fresh, text, 0o600 if path.exists() else 0o666)  # 0o666: what the umask leaves
    if path.exists():
        old = path.stat()
        with contextlib.suppress(PermissionError):  # only root gives files away
            os.chown(fresh, old.st_uid, old.st_gid)
        fresh.chmod(old.st_mode & 0o7777)


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
