"""The state of the slots: one framed file, the copy before it, and what to believe when both are damaged.

`state.json` is `{"sha256": hash of the canonical body, "body": {...}}`. Order of trust: state.json, state.json.bak, the
newest slot that was complete and confirmed. Only root writes it; everybody may read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from slots.disk import free_reserve, keep_reserve, kill_point, read_small, replace_file, sync_folder, write_file
from slots.places import Places

FORMAT = 1
MOST_BAD = 16
MOST_JOBS = 64
MOST_REFUSED = 8
_SAME_WORDS_S = 60
FLOORS = ("root", "timestamp", "snapshot", "targets", "time", "rollback_index")


@dataclass
class Trial:
    """A slot that is tried. The deadline is in seconds of CLOCK_BOOTTIME of the boot `boot_id`. `waived`: what of its
    metadata an administrator let pass.
    """

    slot: str
    job: str
    tries: int
    tries_left: int
    confirm_s: int
    deadline_s: int
    boot_id: str
    soak_s: int = 0
    given_back: int = 0
    rollback_index: int = 0
    waived: str = ""

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self.tries_left < self.tries or self.given_back > 0


@dataclass
class Probation:
    """A confirmed slot that is still watched, since `since_s` of the boot `boot_id`; ends of it are counted."""

    since_s: int
    boot_id: str
    unclean: int = 0
    clean: int = 0
    rollback_index: int = 0


@dataclass
class State:
    """What runs (`good`), what ran before (`prev`), what is tried, and how the last jobs ended."""

    good: str = ""
    prev: str = ""
    trial: Trial | None = None
    probation: Probation | None = None
    bad: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    last_jobs: list[dict[str, Any]] = field(default_factory=list)
    floors: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    seq: int = 0

    @property
    def phase(self) -> str:
        """IDLE, TRIAL or PROBATION."""
        if self.trial is not None:
            return "TRIAL"
        return "PROBATION" if self.probation is not None else "IDLE"

    def job(self, job: str) -> dict[str, Any] | None:
        """How a job ended, if it did and is still known."""
        return next((one for one in reversed(self.last_jobs) if job and one.get("job") == job), None)

    def finish(self, result: dict[str, Any]) -> None:
        """Keep how a job ended; an earlier result of the same job is replaced."""
        self.result = result
        self.last_jobs = [one for one in self.last_jobs if one.get("job") != result.get("job")][-MOST_JOBS + 1 :]
        self.last_jobs.append(result)

    def blame(self, slot: str) -> None:
        """Never try this slot again by itself."""
        self.bad = [*[one for one in self.bad if one != slot][-MOST_BAD + 1 :], slot]

    def refuse(self, text: str, at: int) -> None:
        """A confirmation that did not count, for the gateway to tell of: `n` goes on counting, the last few are kept.
        The same words again within a minute are not another one: whoever repeats himself wears out no disk.
        """
        last = self.refused[-1] if self.refused else {}
        if last.get("text") == text and abs(at - last.get("at", 0)) < _SAME_WORDS_S:
            return
        row = {"n": last.get("n", 0) + 1, "at": at, "text": text}
        self.refused = [*self.refused[-MOST_REFUSED + 1 :], row]

    def raise_floors(self, floors: dict[str, int]) -> bool:
        """Floors rise only. Returns whether one did."""
        before = dict(self.floors)
        for name in FLOORS:
            self.floors[name] = max(self.floors.get(name, 0), floors.get(name, 0))
        return self.floors != before


@dataclass(frozen=True)
class Loaded:
    """A state and where it came from: `state`, `backup`, `slots` (found by looking) or `nothing`."""

    state: State
    source: str
    remark: str = ""


def load(places: Places) -> Loaded:
    """The state by the order of trust; never fails."""
    remarks = []
    for path, source in ((places.state, "state"), (_backup(places.state), "backup")):
        try:
            state = read(path)
        except FileNotFoundError:
            remarks.append(f"{path.name} is missing")
        except (OSError, ValueError) as error:
            remarks.append(f"{path.name}: {error}")
        else:
            state.raise_floors(_floors_copy(places))
            return Loaded(state, source, "; ".join(remarks))
    found = confirmed_slots(places)
    state = State(good=found[-1] if found else "", prev=found[-2] if len(found) > 1 else "")
    state.raise_floors(_floors_copy(places))
    return Loaded(state, "slots" if found else "nothing", "; ".join(remarks))


def read(path: Path) -> State:
    """One state file. Raises OSError, and ValueError for one that is not as it was written."""
    frame = json.loads(read_small(path))
    if not isinstance(frame, dict) or not isinstance(frame.get("body"), dict):
        raise ValueError("not a state")  # noqa: TRY004 - damaged bytes, not a caller's mistake
    body = frame["body"]
    if hashlib.sha256(_canonical(body)).hexdigest() != frame.get("sha256"):
        raise ValueError("damaged: its hash is not that of its content")
    if body.get("format") != FORMAT:
        raise ValueError(f"of format {body.get('format')}, this program knows {FORMAT}")
    try:
        return _state(body)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a state: {error}") from None


def write(places: Places, state: State, who: str) -> State:
    """Write a state; it counts once this returns. `who` names the kill points. Raises OSError: then the old one holds.

    On a full disk the reserve beside it is given back once.
    """
    new = replace(state, seq=state.seq + 1)
    try:
        _write(places, new, who)
    except OSError as error:
        if not free_reserve(places.reserve, error):
            raise
        _write(places, new, who)
    keep_reserve(places.reserve)
    return new


def write_floors(places: Places, state: State) -> None:
    """The copy of the floors, on another path: lost state files must not bring an old release back."""
    places.floors.parent.mkdir(parents=True, exist_ok=True)
    replace_file(places.floors, _canonical({name: state.floors.get(name, 0) for name in FLOORS}) + b"\n")


def _write(places: Places, state: State, who: str) -> None:
    path = places.state
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"format": FORMAT, "phase": state.phase, **asdict(state)}
    frame = {"sha256": hashlib.sha256(_canonical(body)).hexdigest(), "body": body}
    fresh = path.with_name("state.json.tmp")
    kill_point(f"{who}.state-begin")
    try:
        write_file(fresh, (json.dumps(frame, indent=1, sort_keys=True) + "\n").encode())
        kill_point(f"{who}.state-tmp")
        _keep_backup(path)
        kill_point(f"{who}.state-bak")
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    kill_point(f"{who}.state-rename")
    sync_folder(path.parent)
    kill_point(f"{who}.state-done")


def _keep_backup(path: Path) -> None:
    """The state before becomes the copy, unless it is damaged: then the copy is what is believed, and stays."""
    try:
        read(path)
    except (OSError, ValueError):
        return
    backup, link = _backup(path), path.with_name("state.json.bak.tmp")
    link.unlink(missing_ok=True)
    os.link(path, link)
    link.replace(backup)
    link.unlink(missing_ok=True)  # a rename between two names of one file leaves both


def _state(body: dict[str, Any]) -> State:
    trial, probation = body["trial"], body["probation"]
    state = State(
        good=body["good"],
        prev=body["prev"],
        trial=None if trial is None else Trial(**_known(trial, Trial)),
        probation=None if probation is None else Probation(**_known(probation, Probation)),
        bad=list(body["bad"]),
        result=dict(body["result"]),
        last_jobs=list(body["last_jobs"]),
        floors=dict(body["floors"]),
        refused=[dict(row) for row in body.get("refused", [])],  # not in the state of an earlier slotctl
        seq=body["seq"],
    )
    if not all(isinstance(name, str) for name in (state.good, state.prev, *state.bad)):
        raise TypeError("a slot's name is no text")
    return state


def _known(part: dict[str, Any], form: type) -> dict[str, Any]:
    """Without what a later release of this program added: going back to this one must not lose the state."""
    return {name: value for name, value in part.items() if name in form.__dataclass_fields__}  # type: ignore[attr-defined]


def _floors_copy(places: Places) -> dict[str, int]:
    try:
        found = json.loads(read_small(places.floors))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in FLOORS if isinstance(found.get(name), int)}


def confirmed_slots(places: Places) -> list[str]:
    """Slots that were complete and confirmed, the newest last."""
    found = []
    with contextlib.suppress(OSError):
        for folder in places.releases.iterdir():
            mark = folder / ".confirmed"
            if not folder.name.startswith(".") and (folder / ".complete").is_file() and mark.is_file():
                found.append((mark.stat().st_mtime_ns, folder.name))
    return [name for _, name in sorted(found)]


def _backup(path: Path) -> Path:
    return path.with_name("state.json.bak")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
