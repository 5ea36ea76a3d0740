"""Codec `edgex`: an event of EdgeX per device, source and time, for its message bus or for who reads its exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway.edgexevents.events import API_VERSION, EventMaker, Group
from gateway.edgexevents.names import DEFAULT_TOPIC, topic_level
from gateway.edgexevents.resources import Resource
from gateway.journal import Segment
from gateway.uplink.codecs.base import JSON

Resources = Mapping[int, Resource | None]
"""Alias -> what EdgeX calls the tag; None for a tag that this uplink does not carry."""


class Letter(NamedTuple):
    """A message, and the numbers of its readings. Without a topic these readings fit into no message."""

    first: int
    last: int
    topic: str = ""
    payload: bytes = b""
    content_type: str = JSON


class EdgexCodec:
    """`topic` may name {tenant}, {gateway}, {service}, {profile}, {device} and {source}; the service is the gateway.

    `envelope`: as on EdgeX' message bus (an AddEventRequest in a MessageEnvelope), else the bare event.
    """

    name = "edgex"
    needs_birth = False

    def __init__(
        self, tenant: str, gateway: str, topic: str | None = None, *, envelope: bool = True, all_qualities: bool = False
    ) -> None:
        self.template = topic or DEFAULT_TOPIC
        self._fixed = {"tenant": tenant, "gateway": gateway, "service": topic_level(gateway)}
        self._envelope = envelope
        self._maker = EventMaker(gateway, all_qualities=all_qualities)
        self._topics: dict[tuple[str, str, str], str] = {}

    def letters(self, segment: Segment, resources: Resources, limit: int) -> Iterator[Letter]:
        """The messages of a segment, of at most `limit` bytes each. Raises KeyError for an unknown alias."""
        for group in self._maker.groups(segment, resources):
            yield from self._letters(segment, resources, group, limit)

    def _letters(self, segment: Segment, resources: Resources, group: Group, limit: int) -> Iterator[Letter]:
        first, last = segment.first + group.positions[0], segment.first + group.positions[-1]
        payload = self._payload(segment, resources, group)
        if payload is not None and len(payload) <= limit:
            yield Letter(first, last, self._topic(group.resource), payload)
            return
        if len(group.positions) == 1:
            yield Letter(first, last)
            return
        half = len(group.positions) // 2
        for positions in (group.positions[:half], group.positions[half:]):
            resource = resources[segment.aliases[positions[0]]]
            assert resource is not None  # it was in the group
            yield from self._letters(segment, resources, Group(positions, group.ts, resource), limit)

    def _payload(self, segment: Segment, resources: Resources, group: Group) -> bytes | None:
        """None for what JSON cannot carry."""
        try:
            event = self._maker.event(segment, resources, group)
            return msgspec.json.encode(_enveloped(event) if self._envelope else event)
        except (TypeError, ValueError, OverflowError):
            return None

    def _topic(self, resource: Resource) -> str:
        key = (resource.profile, resource.device, resource.source)
        topic = self._topics.get(key)
        if topic is None:
            profile, device, source = map(topic_level, key)
            topic = self.template.format(**self._fixed, profile=profile, device=device, source=source)
            self._topics[key] = topic
        return topic


def _enveloped(event: dict[str, Any]) -> dict[str, Any]:
    """As device services publish it. The request's own ids are the event's: a message that goes again is the same."""
    request = {"apiVersion": API_VERSION, "requestId": event["id"], "event": event}
    return {
        "apiVersion": API_VERSION,
        "receivedTopic": "",
        "correlationID": event["id"],
        "requestID": "",
        "errorCode": 0,
        "payload": msgspec.json.encode(request),  # bytes become base64
        "contentType": JSON,
    }
