"""Numbered copies of the configuration in the state directory, and which of them is active.

A generation is a folder `NNNNNN/` with `files/` and a manifest; it is complete before it gets its name and never
changes afterwards. `state.json` says which one is active and whether that is still to be confirmed. Both are written
with fsync and rename, so a kill at any point leaves the state before or after a step.

A change that waits for its confirmation is reverted by every restart: a gateway that died during the window may have
died of the change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.atomic import replace_file, sync_folder, write_tree
from gateway.errors import GatewayError
from gateway.settings.mending import mend
from gateway.settings.provisioned import FILE as PROVISIONED
from gateway.settings.tree import scan

KEEP = 20
FORMAT = 1
_NAME = re.compile(r"\d{6,}\Z")


class GenerationError(GatewayError):
    """A generation is missing or its files are not what was written."""


class Generation(Struct, frozen=True):
    """One stored configuration. `hash` names its meaning, `digest` its bytes; `time` is UTC ms."""

    number: int
    hash: str
    time: int
    note: str
    source: str
    digest: str
    path: Path

    def files(self) -> dict[str, bytes]:
        """The YAML files by relative path. Raises GenerationError when they are not as they were written."""
        root = self.path / "files"
        try:
            files = {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in sorted(root.rglob("*"))
                if path.is_file()
            }
        except OSError as error:
            raise GenerationError(f"generation {self.number} cannot be read: {error}") from error
        if content_digest(files) != self.digest:
            raise GenerationError(f"generation {self.number} is damaged: its files are not what was written")
        return files


class Pending(Struct, frozen=True):
    """An active generation that goes back to `previous` unless it is confirmed until `deadline` (UTC ms)."""

    number: int
    previous: int
    deadline: int


class Generations:
    """The generations below a state directory. One process writes; others may read at any time."""

    def __init__(
        self, state_dir: Path, *, keep: int = KEEP, wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._root = state_dir / "generations"
        self.state_file = self._root / "state.json"
        self._keep = max(keep, 3)
        self._wall_ms = wall_ms
        self.damage: list[str] = []
        """What `recover` found damaged, in sentences for people."""

    def list(self) -> Sequence[Generation]:
        """All complete generations, oldest first."""
        if not self._root.is_dir():
            return []
        found = [self._read(path) for path in self._root.iterdir() if _NAME.match(path.name)]
        return sorted((one for one in found if one is not None), key=lambda one: one.number)

    def get(self, number: int) -> Generation:
        """Generation `number`. Raises GenerationError when it is not kept."""
        found = self._read(self.folder(number))
        if found is None:
            kept = ", ".join(str(one.number) for one in self.list()) or "none"
            raise GenerationError(f"there is no generation {number}; kept: {kept}")
        return found

    def active(self) -> Generation | None:
        """The generation that runs or should run; None before the first one was activated."""
        number = self._state().get("active")
        return None if number is None else self.get(number)

    def pending(self) -> Pending | None:
        """The confirmation that is waited for."""
        state = self._state()
        waiting = state.get("pending")
        if not isinstance(waiting, dict) or state.get("active") is None:
            return None
        return Pending(state["active"], waiting["previous"], waiting["deadline"])

    def create(self, files: Mapping[str, bytes], note: str = "", *, hash: str = "", source: str = "") -> Generation:  # noqa: A002  # the word of the contract
        """Store `files` as a new generation, not yet active. `hash` is GatewaySettings.hash of these files."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        number = max(self._numbers(), default=0) + 1
        digest = content_digest(files)
        manifest = {
            "format": FORMAT,
            "number": number,
            "hash": hash or digest[:16],
            "time": self._wall_ms(),
            "note": note,
            "source": source,
            "digest": digest,
        }
        tree = {f"files/{name}": data for name, data in files.items()}
        tree["manifest.json"] = _json(manifest)
        temporary = self._root / f".new-{number:06}"
        shutil.rmtree(temporary, ignore_errors=True)
        write_tree(temporary, tree)
        temporary.rename(self.folder(number))
        sync_folder(self._root)
        return self.get(number)

    def activate(self, generation: Generation, confirm_within_s: float | None = None) -> None:
        """Make it the active one; with a window it is pending until `confirm` and may be rolled back to what is
        confirmed now.
        """
        state = self._state()
        waiting = state.get("pending")
        confirmed = waiting["previous"] if isinstance(waiting, dict) else state.get("active")
        new: dict[str, Any] = {"format": FORMAT, "active": generation.number, "previous": confirmed}
        if confirmed == generation.number:
            new["previous"] = state.get("previous")
        elif confirm_within_s is not None and confirmed is not None:
            deadline = self._wall_ms() + round(confirm_within_s * 1000)
            new["pending"] = {"previous": confirmed, "deadline": deadline}
        self.write_state(new)
        self._prune()

    def confirm(self) -> Generation | None:
        """Keep the active generation; nothing to do when none is pending."""
        state = self._state()
        if state.pop("pending", None) is not None:
            self.write_state(state)
        return self.active()

    def rollback(self, to: int | None = None) -> Generation:
        """Make generation `to` active, else the one that the pending one replaced, else the one before the active.

        Raises GenerationError when there is none to go back to; then nothing changed.
        """
        state = self._state()
        waiting = state.get("pending")
        if to is None:
            to = waiting["previous"] if isinstance(waiting, dict) else state.get("previous")
        if to is None:
            raise GenerationError("there is no earlier generation to go back to")
        target = self.get(to)
        target.files()  # never go back to damaged files
        older = [one.number for one in self.list() if one.number < target.number]
        self.write_state({"format": FORMAT, "active": target.number, "previous": max(older, default=None)})
        return target

    def recover(self) -> tuple[int, int] | None:
        """To be called once at start: move damaged things aside (see `damage`), then undo an unconfirmed change. Gives
        (the reverted number, the active number).
        """
        self._sweep()
        self.damage = mend(self)
        waiting = self.pending()
        if waiting is None:
            return None
        target = self.rollback(waiting.previous)
        return waiting.number, target.number

    def drift(self, folder: Path) -> Sequence[str]:
        """Names of files that differ between `folder` and the active generation; empty when they agree. What discovery
        brought in is not of the folder.
        """
        active = self.active()
        stored = active.files() if active else {}
        stored.pop(PROVISIONED, None)
        present, _ = scan(folder)
        return sorted(name for name in {*stored, *present} if stored.get(name) != present.get(name))

    def folder(self, number: int) -> Path:
        return self._root / f"{number:06}"

    def _numbers(self) -> Sequence[int]:
        return [int(path.name) for path in self._root.iterdir() if _NAME.match(path.name)]

    def _read(self, folder: Path) -> Generation | None:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            if manifest["format"] != FORMAT or manifest["number"] != int(folder.name):
                return None
            return Generation(
                number=int(manifest["number"]),
                hash=str(manifest["hash"]),
                time=int(manifest["time"]),
                note=str(manifest["note"]),
                source=str(manifest["source"]),
                digest=str(manifest["digest"]),
                path=folder,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def read_state(self) -> dict[str, Any]:
        """What is active. Raises ValueError for a file that is damaged, GenerationError for one that cannot be read or
        was written by another release.
        """
        try:
            raw = self.state_file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise GenerationError(f"{self.state_file} cannot be read: {error.strerror}") from error
        state = json.loads(raw)
        if not isinstance(state, dict) or not isinstance(state.get("format"), int):
            raise ValueError("not a state")  # noqa: TRY004 - damaged bytes, not a caller's mistake
        if state["format"] != FORMAT:
            raise GenerationError(f"{self.state_file} was written by another release")
        return state

    def _state(self) -> dict[str, Any]:
        try:
            return self.read_state()
        except ValueError as error:
            raise GenerationError(f"{self.state_file} is damaged; a restart of the gateway mends it") from error

    def write_state(self, state: dict[str, Any]) -> None:
        replace_file(self.state_file, _json(state))

    def _sweep(self) -> None:
        """Remove what a kill left unfinished."""
        if self._root.is_dir():
            for path in self._root.iterdir():
                if path.name.startswith((".new-", ".old-")):
                    shutil.rmtree(path, ignore_errors=True)

    def _prune(self) -> None:
        """Keep the newest ones and whatever the state names; a folder loses its name before its files."""
        state = self._state()
        waiting = state.get("pending")
        needed = {state.get("active"), state.get("previous"), waiting["previous"] if waiting else None}
        numbers = sorted(self._numbers())
        for number in numbers[: -self._keep]:
            if number not in needed:
                gone = self._root / f".old-{number:06}"
                with contextlib.suppress(OSError):
                    self.folder(number).rename(gone)
                    shutil.rmtree(gone, ignore_errors=True)


def content_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and bytes."""
    whole = hashlib.sha256()
    for name in sorted(files):
        encoded = name.encode()
        whole.update(len(encoded).to_bytes(8, "big") + encoded)
        whole.update(len(files[name]).to_bytes(8, "big") + files[name])
    return whole.hexdigest()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
