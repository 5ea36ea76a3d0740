"""Which tags a channel's driver knows. A virtual tag has no wire: the rules engine gives its value, no driver sees it.

One exception: a memory tag of the driver `virtual`, which has nothing else, takes writes.
"""

from __future__ import annotations

from msgspec import structs

from gateway.model import ChannelSpec, Device, TagSpec

VIRTUAL = "virtual"
"""The driver without a wire."""
MEMORY = "memory"


def is_wired(spec: TagSpec, driver: str) -> bool:
    """Whether a driver is told of the tag."""
    return spec.virtual is None or (driver == VIRTUAL and spec.virtual.kind == MEMORY)


def wired_channel(channel: ChannelSpec) -> ChannelSpec:
    """The channel as its driver sees it. The same object when all its tags are wired."""
    if all(is_wired(tag, channel.driver) for device in channel.devices for tag in device.tags):
        return channel
    devices = tuple(
        structs.replace(device, tags=tuple(tag for tag in device.tags if is_wired(tag, channel.driver)))
        for device in channel.devices
    )
    return structs.replace(channel, devices=devices)


def wired_device(device: Device, driver: str) -> Device:
    """The device as its driver sees it; its tags are the same objects."""
    tags = tuple(tag for tag in device.tags if is_wired(tag.spec, driver))
    if len(tags) == len(device.tags):
        return device
    return structs.replace(device, tags=tags, spec=structs.replace(device.spec, tags=tuple(tag.spec for tag in tags)))
