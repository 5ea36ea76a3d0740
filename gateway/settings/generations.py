"""Numbered copies of the configuration in the state directory, and which of them is active.

A generation is a folder `NNNNNN/` with `files/` and a manifest; it is complete before it gets its name and never
changes afterwards. `state.json` says which one is active and whether that is still to be confirmed. Both are written
with fsync and rename, so a kill at any point leaves the state before or after a step.

A change that waits for a person is reverted by every restart: a gateway that died during the window may have died of
the change. One that waits for its gates alone has TRIES starts: a power cut is not its fault, and a gateway that dies
of it ends on what ran before. The start is counted before anything of the change is used.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.atomic import replace_file, sync_folder, write_tree
from gateway.errors import GatewayError
from gateway.settings.mending import carried, mend
from gateway.settings.provisioned import FILE as PROVISIONED
from gateway.settings.tree import scan

KEEP = 20
FORMAT = 1
TRIES = 2
"""How often a change is tried: when it is switched in, and once more after a restart."""
MOST_BAD = 16
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


class Trial(Struct, frozen=True):
    """What a change waits for, so that a restart can go on waiting: `gates` and `excused` as the applier names them,
    within `window_s`, for `hold_s`. Of a change that a job brought also `job`, and `rev` and `digest` of its tree.
    """

    gates: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    window_s: float = 0.0
    hold_s: float = 0.0
    job: str = ""
    rev: int = 0
    digest: str = ""


class Outcome(Struct, frozen=True):
    """How a change that a job brought ended: `confirmed`, `reverted` or `interrupted` (the gateway ended too often
    while it was tried). `generation`, `hash`: of what runs since.
    """

    job: str
    outcome: str
    rev: int
    generation: int
    hash: str
    reason: str = ""


class Pending(Struct, frozen=True):
    """An active generation that goes back to `previous` unless it is confirmed until `deadline` (UTC ms). `tries`: so
    many more starts may try it; `trial` is None where a person has to confirm.
    """

    number: int
    previous: int
    deadline: int
    tries: int = 0
    trial: Trial | None = None


class Generations:
    """The generations below a state directory. One process writes; others may read at any time."""

    def __init__(
        self, state_dir: Path, *, keep: int = KEEP, wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._root = state_dir / "generations"
        self.state_file = self._root / "state.json"
        self._keep = max(keep, 3)
        self._wall_ms = wall_ms
        self._unwritten: dict[str, Any] | None = None
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
        return Pending(
            state["active"], waiting["previous"], waiting["deadline"], waiting.get("tries", 0), _trial_of(waiting)
        )

    def remote(self) -> tuple[int, str]:
        """`rev` and digest of the tree that was last applied from afar; (0, "") before the first one."""
        known = self._state().get("remote")
        return (int(known["rev"]), str(known["digest"])) if isinstance(known, dict) else (0, "")

    def failed_before(self, digest: str) -> str | None:
        """Why a tree of this content was taken back here before; None for one that was not."""
        return next((str(one["reason"]) for one in self._state().get("bad", ()) if one["digest"] == digest), None)

    def outcome(self, job: str) -> Outcome | None:
        """How the change of this job ended; only the last job's is known."""
        last = self._state().get("last")
        return msgspec.convert(last, Outcome) if isinstance(last, dict) and last.get("job") == job else None

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

    def activate(
        self, generation: Generation, confirm_within_s: float | None = None, trial: Trial | None = None
    ) -> None:
        """Make it the active one; with a window it is pending until `confirm` and may be rolled back to what is
        confirmed now. `trial`: it waits for no person.
        """
        state = self._state()
        waiting = state.get("pending")
        confirmed = waiting["previous"] if isinstance(waiting, dict) else state.get("active")
        new: dict[str, Any] = {**carried(state), "format": FORMAT, "active": generation.number, "previous": confirmed}
        if confirmed == generation.number:
            new["previous"] = state.get("previous")
        elif confirm_within_s is not None and confirmed is not None:
            deadline = self._wall_ms() + round(confirm_within_s * 1000)
            new["pending"] = {"previous": confirmed, "deadline": deadline}
            if trial is not None:
                new["pending"] |= {"tries": TRIES - 1, "trial": msgspec.to_builtins(trial)}
        if trial is not None and trial.job and "pending" not in new:
            new |= _kept(trial, generation)
        self.write_state(new)
        self._prune()

    def confirm(self) -> Generation | None:
        """Keep the active generation; nothing to do when none is pending."""
        state = self._state()
        waiting = state.pop("pending", None)
        active = self.active()
        if waiting is not None:
            trial = _trial_of(waiting)
            if trial is not None and trial.job and active is not None:
                state |= _kept(trial, active)
            self.write_state(state)
        return active

    def rollback(self, to: int | None = None, *, reason: str = "", bad: bool = False) -> Generation:
        """Make generation `to` active, else the one that the pending one replaced, else the one before the active.
        `reason` is told to whose job is pending; `bad`: its content is not tried again.

        Raises GenerationError when there is none to go back to; then nothing changed. A state that finds no room on
        the disk holds for this process: the next start finds the change still pending, and counts.
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
        new = {**carried(state), "format": FORMAT, "active": target.number, "previous": max(older, default=None)}
        if isinstance(waiting, dict):
            self._note_end(new, _trial_of(waiting), target, reason, bad=bad)
        self._write_or_hold(new)
        return target

    def _note_end(
        self, state: dict[str, Any], trial: Trial | None, target: Generation, reason: str, *, bad: bool
    ) -> None:
        if trial is None or not trial.job:
            return
        how = "reverted" if reason else "interrupted"
        state["last"] = msgspec.to_builtins(Outcome(trial.job, how, trial.rev, target.number, target.hash, reason))
        if bad:
            others = [one for one in state.get("bad", ()) if one["digest"] != trial.digest]
            state["bad"] = [*others, {"digest": trial.digest, "reason": reason}][-MOST_BAD:]

    def recover(self) -> tuple[int, int] | None:
        """To be called once at start: move damaged things aside (see `damage`), then undo an unconfirmed change, or
        count one more try of it. Gives (the reverted number, the active number).
        """
        self._sweep()
        self.damage = mend(self)
        waiting = self.pending()
        if waiting is None:
            return None
        if waiting.trial is not None and waiting.tries > 0 and self._count_try():
            return None
        target = self.rollback(waiting.previous)
        return waiting.number, target.number

    def _count_try(self) -> bool:
        """A try that cannot be counted is not made."""
        state = self._state()
        state["pending"]["tries"] -= 1
        with contextlib.suppress(OSError):
            self.write_state(state)
            return True
        return False

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
        if self._unwritten is not None:
            return copy.deepcopy(self._unwritten)
        try:
            return self.read_state()
        except ValueError as error:
            raise GenerationError(f"{self.state_file} is damaged; a restart of the gateway mends it") from error

    def write_state(self, state: dict[str, Any]) -> None:
        """Raises OSError; then the state is as it was."""
        replace_file(self.state_file, _json(state))
        self._unwritten = None

    def _write_or_hold(self, state: dict[str, Any]) -> None:
        try:
            self.write_state(state)
        except OSError:
            self._unwritten = state

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


def _kept(trial: Trial, generation: Generation) -> dict[str, Any]:
    """What a state says since the tree of a job is the one that runs."""
    ended = Outcome(trial.job, "confirmed", trial.rev, generation.number, generation.hash)
    known = {"rev": trial.rev, "digest": trial.digest, "generation": generation.number}
    return {"remote": known, "last": msgspec.to_builtins(ended)}


def _trial_of(waiting: Mapping[str, Any]) -> Trial | None:
    """None as well for what another release wrote in another form: it is reverted by a restart."""
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(waiting.get("trial"), Trial | None)
    return None


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
