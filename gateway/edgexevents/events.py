"""Readings of the journal as events: grouped by device and source, numbered so that the same reading is the same event.

Ids and origins are made of numbers that never change (gateway, stream, epoch, number), so an event that is sent again,
or written to a file, is the same to the byte.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from gateway.edgexevents.kinds import kind_of_value
from gateway.edgexevents.resources import Resource
from gateway.edgexevents.values import members
from gateway.journal import Segment
from gateway.model import Quality

API_VERSION = "v3"
_SPACE = bytes.fromhex("cd1f43687d5f59489351a236ebf53276")
"""The name space of our ids: the UUID of `urn:fieldpost:edgex`."""
_MS = 1_000_000
"""Nanoseconds; our times are in ms, so what is below them orders events of one ms."""
_GOOD_BELOW = int(Quality.UNCERTAIN)
_OVERFLOW, _NAN = "overflow", "NaN"
"""What EdgeX writes in the place of a value."""


class Group(Struct, frozen=True):
    """Readings of one source at one time: positions in their segment. `ts` in UTC ms."""

    positions: list[int]
    ts: int
    resource: Resource
    """Of the first of them."""


class EventMaker:
    """`all_qualities`: readings that are not good are told too, with a tag `quality`."""

    def __init__(self, gateway: str, *, all_qualities: bool = False) -> None:
        self._gateway = gateway
        self._all = all_qualities

    def groups(self, segment: Segment, resources: Mapping[int, Resource | None]) -> Iterator[Group]:
        """What become the events of a segment of telemetry, in order; None in `resources` is a tag that is not told.

        Raises KeyError for an alias that `resources` does not have.
        """
        at = 0
        for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
            sources: dict[str, Group] = {}
            for i in range(at, at + n):
                resource = resources[segment.aliases[i]]
                if resource is None or not self._tells(segment, i, resource):
                    continue
                group = sources.get(resource.source)
                if group is None:
                    sources[resource.source] = Group([i], ts, resource)
                else:
                    group.positions.append(i)
            yield from sources.values()
            at += n

    def event(self, segment: Segment, resources: Mapping[int, Resource | None], group: Group) -> dict[str, Any]:
        """The event of a group."""
        first, head = segment.first + group.positions[0], group.resource
        origin = group.ts * _MS + first % _MS
        return {
            "apiVersion": API_VERSION,
            "id": self._id(segment, "event", first),
            "deviceName": head.device,
            "profileName": head.profile,
            "sourceName": head.source,
            "origin": origin,
            "tags": {},
            "readings": [self._reading(segment, resources, i, origin) for i in group.positions],
        }

    def _tells(self, segment: Segment, i: int, resource: Resource) -> bool:
        """Whether a reading goes out."""
        if self._all or (resource.strict and _as_edgex(segment, i)):
            return True
        value = segment.values[i]
        if value is None or (value.__class__ is float and not math.isfinite(value)):
            return False
        return segment.quality.get(i, 0) < _GOOD_BELOW

    def _reading(
        self, segment: Segment, resources: Mapping[int, Resource | None], i: int, origin: int
    ) -> dict[str, Any]:
        resource = resources[segment.aliases[i]]
        assert resource is not None
        reading: dict[str, Any] = {
            "id": self._id(segment, "reading", segment.first + i),
            "origin": origin,
            "deviceName": resource.device,
            "resourceName": resource.resource,
            "profileName": resource.profile,
        }
        word = _as_edgex(segment, i) if resource.strict else ""
        if word:
            reading |= {"valueType": "String", "value": word}
        else:
            reading |= _value(resource, segment.values[i])
        if resource.units:
            reading["units"] = resource.units
        if self._all:
            reading["tags"] = {"quality": _quality(segment, i).text}
        return reading

    def _id(self, segment: Segment, what: str, number: int) -> str:
        """A UUID of version 5 (RFC 9562), without the detours of the module uuid."""
        name = f"{what}/{self._gateway}/{segment.stream}/{segment.epoch}/{number}"
        raw = bytearray(hashlib.sha1(_SPACE + name.encode(), usedforsecurity=False).digest()[:16])
        raw[6] = raw[6] & 0x0F | 0x50
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _value(resource: Resource, value: Any) -> dict[str, Any]:
    """Members of the value; no value where it is none (NaN, infinities)."""
    if value.__class__ is float and not math.isfinite(value):
        value = None
    kind = resource.kind or kind_of_value(value)
    return members(kind, value, resource.media)


def _as_edgex(segment: Segment, i: int) -> str:
    """The word that EdgeX writes in the place of a value that it could not compute; empty where there is a value."""
    value = segment.values[i]
    if value.__class__ is float and not math.isfinite(value):
        return _NAN
    return _OVERFLOW if value is None and segment.quality.get(i) == Quality.BAD_RANGE else ""


def _quality(segment: Segment, i: int) -> Quality:
    """Its quality; what is no number is bad, whatever else was said (as in codec `json`)."""
    quality = Quality(segment.quality.get(i, 0))
    value = segment.values[i]
    if quality < Quality.BAD and value.__class__ is float and not math.isfinite(value):
        return Quality.BAD_SENSOR if math.isnan(value) else Quality.BAD_RANGE
    return quality
