"""Damaged generations at start: what cannot be read is moved aside, and the newest intact one takes its place.

Damage must never keep a gateway from starting while anything that it can run is there: an intact generation, or else
the configuration folder. What was moved aside is kept for a look, the newest KEPT of it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.settings.generations import Generation, Generations

FOLDER = "damaged"
KEPT = 3
CARRIED = ("remote", "bad", "last")
"""What of the state does not end with a change: see `Generations.remote`, `failed_before` and `outcome`."""


def carried(state: Mapping[str, Any]) -> dict[str, Any]:
    """What of a state outlives a change of what is active."""
    return {name: state[name] for name in CARRIED if name in state}


def mend(generations: Generations) -> list[str]:
    """Make the state name an intact generation, or none at all. Returns what was wrong, in sentences."""
    told: list[str] = []
    state = _state(generations, told)
    active = state.get("active")
    if active is None and not told:
        return told
    waiting = state.get("pending")
    if isinstance(waiting, dict) and not _intact(generations, waiting.get("previous"), told):
        state.pop("pending")
        told.append("the change that was on trial stays: there is nothing intact to go back to")
    if _intact(generations, active, told):
        if told:
            generations.write_state(state)
        return told
    chosen = _replacement(generations, waiting)
    if chosen is None:
        generations.state_file.unlink(missing_ok=True)
        told.append("no kept configuration is intact: the configuration folder is taken")
    else:
        generations.write_state(
            {**carried(state), "format": state.get("format", 1), "active": chosen.number, "previous": None}
        )
        told.append(f"generation {chosen.number} runs")
    return told


def _state(generations: Generations, told: list[str]) -> dict[str, Any]:
    try:
        return generations.read_state()
    except ValueError:
        _aside(generations.state_file)
        told.append(f"{generations.state_file} could not be read and was moved aside")
        return {}


def _intact(generations: Generations, number: Any, told: list[str]) -> bool:
    """Whether generation `number` can be run; a damaged one is moved aside."""
    if not isinstance(number, int):
        return False
    try:
        generations.get(number).files()
    except GatewayError:
        folder = generations.folder(number)
        told.append(f"generation {number} was damaged" + (" and was moved aside" if folder.exists() else ""))
        _aside(folder)
        return False
    return True


def _replacement(generations: Generations, waiting: Any) -> Generation | None:
    """The one that was confirmed before a trial, else the newest intact one."""
    candidates = list(reversed(generations.list()))
    if isinstance(waiting, dict):
        candidates.sort(key=lambda one: one.number != waiting.get("previous"))
    ignored: list[str] = []
    return next((one for one in candidates if _intact(generations, one.number, ignored)), None)


def _aside(path: Path) -> None:
    """Into the folder of damaged things, under a name that is free; a bound number of them is kept."""
    if not path.exists():
        return
    place = path.parent / FOLDER
    with contextlib.suppress(OSError):
        place.mkdir(exist_ok=True)
        known = sorted(place.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in known[: max(0, len(known) - KEPT + 1)]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        count = 1
        while (place / f"{path.name}.{count}").exists():
            count += 1
        path.rename(place / f"{path.name}.{count}")
