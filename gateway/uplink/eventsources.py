"""Makes messages of codec `edgex` out of the journal: several of one stretch of numbers, which is done when all of its
messages are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from gateway.edgexevents.resources import Resource
from gateway.journal import Consumer, Segment
from gateway.mqttclient.connection import Outgoing
from gateway.settings.types import UplinkSettings
from gateway.uplink.codecs.base import Names
from gateway.uplink.codecs.edgex import EdgexCodec, Letter, Resources
from gateway.uplink.lanes import Parcel, Stretch
from gateway.uplink.order import BACKLOG, LIVE
from gateway.uplink.ports import Identity
from gateway.uplink.slices import cut
from gateway.uplink.sources import TELEMETRY, Limits, Sources

AT_ONCE = 250
"""Readings whose messages are made together: what waits here, and what comes again after a kill."""
_EMPTY_AT_ONCE = 20
"""Stretches without any message that are passed over in one turn of the loop."""


class EventSources(Sources):
    """`resources` gives what EdgeX calls the tags; a new mapping each time that something of it has changed.

    `lost(numbers, why)` is called for gap records: the format has none.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        identity: Identity,
        consumer: Consumer,
        codec: EdgexCodec,
        limits: Limits,
        resources: Callable[[], Mapping[int, Resource]],
        lost: Callable[[int, str], None],
    ) -> None:
        super().__init__(settings, identity, consumer, None, limits, lambda _: True)
        self._events = codec
        self._all_resources = resources
        self._lost = lost
        self._resources_of: Mapping[int, Resource] | None = None
        self._resources: dict[int, Resource | None] = {}
        self._made: dict[str, deque[Parcel]] = {LIVE: deque(), BACKLOG: deque()}
        self._readings = min(self._readings, AT_ONCE)
        self._more = False

    def topic(self, name: str) -> str:
        return self._events.template if name == TELEMETRY else super().topic(name)

    @property
    def unfinished(self) -> bool:
        return self._more

    def begin(self, now: float) -> None:
        super().begin(now)
        for parcels in self._made.values():
            parcels.clear()

    @property
    def backlog_waits(self) -> bool:
        return bool(self._made[BACKLOG]) or super().backlog_waits

    def live_due(self, now: float) -> float | None:
        return 0.0 if self._made[LIVE] else super().live_due(now)

    def live(self, now: float) -> Parcel | None:
        made = self._made[LIVE]
        if made:
            return made.popleft()
        parcel = super().live(now)
        if parcel is not None:
            for each in made:
                each.since = parcel.since
        return parcel

    def backlog(self, now: float) -> Parcel | None:
        return self._made[BACKLOG].popleft() if self._made[BACKLOG] else super().backlog(now)

    def gap(self, now: float) -> Parcel | None:  # noqa: ARG002 - the form of what it stands for
        """An event cannot tell of numbers that never come: they are told at the gateway."""
        for gap in self._consumer.gaps():
            self._consumer.gap_done(gap)
            self._lost(gap.n or 0, gap.why)
        return None

    def again(self, segment: Segment, names: Names) -> tuple[Segment, list[Outgoing]]:  # noqa: ARG002 - see above
        segment, _ = cut(segment, AT_ONCE)
        return segment, [_outgoing(letter) for letter in self._letters(segment) if letter.topic]

    def _telemetry(self, kind: str, after: tuple[int, int], upto: tuple[int, int], now: float) -> Parcel | None:
        self._more = False
        for _ in range(_EMPTY_AT_ONCE):
            segment = self._collect(after, upto)
            if segment is None:
                self._end(kind)
                return None
            made = self._made[kind]
            made.extend(self._parcels(kind, segment, now))
            if made:
                return made.popleft()
            self._consumer.done(segment.stream, segment.epoch, segment.first, segment.last)
            after = (segment.epoch, segment.last)
        self._more = True
        return None

    def _parcels(self, kind: str, segment: Segment, now: float) -> Iterator[Parcel]:
        """All messages of a stretch of numbers; readings that no message can carry are given up."""
        sent = []
        for letter in self._letters(segment):
            if letter.topic:
                sent.append(letter)
            else:
                self._consumer.refuse(segment.stream, segment.epoch, letter.first, letter.last, "codec")
        stretch = Stretch(len(sent))
        for letter in sent:
            yield Parcel(
                kind,
                _outgoing(letter),
                segment.stream,
                segment.epoch,
                segment.first,
                segment.last,
                letter.last - letter.first + 1,
                now,
                stretch=stretch,
                numbers=(letter.first, letter.last),
            )

    def _letters(self, segment: Segment) -> list[Letter]:
        try:
            return list(self._events.letters(segment, self._carried(), self._limits.payload))
        except KeyError:  # an alias that the store does not know either
            return [Letter(segment.first, segment.last)]

    def _carried(self) -> Resources:
        """What EdgeX calls the tags that this uplink carries."""
        every = self._all_resources()
        if every is not self._resources_of:
            self._resources_of = every
            self._resources = {
                alias: each if self._chosen(each.device_id) and not each.local else None
                for alias, each in every.items()
            }
        return self._resources


def _outgoing(letter: Letter) -> Outgoing:
    return Outgoing(letter.topic, letter.payload, letter.content_type)
