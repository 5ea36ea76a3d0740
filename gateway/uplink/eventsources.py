"""Makes messages of codec `edgex` out of the journal: several of one stretch of numbers, which is done when all of its
messages are.
"""

from __future__ import annotations

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
"""Readings whose messages belong together: what comes again after a kill."""
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
        self._runs: dict[str, _Run] = {}
        self._live_since = 0.0
        self._readings = min(self._readings, AT_ONCE)
        self._more = False

    def topic(self, name: str) -> str:
        return self._events.template if name == TELEMETRY else super().topic(name)

    @property
    def unfinished(self) -> bool:
        return self._more

    def begin(self, now: float) -> None:
        super().begin(now)
        self._runs.clear()

    @property
    def backlog_waits(self) -> bool:
        return BACKLOG in self._runs or super().backlog_waits

    def live_due(self, now: float) -> float | None:
        return 0.0 if LIVE in self._runs else super().live_due(now)

    def live(self, now: float) -> Parcel | None:
        parcel = self._take(LIVE)
        if parcel is not None:
            parcel.since = self._live_since
            return parcel
        parcel = super().live(now)
        if parcel is not None:
            self._live_since = parcel.since
        return parcel

    def backlog(self, now: float) -> Parcel | None:
        return self._take(BACKLOG) or super().backlog(now)

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
            self._runs[kind] = _Run(*self._parcels(kind, segment, now))
            parcel = self._take(kind)
            if parcel is not None:
                return parcel
            self._consumer.done(segment.stream, segment.epoch, segment.first, segment.last)
            after = (segment.epoch, segment.last)
        self._more = True
        return None

    def _take(self, kind: str) -> Parcel | None:
        """The next message of the stretch that is under way."""
        run = self._runs.get(kind)
        if run is None:
            return None
        parcel = run.take()
        if run.is_empty:
            del self._runs[kind]
        return parcel

    def _parcels(self, kind: str, segment: Segment, now: float) -> tuple[Iterator[Parcel], Stretch]:
        """The messages of a stretch of numbers; readings that no message can carry are given up on the way."""
        stretch = Stretch()

        def parcels() -> Iterator[Parcel]:
            for letter in self._letters(segment):
                if not letter.topic:
                    self._consumer.refuse(segment.stream, segment.epoch, letter.first, letter.last, "codec")
                    continue
                stretch.add()
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

        return parcels(), stretch

    def _letters(self, segment: Segment) -> Iterator[Letter]:
        resources = self._carried()
        if resources.keys() >= set(segment.aliases):
            yield from self._events.letters(segment, resources, self._limits.payload)
        else:  # an alias that the store does not know either
            yield Letter(segment.first, segment.last)

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


class _Run:
    """Messages of one stretch, made one ahead: an entry may have thousands, and the loop has other things to do."""

    def __init__(self, parcels: Iterator[Parcel], stretch: Stretch) -> None:
        self._parcels = parcels
        self._stretch = stretch
        self._next: Parcel | None = None
        self._advance()

    @property
    def is_empty(self) -> bool:
        return self._next is None

    def take(self) -> Parcel | None:
        parcel = self._next
        self._advance()
        return parcel

    def _advance(self) -> None:
        self._next = next(self._parcels, None)
        if self._next is None:
            self._stretch.close()


def _outgoing(letter: Letter) -> Outgoing:
    return Outgoing(letter.topic, letter.payload, letter.content_type)
