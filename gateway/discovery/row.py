"""One device that was seen, as it is kept and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gateway.abilities import LONGEST_IDENTITY, Sighting
from gateway.model import ChannelSpec
from gateway.watching import LONGEST_TEXT

SEEN, PENDING, APPROVED, REJECTED, KNOWN = "seen", "pending", "approved", "rejected", "known"
"""seen: no rule asks for it; pending: somebody is to decide; known: the configuration has it."""
_MOST_PROPERTIES = 32
_MOST_TAGS = 500


class Row(Struct):
    """`first`, `last` in UTC ms; `watch`: the rule that fits; `device`: its id since it was approved; `why`: what keeps
    it from coming in by itself.
    """

    channel: str
    identity: str
    name: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    profile: str = ""
    first: int = 0
    last: int = 0
    count: int = 0
    state: str = SEEN
    watch: str = ""
    device: str = ""
    why: str = ""

    @property
    def id(self) -> str:
        return f"{self.channel}/{self.identity}"

    @property
    def is_kept(self) -> bool:
        """Whether it outlives a restart: what no rule asks for and nobody decided on comes again by itself."""
        return self.state in (PENDING, APPROVED, REJECTED)

    def matched(self) -> dict[str, str]:
        """What rules look at: the properties, and identity and name by these words."""
        return {"identity": self.identity, "name": self.name or self.identity, **self.properties}

    def take(self, sighting: Sighting) -> bool:
        """What it says of itself now; of a text that is too long the beginning. False when that is no news."""
        before = self.name, self.properties, self.keys, self.tags, self.profile
        self.name = str(sighting.name)[:LONGEST_TEXT]
        self.properties = {
            str(key)[:LONGEST_TEXT]: str(value)[:LONGEST_TEXT]
            for key, value in list(sighting.properties.items())[:_MOST_PROPERTIES]
        }
        self.keys = plain(sighting.keys)
        self.tags = {str(path): plain(keys) for path, keys in list(sighting.tags.items())[:_MOST_TAGS]}
        self.profile = sighting.profile
        return before != (self.name, self.properties, self.keys, self.tags, self.profile)

    def is_of(self, channel: ChannelSpec) -> str:
        """The device of the channel that this is: its settings have the keys that were seen. Empty when none has."""
        for device in channel.devices:
            settings = device.settings
            same = [_same(getattr(settings, key), value) for key, value in self.keys.items() if hasattr(settings, key)]
            if same and all(same):
                return device.id
        return ""


def plain(value: Any) -> Any:
    """Data as a file and the store can hold it: what is anything else is its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if value is None or type(value) in (str, int, float, bool) else str(value)


def usable(sighting: Sighting) -> bool:
    """Whether it can be told from others."""
    return 0 < len(sighting.identity) <= LONGEST_IDENTITY


def _same(configured: Any, seen: Any) -> bool:
    if isinstance(configured, Mapping | list | tuple) or isinstance(seen, Mapping | list | tuple):
        return bool(configured == seen)
    return str(configured).casefold() == str(seen).casefold()
