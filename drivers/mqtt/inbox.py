"""The way of a message: taken in, decoded once per format, given to all who want it, published, acknowledged.

Synchronous from the socket to the journal's buffer: nothing waits in a queue of its own. QoS 1 messages are bounded by
the Receive Maximum; QoS 0 messages beyond a bound are dropped and counted while the disk does not follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from drivers.mqtt.formats import BadPayload, Decoder, decoder
from drivers.mqtt.ledger import Ledger
from drivers.mqtt.mapping import TopicMap
from drivers.mqtt.presence import Presence
from drivers.mqtt.router import Router
from drivers.mqtt.values import shown
from gateway.driver import Columns, DriverContext
from gateway.model import Tag, Value
from gateway.mqttclient.connection import Inbound

UNREADABLE = "unreadable_payloads"
TOO_LARGE = "message_too_large"
_MOST_LARGE = 5
"""Topics that are named."""
_LONGEST_TOPIC = 200
_MOST_UNWRITTEN = 4
"""QoS 0 messages not yet on disk, in Receive Maximums."""

Seen = Callable[[Tag, Value], None]


class Counts(Struct):
    """What happened to messages; shown with the channel's statistics."""

    messages: int = 0
    retained: int = 0
    retained_skipped: int = 0
    held: int = 0
    unmapped: int = 0
    unreadable: int = 0
    too_large: int = 0
    dropped_qos0: int = 0


class Inbox:
    """Takes the messages of one channel. `held` is True while what comes may have waited at the broker."""

    def __init__(self, ctx: DriverContext, router: Router, presence: Presence, maximum: int, max_payload: int) -> None:
        self._ctx = ctx
        self._router = router
        self._presence = presence
        self._most_unwritten = maximum * _MOST_UNWRITTEN
        self._max_payload = max_payload
        self._decoders: dict[str, Decoder] = {}
        self._unreadable: set[str] = set()
        self._large: dict[str, int] = {}
        self.counts = Counts()
        self.held = False
        self.watched: dict[Tag, Callable[[Value], None]] = {}
        """Tags whose next values somebody waits for."""

    def prepare(self, formats: Iterable[str]) -> None:
        """Load what decodes these formats. Raises RuntimeError for a missing library."""
        self._decoders = {name: decoder(name) for name in {"json", "plain", *formats}}

    def take(self, message: Inbound, ledger: Ledger) -> None:
        """One message. Never raises: one bad message is nobody else's trouble."""
        counts = self.counts
        counts.messages += 1
        if message.qos == 0 and ledger.unwritten >= self._most_unwritten:
            counts.dropped_qos0 += 1
            return
        done = ledger.arrived(message)
        try:
            published = self._pass_on(message, done)
        except Exception:
            self._ctx.log.exception("a message on %s could not be handled", message.topic)
            counts.unreadable += 1
            published = False
        if not published:
            done()

    def _pass_on(self, message: Inbound, done: Callable[[], None]) -> bool:
        """Whether something was published that will call `done`."""
        takers = self._router.takers(message.topic)
        counts = self.counts
        if not takers:
            counts.unmapped += 1
            return False
        if len(message.payload) > self._max_payload:
            counts.too_large += 1
            self._tell_large(message.topic, len(message.payload))
            self._complain(
                takers, message.topic, f"{len(message.payload)} bytes, and max_payload is {self._max_payload}"
            )
            return False
        if self._large and message.topic in self._large:
            self._tell_large(message.topic, 0)
        if message.retain:
            counts.retained += 1
        elif self.held:
            counts.held += 1
        ready: list[tuple[TopicMap, Columns]] = []
        form, document = "", None
        for taker in takers:
            if taker.format != form:
                form = taker.format
                try:
                    document = self._decoders[form](message.payload)
                except BadPayload as error:
                    self._unread(taker, message, error)
                    form = ""
                    continue
            if isinstance(taker, TopicMap):
                ready += self._columns(taker, message, document)
            else:
                taker.take(message, document)
        return self._publish(ready, done)

    def _columns(self, taker: TopicMap, message: Inbound, document: Any) -> list[tuple[TopicMap, Columns]]:
        late = ""
        if message.retain:
            late = taker.retained
            if late == "skip":
                self.counts.retained_skipped += 1
                return []
        elif self.held:
            late = taker.held
        try:
            found = [(taker, columns) for columns in taker.columns(document, self._ctx.clock.wall_ms(), late)]
        except ValueError as error:
            self._unread(taker, message, error)
            return []
        if not message.retain:
            self._presence.heard(taker.device.id)
        elif taker.last_ts:
            # a retained copy of what came already, with its time
            found = [pair for pair in found if pair[1].ts is None or pair[1].ts > taker.last_ts]
        if self._unreadable and taker.device.id in self._unreadable:
            self._unreadable.discard(taker.device.id)
            self._ctx.clear(UNREADABLE, device=taker.device.id)
        return found

    def _publish(self, ready: list[tuple[TopicMap, Columns]], done: Callable[[], None]) -> bool:
        last = len(ready) - 1
        for place, (taker, columns) in enumerate(ready):
            # the journal keeps the order: what is on disk is on disk with all that came before it
            self._ctx.publish(
                taker.block,
                columns.values,
                ts=columns.ts,
                index=columns.index,
                quality=columns.quality,
                on_durable=done if place == last else None,
            )
            if columns.ts is not None and columns.ts > taker.last_ts:
                taker.last_ts = columns.ts
            if self.watched:
                self._show(taker, columns)
        return bool(ready)

    def _show(self, taker: TopicMap, columns: Columns) -> None:
        places = range(len(columns.values)) if columns.index is None else columns.index
        for place, value in zip(places, columns.values, strict=True):
            seen = self.watched.get(taker.block.tags[place])
            if seen is not None:
                seen(value)

    def _unread(self, taker: Any, message: Inbound, error: Exception) -> None:
        self.counts.unreadable += 1
        if isinstance(taker, TopicMap):
            self._complain((taker,), message.topic, f"{error}; it is {shown(message.payload)}")

    def _tell_large(self, topic: str, size: int) -> None:
        """`size`: of a message that is too large; 0 for a good one."""
        if size == self._large.get(topic, 0) or (topic not in self._large and len(self._large) >= _MOST_LARGE):
            return
        if size:
            new = topic not in self._large
            self._large[topic] = size
            if not new:  # one that grows is not told again
                return
        else:
            del self._large[topic]
        if not self._large:
            self._ctx.clear(TOO_LARGE)
            return
        which = ", ".join(f"{name[:_LONGEST_TOPIC]} ({bytes_} bytes)" for name, bytes_ in self._large.items())
        text = f"larger than max_payload ({self._max_payload} bytes): {which}"
        self._ctx.issue(TOO_LARGE, text, "raise `max_payload`")

    def _complain(self, takers: Iterable[Any], topic: str, text: str) -> None:
        for taker in takers:
            device = taker.device.id if isinstance(taker, TopicMap) else ""
            if device and device not in self._unreadable:
                self._unreadable.add(device)
                repair = "set `format`, `path` or `items` to what the device sends; fieldpost trace shows it"
                self._ctx.issue(UNREADABLE, f"a message on {topic} cannot be read: {text}", repair, device)
