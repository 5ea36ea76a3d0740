"""Topic templates of flat feeds: allowed shapes and the limits of protocol.md 1.2 and 4.4."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator

from gateway.model import ChannelSpec, DeviceSpec
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Origin, Problems
from gateway.settings.types import UplinkSettings

DEFAULT_TOPIC = "fp/1/{tenant}/{gateway}/flat/{device}/{tag}"
MAX_BYTES = 256
MAX_SLASHES = 7
_PLACES = ("tenant", "gateway", "channel", "device", "tag")
_PLACE = re.compile(r"\{([^{}]*)\}")


def check_template(topic: str, origin: Origin, problems: Problems) -> None:
    """Refuse a template that loses tags, reaches our own tree, or that a broker would refuse."""
    names = _PLACE.findall(topic)
    for name in names:
        if name not in _PLACES:
            problems.at(origin, f"`{{{name}}}` is not known in a topic", did_you_mean(name, _PLACES))
    for name in ("device", "tag"):
        if name not in names:
            hint = f"write {topic.rstrip('/')}/{{{name}}}"
            problems.at(origin, f"without {{{name}}} several tags share one topic", hint)
    check_shape(topic, _PLACE.sub("", topic), origin, problems, "plant/{device}/{tag}")


def check_shape(topic: str, fixed: str, origin: Origin, problems: Problems, example: str) -> None:
    """Refuse a template that is no topic for a publish, or not ours. `fixed`: without its places."""
    if topic.startswith("fp/"):
        problems.at(origin, "topics below fp/ belong to the protocol", f"write {example}")
    if topic.startswith("$"):
        problems.at(origin, "topics that begin with $ belong to the broker", f"write {example}")
    if "+" in fixed or "#" in fixed:
        problems.at(origin, "a topic cannot hold the wildcards + and #", f"write {example}")
    if "{" in fixed or "}" in fixed:
        problems.at(origin, "a brace has no partner", "write plant/{device}/{tag}")
    if "\0" in fixed:
        problems.at(origin, "a topic cannot hold a null character")


def carried(uplink: UplinkSettings, channels: Iterable[ChannelSpec]) -> Iterator[tuple[ChannelSpec, DeviceSpec]]:
    """The devices that an uplink selects, with their channels."""
    for channel in channels:
        for device in channel.devices:
            if any(fnmatch.fnmatchcase(device.id, pattern) for pattern in uplink.select.devices):
                yield channel, device


def check_topics(
    uplink: UplinkSettings,
    identity: tuple[str, str],
    channels: Iterable[ChannelSpec],
    place: Origin,
    problems: Problems,
) -> None:
    """Refuse the template if any selected tag's topic is over the limits; names the worst one."""
    template = uplink.topic or DEFAULT_TOPIC
    fixed = {"tenant": identity[0], "gateway": identity[1]}
    worst, reason = "", ""
    for channel, device in carried(uplink, channels):
        prefix = _fill(template, fixed | {"channel": channel.id, "device": device.id})
        for tag in device.tags:
            topic = prefix.replace("{tag}", tag.path)
            slashes, size = topic.count("/"), len(topic.encode())
            if slashes > MAX_SLASHES and len(topic) > len(worst):
                worst, reason = topic, f"{slashes} slashes, a topic has at most {MAX_SLASHES}"
            elif size > MAX_BYTES and len(topic) > len(worst):
                worst, reason = topic, f"{size} bytes, a topic has at most {MAX_BYTES}"
    if worst:
        origin = place.child("topic") if uplink.topic else place
        problems.at(origin, f"the topic {worst} has {reason}", "set a shorter `topic`, such as plant/{device}/{tag}")


def _fill(template: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", value)
    return template
