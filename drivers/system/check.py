"""What is wrong with a channel of the own machine beyond the types of its settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from drivers.system.address import AddressError, parse
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, TagSpec, ValueType
from gateway.transform import RAW


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    if not PurePosixPath(channel.settings.root).is_absolute():
        yield Fault("root", f"`{channel.settings.root}` is no absolute path", "root: /host")
    for device in channel.devices:
        for spec in device.tags:
            for field, message, hint in _tag_faults(spec):
                yield Fault(f"devices.{device.id}.tags.{spec.path}.{field}", message, hint)


def _tag_faults(spec: TagSpec) -> Iterable[tuple[str, str, str]]:
    try:
        item = parse(spec.source.address).meaning
    except AddressError as error:
        yield "address", str(error), error.hint
        return
    if spec.access is not Access.READ:
        yield "access", "nothing of the own machine can be written", "leave access out"
    text = item.type == "string"
    if spec.type in (ValueType.BYTES, ValueType.OBJECT) or (text and spec.type is not ValueType.STRING):
        yield "type", f"`{spec.source.address}` has no {spec.type.value} values", f"type: {item.type}"
    elif not text and RAW[spec.type].bits == 1 and item.type != "bool":
        yield "type", f"`{spec.source.address}` is a number", f"type: {item.type}"
