"""Names of users, kept: a letter loses its accent, what else an id cannot hold is `_`, too long is cut, a collision
gets a number; each is noted.

A name that is an id as it stands keeps it, whatever else would be called so: readers that know all names of a file say
them first (`expect`). The rule is stable: the same names in the same order give the same ids. The name as it was
written stays in `meta.name`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from gateway.importing.report import Place, Report
from gateway.importing.views import View
from gateway.settings.ids import MAX_LEVELS, is_id
from gateway.settings.letters import plain_letters

_LONGEST = 64
_SHOWN = 200
"""Characters of a name that a note repeats."""
_NO_META = re.compile(r"[^\w. -]")


class Names:
    """The ids of one kind (channels, devices, the tags of a profile...) and the names that they stand for."""

    def __init__(self, report: Report, what: str) -> None:
        self._report = report
        self._what = what
        self._ids: dict[str, str] = {}
        """By the name as written."""
        self._taken: set[str] = set()
        self._folders: set[str] = set()
        self._expected: dict[str, str] = {}
        """By the name as written, the ids that belong to names which need no other one."""
        self._promised: set[str] = set()
        self._levels: dict[tuple[str, ...], str] = {}
        """The path of each folder, by its levels as written."""
        self._made: set[str] = set()
        self._next: dict[tuple[str, str], int] = {}
        """The number to try next behind a stem, by what the stem is for: all below are taken, and stay so."""

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def get(self, name: str) -> str | None:
        """The id of a name that was given one."""
        return self._ids.get(name)

    def reserve(self, taken: str) -> None:
        """An id that somebody else has."""
        self._taken.add(taken)

    def expect(self, names: Iterable[str], separator: str = "") -> None:
        """All names that come; those that are ids (with `separator`: paths) as they stand are kept for themselves."""
        for name in names:
            parts = name.split(separator) if separator else [name]
            if len(parts) <= MAX_LEVELS and all(map(is_id, parts)):
                self._expected[name] = "/".join(parts)
        paths = {*self._expected.values()}
        folders = {folder for path in paths for folder in _folders_of(path)}
        self._promised = paths | folders
        for folder in folders - paths:  # one that is a tag as well goes to whoever comes first
            self._levels[tuple(folder.split("/"))] = folder
            self._made.add(folder)

    def id_of(self, name: str, place: Place) -> str:
        """The id of a name: the same for the same name."""
        if name not in self._ids:
            self._keep(name, self._free(_as_id(name), name), place)
        return self._ids[name]

    def new_id(self, name: str, place: Place) -> str:
        """The id of a thing that is another one than all before it, whatever they are called. The first of a name has
        what `id_of` gives; each further one has a number behind it.
        """
        if name not in self._ids:
            return self.id_of(name, place)
        chosen = self._free(_as_id(name))
        self._taken.add(chosen)
        self._report.changed(
            place, f"there is another {self._what} `{name[:_SHOWN]}`: this one is called `{chosen}` here"
        )
        return chosen

    def path_of(self, name: str, place: Place, separator: str = "") -> str:
        """The tag path of a name. `separator`: what parts folders in the name; deeper levels than a path may have are
        joined by `_`.
        """
        if name not in self._ids:
            parts = [part for part in name.split(separator) if part] if separator else [name]
            shown = "/".join(parts)
            parts = [*parts[: MAX_LEVELS - 1], "_".join(parts[MAX_LEVELS - 1 :])] if len(parts) > MAX_LEVELS else parts
            folder = self._folder(parts[:-1])
            wanted = "/".join([*folder, _as_id(parts[-1] if parts else name)])
            self._keep(name, self._free(wanted, name), place, shown)
        return self._ids[name]

    def _folder(self, parts: list[str]) -> list[str]:
        """The levels of a folder: one that is a tag's name gets a number, the same for all that is in it."""
        found: list[str] = []
        for level, part in enumerate(parts, 1):
            whole = tuple(parts[:level])
            if whole not in self._levels:
                chosen = self._first_free("/".join([*found, ""]), _as_id(part), self._is_no_folder)
                self._levels[whole] = chosen
                self._made.add(chosen)
            found = self._levels[whole].split("/")
        return found

    def _keep(self, name: str, chosen: str, place: Place, shown: str | None = None) -> None:
        self._ids[name] = chosen
        self._taken.add(chosen)
        self._folders.update(_folders_of(chosen))
        if chosen != (name if shown is None else shown):
            self._report.changed(place, f"the {self._what} `{name[:_SHOWN]}` is called `{chosen}` here")

    def _free(self, wanted: str, name: str = "") -> str:
        taken = self._clashes if self._expected.get(name) == wanted else self._clashes_or_promised
        return self._first_free("", wanted, taken)

    def _first_free(self, above: str, wanted: str, taken: Callable[[str], bool]) -> str:
        """`above` and what is wanted below it, with the lowest number that makes it free."""
        if not taken(above + wanted):
            return above + wanted
        digits = 1
        while True:
            stem = f"{above}{wanted[: _LONGEST - digits - 1]}_"
            # A longer number leaves another stem; names that share one go on where the last of them stopped.
            asked = f"{taken.__name__} {digits}", stem
            number = self._next.get(asked, 2 if digits == 1 else 10 ** (digits - 1))
            while number < 10**digits and taken(f"{stem}{number}"):
                number += 1
            self._next[asked] = number
            if number < 10**digits:
                return f"{stem}{number}"
            digits += 1

    def _is_no_folder(self, path: str) -> bool:
        return path in self._taken or path in self._made

    def _clashes(self, wanted: str) -> bool:
        """A name that is taken; a tag cannot be the folder of another one either."""
        return wanted in self._folders or wanted in self._taken

    def _clashes_or_promised(self, wanted: str) -> bool:
        return wanted in self._promised or self._clashes(wanted)


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:level]) for level in range(1, len(parts))]


def _as_id(name: str) -> str:
    if is_id(name):
        return name
    text = plain_letters(name.strip())
    text = text if text[:1].isalnum() else f"x{text}"
    return text[:_LONGEST]


def literal(text: str) -> str:
    """A text for a value of a device or profile, where braces are parameters and `${` a reference."""
    return text.replace("${", "$ {").replace("{", "{{").replace("}", "}}")


def meta_key(meta: Collection[str], key: str, view: View) -> str:
    """The key that a text has in `meta`: as people wrote it or, with a note, as near to it as it can be."""
    wanted = _NO_META.sub("_", key)
    chosen, number = wanted, 2
    while chosen in meta:
        chosen, number = f"{wanted}_{number}", number + 1
    if chosen != key:
        view.report.changed(view.place, f"the text `{key}` is called `{chosen}` in `meta`")
    return chosen


__all__ = ["Names", "literal", "meta_key"]
