"""The devices of a tree and their tags, for what names them from elsewhere: rules, alarms, interlocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from gateway.model import TagSpec
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Layers, Origin

_SHOWN = 5


class Entry(Struct, frozen=True, eq=False):
    """A device: its tags and where they were written, its alarms as written. `broken`: paths of tags with faults."""

    id: str
    profiles: tuple[str, ...]
    tags: Mapping[str, tuple[TagSpec, Layers]]
    alarms: Mapping[str, Layers]
    origin: Origin
    broken: frozenset[str]


class Inventory:
    """All devices by id. A device that could not be made is known by name: what asks for it is not reported too."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._broken: set[str] = set()
        self.parameters: set[str] = set()
        """Names of parameters of any device."""
        self.unsure = False
        """A channel could not be read: an unknown device may be in it."""

    @property
    def any_broken(self) -> bool:
        return bool(self._broken)

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry

    def add_broken(self, device: str) -> None:
        """The device `device` exists and has faults of its own."""
        self._broken.add(device)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, device: str) -> Entry | None:
        return self._entries.get(device)

    def find(self, device: str, path: str) -> TagSpec | None:
        """The tag of (device, path), as gateway.rulebook.FindTag."""
        entry = self._entries.get(device)
        found = entry.tags.get(path) if entry is not None else None
        return None if found is None else found[0]

    def excuses(self, device: str, path: str = "") -> bool:
        """Whether (device, path) may be missing only because of a fault that is reported elsewhere."""
        entry = self._entries.get(device)
        if entry is None:
            return self.unsure or device in self._broken
        return path in entry.broken

    def names(self) -> list[str]:
        return [*self._entries, *self._broken]

    def meant(self, name: str) -> str:
        """The hint for `name` where it names no tag, but a device, or a tag in another notation; else empty."""
        if "." in name:
            return ""
        entry = self._entries.get(name)
        if entry is not None:
            tags = [f"{name}.{path}" for path in entry.tags]
            shown = ", ".join(tags[:_SHOWN]) + (", ..." if len(tags) > _SHOWN else "")
            return f"`{name}` is a device: name a tag of it: {shown}" if tags else f"the device `{name}` has no tags"
        device, _, path = name.partition("/")
        return f"write `{device}.{path}`" if self.find(device, path) is not None else ""

    def nearest(self, device: str, path: str) -> str:
        """The hint for a tag that there is not."""
        entry = self._entries.get(device)
        if entry is not None:
            return _short(did_you_mean(path, entry.tags))
        return _short(did_you_mean(device, self._entries))


def _short(hint: str) -> str:
    return hint if len(hint) <= 300 else ""
