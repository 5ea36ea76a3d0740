"""What all ways of describing a device come to: tags as a profile holds them, and what was not understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gateway.abilities import LONGEST_IDENTITY, Sighting

MOST_DEVICES = 1000
"""Described devices that are remembered on one channel; further ones are counted only."""
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


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(free for n in range(2, MOST_TAGS + 3) if (free := f"{name[: _LONGEST_NAME - 4]}_{n}") not in taken)


def text(value: Any) -> str:
    """A member of a description that should be a text."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
