"""What a tag's settings come to, with what its device and channel say. Pure; PointError names the key to blame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from drivers.mqtt.formats import KEYED
from drivers.mqtt.jsonpath import PathError, Step, parse
from drivers.mqtt.settings import ChannelSettings, Command, DeviceSettings, TagSettings, Time
from drivers.mqtt.topics import filter_fault, is_wild, topic_fault
from gateway.model import DeviceSpec, TagSpec

BELOW = "~/"


class PointError(ValueError):
    """A tag that cannot work. `field`: the key to blame, below the tag."""

    def __init__(self, field: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.hint = hint


class Point(Struct, frozen=True):
    """Where a tag's value comes from."""

    topic: str
    format: str
    path: tuple[Step, ...]
    words: Mapping[str, Any]
    time: Time | None
    items: str
    retained: str
    held: str


class Outlet(Struct, frozen=True):
    """Where a tag's value goes. `path` None: `payload`, or the value alone."""

    topic: str
    format: str
    payload: Any
    path: tuple[Step, ...] | None
    qos: int
    retain: bool


def below(base: str, topic: str, field: str = "topic") -> str:
    """A topic as written: `~/` stands for the device's topic."""
    if not topic.startswith(BELOW):
        return topic
    if not base or is_wild(base):
        raise PointError(
            field, f"`{topic}` is below the device's topic, which is {base or 'not given'}", "write it whole"
        )
    return f"{base}/{topic.removeprefix(BELOW)}"


def points_of(channel: ChannelSettings, device: DeviceSpec, spec: TagSpec) -> list[Point]:
    """Every place that `spec`'s value comes from. Raises PointError."""
    tag: TagSettings = spec.source
    found = [_point(channel, device, spec, tag)]
    for place in tag.also:
        try:
            further = replace(tag, topic=place.topic, path=place.path, format=place.format)
            found.append(_point(channel, device, spec, further))
        except PointError as error:
            raise PointError("also", str(error), error.hint) from error
    return found


def _point(channel: ChannelSettings, device: DeviceSpec, spec: TagSpec, tag: TagSettings) -> Point:
    own: DeviceSettings = device.settings
    topic = below(own.topic, tag.topic) if tag.topic else own.topic
    if not topic:
        raise PointError("topic", "neither the tag nor its device has a `topic`", "topic: plant/boiler/state")
    if fault := filter_fault(topic):
        raise PointError("topic", fault)
    form = tag.format or own.format or channel.format
    return Point(
        topic,
        form,
        _path(spec, tag, form),
        tag.words,
        own.time if form in KEYED else None,
        own.items if form in KEYED else "",
        own.retained or channel.retained,
        own.held or channel.held,
    )


def _path(spec: TagSpec, tag: TagSettings, form: str) -> tuple[Step, ...]:
    if form not in KEYED:
        if tag.path not in {"", "$"}:
            raise PointError("path", f"a payload of format {form} has no places inside", "remove `path`")
        return ()
    if not tag.path:
        return tuple(spec.path.split("/"))
    try:
        return parse(tag.path)
    except PathError as error:
        raise PointError("path", str(error), error.hint) from error


def outlet_of(channel: ChannelSettings, device: DeviceSpec, spec: TagSpec) -> Outlet:
    """Where `spec`'s value goes. Raises PointError."""
    own: DeviceSettings = device.settings
    tag: TagSettings = spec.source
    mine, theirs = tag.command, own.command
    topic = mine.topic or theirs.topic
    if not topic:
        raise PointError("command", "a tag that is written needs a `command` with a `topic`", _HINT)
    topic = below(own.topic, topic, "command")
    if fault := topic_fault(topic):
        raise PointError("command", fault, _HINT)
    payload = mine.payload if mine.payload is not None else None if mine.path or mine.topic else theirs.payload
    if payload is not None and mine.path:
        raise PointError("command", "`payload` and `path` both say where the value goes", "keep one of them")
    alone = isinstance(payload, str) or (payload is None and bool(mine.topic) and not mine.path)
    form = mine.format or theirs.format or ("plain" if alone else tag.format or own.format or channel.format)
    return Outlet(
        topic,
        form,
        payload,
        None if alone or payload is not None else _command_path(spec, mine, tag, form),
        next((q for q in (mine.qos, theirs.qos) if q is not None), 1),
        next((r for r in (mine.retain, theirs.retain) if r is not None), False),
    )


_HINT = "command: {topic: plant/boiler/set}"


def _command_path(spec: TagSpec, mine: Command, tag: TagSettings, form: str) -> tuple[Step, ...] | None:
    """The place of the value in what the device's command topic takes: the tag's own key, unless said."""
    if form not in KEYED:
        if mine.path:
            raise PointError("command", f"a payload of format {form} has no places inside", "write `payload`")
        return None
    text = mine.path or tag.path
    try:
        steps = parse(text) if text else tuple(spec.path.split("/"))
    except PathError as error:
        raise PointError("command", str(error), error.hint) from error
    if any(isinstance(step, int) for step in steps):
        hint = "write `path: $.state`, or `payload` with $value"
        raise PointError("command", "a command's path has names only", hint)
    return steps
