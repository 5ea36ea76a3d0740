"""Names of users, kept: what an id cannot hold becomes `_`, too long is cut, a collision gets a number; each is noted.

The rule is stable: the same names in the same order give the same ids. The name as it was written stays in `meta.name`.
"""

from __future__ import annotations

import re

from gateway.importing.report import Place, Report
from gateway.settings.ids import MAX_LEVELS, is_id

_LONGEST = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


class Names:
    """The ids of one kind (channels, devices, the tags of a profile...) and the names that they stand for."""

    def __init__(self, report: Report, what: str) -> None:
        self._report = report
        self._what = what
        self._ids: dict[str, str] = {}
        """By the name as written."""
        self._taken: set[str] = set()
        self._folders: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def get(self, name: str) -> str | None:
        """The id of a name that was given one."""
        return self._ids.get(name)

    def reserve(self, taken: str) -> None:
        """An id that somebody else has."""
        self._taken.add(taken)

    def id_of(self, name: str, place: Place) -> str:
        """The id of a name: the same for the same name."""
        if name not in self._ids:
            self._keep(name, self._free(_as_id(name)), place)
        return self._ids[name]

    def path_of(self, name: str, place: Place, separator: str = "") -> str:
        """The tag path of a name. `separator`: what parts folders in the name; deeper levels than a path may have are
        joined by `_`.
        """
        if name not in self._ids:
            parts = [part for part in name.split(separator) if part] if separator else [name]
            parts = [*parts[: MAX_LEVELS - 1], "_".join(parts[MAX_LEVELS - 1 :])] if len(parts) > MAX_LEVELS else parts
            wanted = "/".join(_as_id(part) for part in parts or [name])
            shown = "/".join(parts)
            self._keep(name, self._free(wanted), place, shown)
        return self._ids[name]

    def _keep(self, name: str, chosen: str, place: Place, shown: str | None = None) -> None:
        self._ids[name] = chosen
        self._taken.add(chosen)
        self._folders.update(_folders_of(chosen))
        if chosen != (name if shown is None else shown):
            self._report.changed(place, f"the {self._what} `{name}` is called `{chosen}` here")

    def _free(self, wanted: str) -> str:
        if not self._clashes(wanted):
            return wanted
        number = 2
        while self._clashes(f"{wanted[: _LONGEST - len(str(number)) - 1]}_{number}"):
            number += 1
        return f"{wanted[: _LONGEST - len(str(number)) - 1]}_{number}"

    def _clashes(self, wanted: str) -> bool:
        """A name that is taken; a tag cannot be the folder of another one either."""
        return wanted in self._folders or any(part in self._taken for part in (*_folders_of(wanted), wanted))


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:level]) for level in range(1, len(parts))]


def _as_id(name: str) -> str:
    if is_id(name):
        return name
    text = _FOREIGN.sub("_", name.strip())
    text = text if text[:1].isalnum() else f"x{text}"
    return text[:_LONGEST]


def literal(text: str) -> str:
    """A text for a value of a device or profile, where braces are parameters and `${` a reference."""
    return text.replace("${", "$ {").replace("{", "{{").replace("}", "}}")


__all__ = ["Names", "literal"]
