"""What may go: slots that are neither good, nor before it, nor tried, nor running; wheels that no kept slot names."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from slots.disk import read_small, sync_folder
from slots.places import Places
from slots.state import State


def collect(places: Places, state: State, selected: str) -> list[str]:
    """Remove and return the names of what is gone. A folder loses its name before its files."""
    kept = {state.good, state.prev, selected, state.trial.slot if state.trial else ""} - {""}
    gone: list[str] = []
    if not state.good:
        return gone  # nobody knows what is needed
    for folder in _folder(places.releases):
        if folder.name in kept:
            continue
        doomed = folder
        if not folder.name.startswith(".tmp-"):
            doomed = folder.with_name(f".tmp-gone-{folder.name}")
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        gone.append(folder.name)
    needed = {wheel for name in kept for wheel in _wheels(places.releases / name)}
    for path in _folder(places.wheels):
        if path.name not in needed:
            with contextlib.suppress(OSError):
                path.unlink()
                gone.append(path.name)
    for folder in (places.releases, places.wheels):
        with contextlib.suppress(OSError):
            sync_folder(folder)
    return gone


def rollback_index(slot: Path) -> int:
    """The rollback index of a slot's release; 0 where it has none."""
    index = _description(slot).get("rollback_index", 0)
    return index if isinstance(index, int) else 0


def _wheels(slot: Path) -> set[str]:
    description = _description(slot)
    listed = [*description.get("wheels", ()), *description.get("drivers", ())]
    return {f"{wheel.get('sha256')}.whl" for wheel in listed if isinstance(wheel, dict)}


def _description(slot: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(read_small(slot / "release.json"))
        if isinstance(found, dict):
            return found
    return {}


def _folder(path: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path.iterdir())
    return []
