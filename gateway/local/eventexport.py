"""The op `edgex_events`: telemetry of the journal as events of EdgeX, for `fieldpost journal --format edgex`.

Items are pages `{"lines": [...]}`, each line the JSON of one event, the same to the byte as an uplink of codec `edgex`
sends it; `{"gap": {"epoch", "from", "to"}}` stands where numbers are missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

import msgspec

from gateway.edgexevents.events import EventMaker
from gateway.edgexevents.resources import Resource, by_alias
from gateway.errors import StoreFull
from gateway.journal import Segment
from gateway.local.wire import OpError
from gateway.settings.types import GatewaySettings
from gateway.store import Store
from gateway.store.arrivals import Missing, Span
from gateway.tags import TagTable

PAGE_BYTES = 256 * 1024
"""A page is sent when it is longer; a single event may be much longer."""
_AT_ONCE = 250
"""Readings between two turns of the loop."""


class _Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    since_ms: int = 0
    quality: Literal["good", "all"] = "good"


class HasJournal(Protocol):
    """What the op needs of a running node."""

    @property
    def store(self) -> Store: ...

    @property
    def tags(self) -> TagTable: ...

    @property
    def settings(self) -> GatewaySettings: ...


class EventOps:
    """The op over one running node."""

    def __init__(self, node: HasJournal) -> None:
        self._node = node

    async def events(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Pages of events not older than `since_ms`, oldest first; the store is only read, as the caller takes them."""
        try:
            asked = msgspec.convert(args, _Args)
        except msgspec.ValidationError as error:
            raise OpError(f"edgex_events: {error}", code=400) from error
        with contextlib.suppress(StoreFull):  # what finds no room on the disk is not in the journal yet
            await self._node.store.commit()
        maker = EventMaker(self._node.settings.id, all_qualities=asked.quality == "all")
        resources = self._resources()
        lines: list[str] = []
        size = 0
        arrivals = self._node.store.arrivals()
        async for part in arrivals.segments("telemetry", Span(asked.since_ms), _AT_ONCE):
            if isinstance(part, Missing):
                if lines:
                    yield {"lines": lines}
                lines, size = [], 0
                yield {"gap": {"epoch": part.epoch, "from": part.first, "to": part.last}}
                continue
            for line in _lines(maker, part, resources, asked.since_ms):
                lines.append(line)
                size += len(line)
                if size >= PAGE_BYTES:
                    yield {"lines": lines}
                    lines, size = [], 0
        if lines:
            yield {"lines": lines}

    def _resources(self) -> dict[int, Resource | None]:
        node = self._node
        every = by_alias(node.store.aliases().values(), {device.id: device.spec for device in node.tags.devices()})
        return dict(every)


def _lines(maker: EventMaker, part: Segment, resources: dict[int, Resource | None], since_ms: int) -> list[str]:
    for alias in part.aliases:
        resources.setdefault(alias, None)  # a tag that came while this is read
    return [
        msgspec.json.encode(maker.event(part, resources, group)).decode()
        for group in maker.groups(part, resources)
        if group.ts >= since_ms
    ]
