"""What all ways of describing a device come to: tags as a profile holds them, and what was not understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from gateway.abilities import LONGEST_IDENTITY, Sighting

MOST_DEVICES = 1000
"""Described devices that one source of a channel remembers."""
MOST_TAGS = 300
_LONGEST_NAME = 64
_LONGEST_TEXT = 250
_NOT_ID = re.compile(r"[^A-Za-z0-9]+")
_BRACES = re.compile(r"[{}]")


def tag_name(text: str) -> str:
    """A name that a tag may have, of whatever the device calls it."""
    return _NOT_ID.sub("_", text).strip("_")[:_LONGEST_NAME] or "value"


def escaped(value: Any) -> Any:
    """The value as it is written in YAML, where a brace begins a parameter."""
    if isinstance(value, str):
        return _BRACES.sub(lambda match: match[0] * 2, value)
    if isinstance(value, dict):
        return {escaped(key): escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list) else value


class Described(Struct):
    """A device as it was described so far. `parts`: tags by what described them, so that a part can be replaced."""

    identity: str
    name: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    told_by: set[str] = field(default_factory=set)
    """Topics of the messages that described it."""
    configured: bool = False
    last: float = 0.0

    def sighting(self) -> Sighting:
        """The device as a person may add it. What was not understood is one of its properties."""
        tags: dict[str, Mapping[str, Any]] = {}
        for part in self.parts.values():
            for name, keys in part.items():
                if len(tags) < MOST_TAGS:
                    tags[_free(name, tags)] = escaped(keys)
        properties = {key: text[:_LONGEST_TEXT] for key, text in self.properties.items() if text}
        if self.odd:
            properties["not_understood"] = "; ".join(self.odd.values())[:_LONGEST_TEXT]
        return Sighting(self.identity[:LONGEST_IDENTITY], self.name, properties, escaped(self.keys), tags)

    @property
    def topics(self) -> set[str]:
        """Topics that its values come from."""
        own = {str(self.keys["topic"])} if "topic" in self.keys else set()
        return own | {str(keys["topic"]) for part in self.parts.values() for keys in part.values() if "topic" in keys}


class Remembered:
    """Descriptions by identity, bounded. Beyond MOST_DEVICES the one that was told longest ago goes, if it is of no
    configured device and was not told for `quiet_s`; else what is new is left out. `changed` is called when there has
    become too little room, and when there is enough again.
    """

    def __init__(self, now: Callable[[], float], changed: Callable[[], None], quiet_s: float = 0.0) -> None:
        self._now = now
        self._changed = changed
        self._quiet_s = quiet_s
        self._devices: dict[str, Described] = {}  # the one that was told longest ago comes first
        self.left_out = 0
        self.crowded = False

    def get(self, identity: str) -> Described | None:
        return self._devices.get(identity)

    def told(self, identity: str) -> Described | None:
        """What is remembered of a device that says something now."""
        known = self._devices.pop(identity, None)
        if known is not None:
            known.last = self._now()
            self._devices[identity] = known
        return known

    def add(self, identity: str, new: Described) -> tuple[bool, Described | None]:
        """Whether a new description has found room, and which one went for it."""
        gone = None
        if len(self._devices) >= MOST_DEVICES:
            self.left_out += 1
            self._set(crowded=True)
            old = next((key for key, one in self._devices.items() if not one.configured), None)
            if old is None or self._now() - self._devices[old].last < self._quiet_s:
                return False, None
            gone = self._devices.pop(old)
        new.last = self._now()
        self._devices[identity] = new
        return True, gone

    def remove(self, identity: str) -> None:
        """It took itself back."""
        self._devices.pop(identity, None)
        self._set(crowded=self.crowded and len(self._devices) >= MOST_DEVICES)

    def _set(self, *, crowded: bool) -> None:
        if crowded is not self.crowded:
            self.crowded = crowded
            self._changed()


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(free for n in range(2, MOST_TAGS + 3) if (free := f"{name[: _LONGEST_NAME - 4]}_{n}") not in taken)


def text(value: Any) -> str:
    """A member of a description that should be a text."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
