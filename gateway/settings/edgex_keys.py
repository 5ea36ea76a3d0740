"""Keys of uplinks with `codec: edgex`: which go with it, and topics that EdgeX can take."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.edgexevents.names import DEFAULT_TOPIC, topic_level
from gateway.edgexevents.resources import Resource, resources_of
from gateway.model import ChannelSpec
from gateway.settings.ids import did_you_mean
from gateway.settings.keys import UplinkKeys
from gateway.settings.positions import Origin, Problems
from gateway.settings.topics import MAX_BYTES, MAX_SLASHES, carried, check_shape
from gateway.settings.types import UplinkSettings

EVENT_STREAMS = ("telemetry",)
_PLACES = ("tenant", "gateway", "service", "profile", "device", "source")
_PLACE = re.compile(r"\{([^{}]*)\}")
_END = "/{profile}/{device}/{source}"
"""EdgeX compares the last three levels with the event, and refuses it when they differ."""
_LEVELS = 6
"""Fewer levels EdgeX takes for no event."""


def check_edgex(keys: UplinkKeys, place: Origin, problems: Problems) -> None:
    """Refuse what does not go together with the codec."""
    if keys.ack == "consumer":
        problems.at(place.child("ack"), "EdgeX acknowledges nothing by itself", "remove `ack`")
    if keys.compress == "zlib":
        problems.at(place.child("compress"), "EdgeX reads no compressed events", "remove `compress`")
    streams = keys.select.get("streams")
    if isinstance(streams, list) and streams != list(EVENT_STREAMS):
        message = "events of EdgeX carry readings only: no alarms, events or logs"
        problems.at(
            place.child("select", "streams"), message, "remove `streams`, and use a second uplink for the others"
        )
    if keys.topic is not None:
        _check_topic(keys.topic, place.child("topic"), problems, for_edgex=keys.envelope is not False)


def _check_topic(topic: str, origin: Origin, problems: Problems, *, for_edgex: bool) -> None:
    for name in _PLACE.findall(topic):
        if name not in _PLACES:
            problems.at(origin, f"`{{{name}}}` is not known in this topic", did_you_mean(name, _PLACES))
    check_shape(topic, _PLACE.sub("", topic), origin, problems, DEFAULT_TOPIC)
    if for_edgex and (not topic.endswith(_END) or topic.count("/") + 1 < _LEVELS):
        message = f"EdgeX takes an event only on a topic of {_LEVELS} or more levels that ends with {_END}"
        problems.at(origin, message, f"write {DEFAULT_TOPIC}, or add `envelope: false` where something else reads it")


def check_event_topics(
    uplink: UplinkSettings,
    identity: tuple[str, str],
    channels: Iterable[ChannelSpec],
    place: Origin,
    problems: Problems,
) -> None:
    """Refuse the template if any selected tag's topic is over the limits; names the worst one."""
    template = uplink.topic or DEFAULT_TOPIC
    fixed = {"tenant": identity[0], "gateway": identity[1], "service": topic_level(identity[1])}
    worst = ""
    for _, device in carried(uplink, channels):
        for each in resources_of(device).values():
            topic = _filled(template, fixed, each)
            if (len(topic.encode()) > MAX_BYTES or topic.count("/") > MAX_SLASHES) and len(topic) > len(worst):
                worst = topic
    if worst:
        origin = place.child("topic") if uplink.topic else place
        message = f"the topic {worst} has more than {MAX_BYTES} bytes or {MAX_SLASHES} slashes"
        problems.at(origin, message, "set a shorter `topic`, or give shorter names")


def _filled(template: str, fixed: dict[str, str], resource: Resource) -> str:
    levels = {name: topic_level(getattr(resource, name)) for name in ("profile", "device", "source")}
    return _PLACE.sub(lambda match: (fixed | levels).get(match[1], ""), template)
