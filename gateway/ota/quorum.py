"""How many keys have to sign, as root metadata says: told to people, so that laboratory keys do not guard a fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_TOLD = ("root", "targets")
Quorum = Mapping[str, tuple[int, int]]
"""By role: how many of how many keys."""


def quorum(raw: bytes) -> Quorum:
    """Of root metadata; empty for what is none."""
    try:
        roles = json.loads(raw)["signed"]["roles"]
        return {role: (int(roles[role]["threshold"]), len(set(roles[role]["keyids"]))) for role in _TOLD}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def quorum_of(*files: Path) -> Quorum:
    """Of the first of these files that can be read."""
    for file in files:
        try:
            found = quorum(file.read_bytes())
        except OSError:
            continue
        if found:
            return found
    return {}


def told(found: Quorum) -> str:
    """One line; who is left with one key for a role is warned."""
    text = ", ".join(f"{role} {least} of {most}" for role, (least, most) in found.items())
    weak = [role for role, (least, _) in found.items() if least == 1]
    return f"{text}; one stolen key of {' or '.join(weak)} is enough: good for a laboratory" if weak else text
