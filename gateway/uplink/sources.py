"""Makes the next message of each class out of the journal: reads, joins, cuts to the limits, encodes.

Positions live for one connection. What was sent and not acknowledged is read again on the next connection, because
the consumer's cursor has not passed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from gateway.journal import AliasRow, Consumer, Gap, Segment
from gateway.mqttclient.connection import Outgoing
from gateway.settings.types import UplinkSettings
from gateway.uplink.codecs.base import BATCH_JSON, Codec, Encoded, Names, entries_message, gap_message, pack_json
from gateway.uplink.lanes import Parcel
from gateway.uplink.order import BACKLOG, GAP, LIVE
from gateway.uplink.ports import Identity, ModelView
from gateway.uplink.select import Chosen
from gateway.uplink.slices import cut, join, joinable

TELEMETRY = "telemetry"
_START = (0, 0)


class Limits(Struct):
    """What this uplink may send, as learned from the broker; lives as long as the uplink.

    `payload`: bytes of one message. `bytes_per_s`, `messages_per_s`: None is no limit.
    """

    payload: int
    bytes_per_s: float | None
    messages_per_s: float | None


class Sources:
    """The journal as a supply of parcels, for one connection.

    `dict_ready(n)` says whether a birth that names dictionary n is acknowledged (W14); it asks for one if not. Without
    a codec telemetry is somebody else's (gateway/uplink/eventsources.py).
    """

    def __init__(
        self,
        settings: UplinkSettings,
        identity: Identity,
        consumer: Consumer,
        codec: Codec | None,
        limits: Limits,
        dict_ready: Callable[[int], bool],
        model: Callable[[], ModelView] | None = None,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._consumer = consumer
        self._codec = codec
        self._limits = limits
        self._dict_ready = dict_ready
        self._names: dict[int, tuple[str, str] | None] = {}
        self._chosen = Chosen(settings.select.devices)
        self._names_of = -1
        self._model = model
        self._model_of: ModelView | None = None
        self._readings = settings.batch_readings
        self._mark = _START
        self._live = _START
        self._flush_to = _START
        self._old: dict[str, tuple[int, int]] = {}
        self._drained = False
        self._news = True
        self._news_since = 0.0
        self._live_at = float("-inf")
        self._told: set[Gap] = set()

    def begin(self, now: float) -> None:
        """Start from the cursor: what is committed by now is backlog, what comes is live."""
        self._mark = self._live = self._flush_to = self._consumer.mark(TELEMETRY)
        self._old = {}
        self._told.clear()
        self._drained = False
        self._news = True
        self._news_since = now

    def committed(self, now: float) -> None:
        """Something was committed."""
        self._dict_ready(self._consumer.dict_no)  # a new tag: ask for a birth, whatever the codec
        if not self._news:
            self._news_since = now
        self._news = True

    def topic(self, name: str) -> str:
        """The topic of a lane: where its messages go."""
        return f"{self._identity.root}/up/{name}"

    @property
    def unfinished(self) -> bool:
        """Whether there is more to look at at once, although there was nothing to send."""
        return False

    @property
    def backlog_waits(self) -> bool:
        """Whether older readings may still be unsent on this connection."""
        return not self._drained

    def live_due(self, now: float) -> float | None:
        """When live readings go: seconds from now (0.0 is at once), None when there are none."""
        if not self._news:
            return None
        mark = self._consumer.mark(TELEMETRY)
        if mark <= self._live:
            return None
        enough = mark[0] != self._live[0] or mark[1] - self._live[1] >= self._settings.batch_readings
        wait = self._live_at + self._settings.batch_age_s - now
        if enough or wait <= 0.0 or self._live < self._flush_to:
            self._flush_to = max(self._flush_to, mark) if wait <= 0.0 else self._flush_to
            return 0.0
        return wait

    def live(self, now: float) -> Parcel | None:
        """The next live message, if one is due."""
        if self.live_due(now) != 0.0:
            return None
        parcel = self._telemetry(LIVE, self._live, self._consumer.mark(TELEMETRY), now)
        if parcel is None:
            return None
        self._live = (parcel.epoch, parcel.last)
        if self._live >= self._flush_to:
            self._live_at = now
            self._news_since = now
        parcel.since = max(self._news_since, parcel.since)
        return parcel

    def backlog(self, now: float) -> Parcel | None:
        """The oldest message that was committed before this connection."""
        if self._drained:
            return None
        parcel = self._telemetry(BACKLOG, self._old.get(TELEMETRY, _START), self._mark, now)
        if parcel is not None:
            self._old[TELEMETRY] = (parcel.epoch, parcel.last)
        return parcel

    def entries(self, stream: str, now: float) -> Parcel | None:
        """The next entries of `alarm`, `event` or `log`, oldest first."""
        while True:
            segment = self._consumer.next_segment(stream, self._old.get(stream, _START), self._readings)
            segment = _upto(segment, self._consumer.mark(stream))
            if segment is None:
                return None
            sent, encoded = self._fit(segment, self._encode_entries)
            self._old[stream] = (sent.epoch, sent.last)
            if encoded is not None:
                return self._parcel(stream, sent, encoded, now)

    def gap(self, now: float) -> Parcel | None:
        """The oldest gap record that was not sent on this connection."""
        waiting = self._consumer.gaps()
        if len(self._told) > 2 * len(waiting) + 64:  # what was acknowledged needs no remembering
            self._told.intersection_update(waiting)
        for gap in waiting:
            if gap not in self._told and gap.stream in self._settings.select.streams:
                self._told.add(gap)
                encoded = pack_json(gap_message(self._identity.id, gap))
                message = self._message("gap", encoded)
                return Parcel(GAP, message, gap.stream, gap.epoch, gap.first or 0, gap.last or 0, 0, now, gap=gap)
        return None

    def carried(self, aliases: Mapping[int, AliasRow]) -> Names:
        """Names for the codec; None for tags that this uplink does not carry, and for those that no uplink does."""
        named = self._leaving(None if self._model is None else self._model())
        return {
            alias: (row.device, row.tag) if self._chosen(row.device) and (named is None or alias in named) else None
            for alias, row in aliases.items()
        }

    @staticmethod
    def _leaving(model: ModelView | None) -> set[int] | None:
        """Aliases of the tags that may leave over an uplink; None: all."""
        return None if model is None else {row.alias for row in model.rows}

    def again(self, segment: Segment, names: Names) -> tuple[Segment, list[Outgoing]]:
        """The first entries of a held segment as a historical message; none for those that cannot be one. The cursor
        has nothing to do with it.
        """
        segment, _ = cut(segment, self._settings.batch_readings)
        while True:
            try:
                encoded = self._historical(segment, names)
            except (KeyError, TypeError, ValueError, OverflowError):
                return segment, []
            size, limit = len(encoded.payload), self._limits.payload
            if size <= limit:
                return segment, [self._message(segment.stream, encoded)]
            part, rest = cut(segment, max(1, int(segment.n * 0.9 * limit / size)))
            if rest is None:
                return segment, []
            segment = part

    def _historical(self, segment: Segment, names: Names) -> Encoded:
        if segment.stream == TELEMETRY:
            assert self._codec is not None
            return self._codec.telemetry(segment, names, historical=True)
        body = {**entries_message(self._identity.id, segment), "historical": True}
        return pack_json(body, BATCH_JSON, self._settings.compress)

    def told(self) -> set[Gap]:
        """Gap records sent on this connection."""
        return self._told

    def _telemetry(self, kind: str, after: tuple[int, int], upto: tuple[int, int], now: float) -> Parcel | None:
        while True:
            segment = self._collect(after, upto)
            if segment is None:
                self._end(kind)
                return None
            assert self._codec is not None
            if self._codec.needs_birth and not self._dict_ready(segment.dict_no):
                return None
            sent, encoded = self._fit(segment, lambda part: self._encode_telemetry(part, kind))
            if encoded is not None:
                return self._parcel(kind, sent, encoded, now)
            after = (sent.epoch, sent.last)

    def _end(self, kind: str) -> None:
        """Nothing of this class is left."""
        if kind == BACKLOG:
            self._drained = True
        else:
            self._news = False

    def _collect(self, after: tuple[int, int], upto: tuple[int, int]) -> Segment | None:
        """Readings above `after` and not above `upto`, at most a message's worth, joined over stored segments."""
        parts: list[Segment] = []
        room = self._readings
        while room > 0:
            segment = _upto(self._consumer.next_segment(TELEMETRY, after, room), upto)
            if segment is None or (parts and segment.n > room):
                break
            if parts and not joinable(parts[-1], segment):
                break
            parts.append(segment)
            room -= segment.n
            after = (segment.epoch, segment.last)
        return join(parts) if parts else None

    def _fit(self, segment: Segment, encode: Callable[[Segment], Encoded | None]) -> tuple[Segment, Encoded | None]:
        """As many entries as fit one message. Without an encoding, one entry was given up as not expressible."""
        limit = self._limits.payload
        while True:
            encoded = encode(segment)
            size = len(encoded.payload) if encoded else 0
            if encoded is not None and size <= limit:
                if size * 2 < limit:
                    self._readings = min(self._settings.batch_readings, self._readings + self._readings // 4 + 1)
                return segment, encoded
            part, rest = cut(segment, max(1, int(segment.n * 0.9 * limit / max(size, 1))) if encoded else 1)
            if rest is None:
                self._consumer.refuse(segment.stream, segment.epoch, segment.first, segment.last, "codec")
                return segment, None
            segment = part
            if encoded is not None:
                self._readings = max(1, part.n)

    def _encode_telemetry(self, segment: Segment, kind: str) -> Encoded | None:
        assert self._codec is not None
        for _ in range(2):
            try:
                return self._codec.telemetry(segment, self._aliases(), historical=kind == BACKLOG)
            except KeyError:
                self._names_of = -1  # an alias younger than our table
            except (TypeError, ValueError, OverflowError):
                return None
        return None

    def _encode_entries(self, segment: Segment) -> Encoded | None:
        try:
            return pack_json(entries_message(self._identity.id, segment), BATCH_JSON, self._settings.compress)
        except (TypeError, ValueError, OverflowError):
            return None

    def _aliases(self) -> dict[int, tuple[str, str] | None]:
        model = None if self._model is None else self._model()
        if self._names_of != self._consumer.dict_no or model is not self._model_of:
            self._names_of, self._model_of = self._consumer.dict_no, model
            self._names = dict(self.carried(self._consumer.aliases()))
        return self._names

    def _parcel(self, kind: str, segment: Segment, encoded: Encoded, now: float) -> Parcel:
        message = self._message(segment.stream, encoded)
        return Parcel(kind, message, segment.stream, segment.epoch, segment.first, segment.last, segment.n, now)

    def _message(self, topic: str, encoded: Encoded) -> Outgoing:
        return Outgoing(self.topic(topic), encoded.payload, encoded.content_type, encoded.encoding)


def _upto(segment: Segment | None, mark: tuple[int, int]) -> Segment | None:
    """What of it is not above `mark`. A read may see a commit before the consumer's side has taken note of it: an
    acknowledgement that came then would be lost.
    """
    if segment is None or (segment.epoch, segment.first) > mark:
        return None
    if (segment.epoch, segment.last) <= mark:
        return segment
    segment, _ = cut(segment, mark[1] - segment.first + 1)
    return segment if segment.last <= mark[1] else None
