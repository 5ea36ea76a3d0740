"""The table of tags at work: gives each its slot, remembers identities over reloads.

A slot is a place in the process' columns and lasts as long as the process; an alias comes from the store and lasts
for ever. Both belong to the name (device, path): a reload that changes a tag's spec keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.model import ChannelSpec, Device, DeviceSpec, Tag

Name = tuple[str, str]


class TagTable:
    """All devices and tags of the running configuration. `version` grows with each change."""

    def __init__(self) -> None:
        self._slots: dict[Name, int] = {}
        self._tags: dict[Name, Tag] = {}
        self._by_slot: dict[int, Tag] = {}
        self._devices: dict[str, Device] = {}
        self._meant: dict[int, object] = {}
        self.version = 0
        self.redefined: list[Tag] = []

    @staticmethod
    def names(channels: Iterable[ChannelSpec]) -> list[Name]:
        """The names that need an alias, in the order of the configuration."""
        return [(device.id, tag.path) for channel in channels for device in channel.devices for tag in device.tags]

    def bind(self, channel: ChannelSpec, aliases: Mapping[Name, int]) -> tuple[Device, ...]:
        """Make the channel's devices and tags. Replaces what the channel had before. `redefined` tells of which tags
        another thing is read now than under the same name before.
        """
        self.release(channel.id)
        self.redefined = []
        devices = []
        for spec in channel.devices:
            tags = []
            for tag_spec in spec.tags:
                name = (spec.id, tag_spec.path)
                slot = self._slots.setdefault(name, len(self._slots))
                tag = Tag(spec.id, tag_spec.path, slot, aliases[name], tag_spec)
                self._tags[name] = self._by_slot[slot] = tag
                tags.append(tag)
                meant = (channel.driver, _identity(spec), tag_spec.source, tag_spec.type, tag_spec.transform)
                if self._meant.setdefault(slot, meant) != meant:
                    self._meant[slot] = meant
                    self.redefined.append(tag)
            device = Device(spec.id, channel.id, spec, tuple(tags))
            self._devices[spec.id] = device
            devices.append(device)
        return tuple(devices)

    def release(self, channel: str) -> None:
        """Forget a channel's devices; their slots stay reserved."""
        self.version += 1
        for device in [device for device in self._devices.values() if device.channel == channel]:
            del self._devices[device.id]
            for tag in device.tags:
                self._tags.pop((device.id, tag.path), None)
                self._by_slot.pop(tag.slot, None)

    def device(self, device: str) -> Device | None:
        return self._devices.get(device)

    def devices(self) -> list[Device]:
        return list(self._devices.values())

    def tags(self) -> list[Tag]:
        return list(self._tags.values())

    def get(self, device: str, path: str) -> Tag | None:
        return self._tags.get((device, path))

    def by_slot(self, slot: int) -> Tag | None:
        return self._by_slot.get(slot)

    def find(self, name: str) -> Tag | None:
        """The tag written as `device.path`."""
        device, _, path = name.partition(".")
        return self._tags.get((device, path))

    @property
    def size(self) -> int:
        """Number of slots ever given."""
        return len(self._slots)


def _identity(spec: DeviceSpec) -> tuple[object, ...]:
    """What says which device it is (gateway.driver.DriverSpec)."""
    return tuple(getattr(spec.settings, name) for name in getattr(spec.settings, "IDENTITY", ()))
