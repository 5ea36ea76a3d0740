"""The slots of this machine, seen from a release: read from their state, changed by asking slotctl.

The file belongs to slotctl, which is part of the operating system; only what is needed of it is read here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.ota.places import Places
from gateway.release import release_slot

_ASK_S = 900  # sealing a slot writes all of it to a slow disk
_MOST_STATE = 1 << 20


class SlotsError(GatewayError):
    """Slotctl refused, or could not be run."""


class TrialView(Struct, frozen=True):
    """The slot that is tried; the deadline is in seconds since the boot `boot_id`."""

    slot: str
    job: str
    tries: int
    tries_left: int
    confirm_s: int
    deadline_s: int
    boot_id: str
    soak_s: int = 0


class SlotsView(Struct, frozen=True):
    """What is known of the slots. `phase`: IDLE, TRIAL or PROBATION, empty on a machine without slots."""

    phase: str = ""
    good: str = ""
    prev: str = ""
    trial: TrialView | None = None
    bad: tuple[str, ...] = ()
    result: Mapping[str, Any] = {}
    last_jobs: tuple[Mapping[str, Any], ...] = ()
    floors: Mapping[str, int] = {}
    refused: tuple[Mapping[str, Any], ...] = ()
    """Confirmations that did not count: `n` (goes on counting), `at` (UTC s), `text`; the last few."""

    def job(self, job: str) -> Mapping[str, Any] | None:
        """How a job ended, if it did and is still known."""
        return next((one for one in reversed(self.last_jobs) if one.get("job") == job), None)


def look(places: Places) -> SlotsView:
    """The state of the slots, its copy where it is damaged; an empty view where neither can be read."""
    for path in (places.state, places.state.with_name("state.json.bak")):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return SlotsView()


def own_slot(prefix: str = sys.prefix) -> tuple[Places, str] | None:
    """Where this process runs from: the machine's places and the slot; None when it runs from elsewhere."""
    name = release_slot(prefix)
    return (Places(Path(*Path(prefix).parts[:-5])), name) if name else None


def ask(places: Places, command: str, *words: str, asked: Mapping[str, Any] | None = None) -> str:
    """Have slotctl do something; returns what it said. Raises SlotsError with its reason."""
    argv = ["/usr/bin/python3", "-I", "-S", str(places.slotctl)]
    argv += [*([] if places.root == Path("/") else ["--root", str(places.root)]), command, *words]
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours
            argv, input=json.dumps(asked or {}), capture_output=True, text=True, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SlotsError(f"slotctl {command}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().removeprefix("slotctl: ")
        raise SlotsError(said or f"slotctl {command} ended with {done.returncode}")
    return done.stdout.strip()


def _read(path: Path) -> SlotsView:
    with path.open("rb") as file:
        frame = json.loads(file.read(_MOST_STATE))
    body = frame["body"]
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    if hashlib.sha256(canonical).hexdigest() != frame["sha256"]:
        raise ValueError("damaged")
    trial = body["trial"]
    return SlotsView(
        phase=body["phase"],
        good=body["good"],
        prev=body["prev"],
        trial=None if trial is None else TrialView(**{name: trial[name] for name in TrialView.__struct_fields__}),
        bad=tuple(body["bad"]),
        result=body["result"],
        last_jobs=tuple(body["last_jobs"]),
        floors=body["floors"],
        refused=tuple(body.get("refused", ())),
    )
