"""Browsed items that are picked, and the tags that they become. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.settings.letters import plain_letters
from gateway.watching import compiled

_LONGEST = 64


def is_picked(item: Mapping[str, Any], patterns: Iterable[str]) -> bool:
    """Whether path, name or address of an item fit one of the patterns, as a whole."""
    texts = [str(item[key]) for key in ("path", "name", "address") if item.get(key)]
    texts += [f"/{item['path']}"] if item.get("path") else []  # `*/Temp` is a Temp at the top, too
    return any(compiled(pattern).fits(text) for pattern in patterns for text in texts)


class Picked:
    """Tags of one device. `written`: those in the file; `taken`: all paths that it has, of its profile too."""

    def __init__(self, written: Mapping[str, Any], taken: Collection[str]) -> None:
        self._sources = [_source(keys) for keys in written.values() if isinstance(keys, Mapping)]
        self._taken = {*written, *taken}
        self.fresh: dict[str, Any] = {}
        self.again = 0
        """Items that are tags already."""

    def take(self, item: Mapping[str, Any]) -> None:
        """Make a tag of an item, under a name that is free."""
        keys = dict(item["keys"])
        if _source(keys) in self._sources:
            self.again += 1
            return
        self._sources.append(_source(keys))
        name = self._name(item)
        self._taken.add(name)
        self.fresh[name] = keys

    def _name(self, item: Mapping[str, Any]) -> str:
        """The item's own name; with that of its folder, or with a number, where it is taken."""
        parts = [_id(part) for part in str(item.get("path") or item.get("name") or item.get("address")).split("/")]
        own = _id(str(item.get("name") or "")) or next((part for part in reversed(parts) if part), "tag")
        folder = parts[-2] if len(parts) > 1 else ""
        names = [own, *([f"{folder}_{own}"[:_LONGEST]] if folder else [])]
        number = 2
        while all(self._is_taken(name) for name in names):
            ending = f"-{number}"
            names, number = [own[: _LONGEST - len(ending)] + ending], number + 1
        return next(name for name in names if not self._is_taken(name))

    def _is_taken(self, name: str) -> bool:
        """Whether there is a tag of that name, or a folder of tags."""
        return name in self._taken or any(path.startswith(f"{name}/") for path in self._taken)


def _source(keys: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What two tags of one thing have in common: all keys but those that say how it is shown."""
    shown = ("type", "unit", "access", "deadband", "scale", "offset", "interval", "group")
    return tuple(sorted((key, str(value)) for key, value in keys.items() if key not in shown))


def _id(text: str) -> str:
    return plain_letters(text, squeeze=True).strip("_-")[:_LONGEST]
