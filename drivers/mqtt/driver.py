"""The driver: one session with a broker, and what its messages mean for the devices behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from msgspec.structs import asdict

from drivers.mqtt.commands import Echo, payload_of
from drivers.mqtt.discovery.watch import Watch
from drivers.mqtt.inbox import Inbox
from drivers.mqtt.mapping import TopicMap
from drivers.mqtt.point import Point, below, outlet_of, points_of
from drivers.mqtt.presence import Presence, Word, words_of
from drivers.mqtt.router import Router
from drivers.mqtt.session import Session
from drivers.mqtt.settings import ChannelSettings, TagSettings
from drivers.mqtt.topics import matches
from drivers.mqtt.trace import frame_of
from gateway.driver import DriverContext, Frame
from gateway.errors import LinkLost, PermanentError, RequestRefused, WriteRejected
from gateway.model import Access, Device, Tag, Value
from gateway.mqttclient.connection import ConnectionLost, Inbound, Outgoing
from gateway.mqttclient.mqtt import connect

_NO_SUBSCRIBERS = 0x10
_FAILED = 0x80


class MqttDriver:
    """Devices that publish to a broker."""

    def __init__(self) -> None:
        self._ctx: DriverContext | None = None
        self._session: Session | None = None
        self._inbox: Inbox | None = None
        self._maps: list[TopicMap] = []
        self._watch: Watch | None = None
        self._listener: Callable[[Frame], None] | None = None
        self._echo: Echo | None = None

    async def run(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        settings: ChannelSettings = ctx.channel.settings
        presence = Presence(ctx)
        self._maps = [made for device in ctx.devices for made in maps_of(settings, device, ctx)]
        words = [
            Word(presence, device, place, word, below(device.spec.settings.topic, word.topic))
            for device in ctx.devices
            for place, word in enumerate(words_of(device.spec.settings))
        ]
        watch = self._watch = Watch(ctx, [made.filter for made in self._maps])
        takers: list[Any] = [*self._maps, *words, *watch.takers()]
        inbox = self._inbox = Inbox(ctx, Router(takers), presence, settings.receive_maximum, settings.max_payload)
        try:
            inbox.prepare(taker.format for taker in takers)
        except RuntimeError as error:
            raise PermanentError(str(error)) from error
        session = self._session = Session(ctx, takers, inbox, presence, connect)
        self._tap()
        if presence.period_s is not None:
            ctx.task_group.create_task(self._look(presence, presence.period_s), name="silent devices")
        await session.run()

    async def _look(self, presence: Presence, period_s: float) -> None:
        while True:
            await self._context.clock.sleep(period_s)
            if self._session is not None and self._session.connection is not None:
                presence.look()

    # --- writing

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Publish a command. Raises RequestRefused when the broker says no, or nobody listens."""
        settings: ChannelSettings = self._context.channel.settings
        source: TagSettings = tag.spec.source
        outlet = outlet_of(settings, device.spec, tag.spec)
        payload = payload_of(tag.spec, value, outlet, source.words)
        session = self._session
        if session is None or session.connection is None:
            raise WriteRejected("there is no connection to the broker", code=504)
        self._watch_echo(device, tag)
        message = Outgoing(outlet.topic, payload, retain=outlet.retain, qos=outlet.qos)
        self._trace(sending=True, topic=outlet.topic, payload=payload, note=f"qos {outlet.qos}")
        try:
            code = await session.connection.publish(message)
        except ConnectionLost as error:
            raise LinkLost(str(error)) from error
        if code >= _FAILED:
            raise RequestRefused(f"the broker refuses {outlet.topic}: code 0x{code:02x}", code=code)
        if code == _NO_SUBSCRIBERS and not outlet.retain:
            raise RequestRefused(f"nobody listens on {outlet.topic}", code=code)

    def _watch_echo(self, device: Device, tag: Tag) -> None:
        shown = tag
        if tag.spec.verify.tag is not None:
            shown = device.tag(tag.spec.verify.tag) or tag
        assert self._inbox is not None
        self._inbox.watched.clear()
        if shown.spec.access is not Access.WRITE:
            self._echo = Echo(shown)
            self._inbox.watched[shown] = self._echo.seen

    async def echoed(self, tag: Tag, fits: Callable[[Value], bool], within_s: float) -> tuple[bool, Value]:
        """What the device says after a write (gateway.abilities.Echoing)."""
        echo, self._echo = self._echo, None
        try:
            return (False, None) if echo is None or echo.tag is not tag else await echo.wait(fits, within_s)
        finally:
            if self._inbox is not None:
                self._inbox.watched.pop(tag, None)

    # --- looking

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        self._listener = listener
        self._tap()

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        """Whether a message is of one of the device's topics."""
        topic = frame.text.partition(" ")[0]
        if any(made.device is device and matches(made.filter, topic) for made in self._maps):
            return True
        settings: ChannelSettings = self._context.channel.settings
        return any(
            tag.spec.access is not Access.READ and outlet_of(settings, device.spec, tag.spec).topic == topic
            for tag in device.tags
        )

    def counters(self) -> Mapping[str, int]:
        if self._inbox is None or self._session is None:
            return {}
        ledger = self._session.ledger
        waiting = 0 if ledger is None else ledger.waiting
        acknowledged = self._session.acknowledged + (0 if ledger is None else ledger.acknowledged)
        return {
            **asdict(self._inbox.counts),
            "acknowledged": acknowledged,
            "waiting": waiting,
            "bad_times": sum(made.bad_times for made in self._maps),
            "described_left_out": 0 if self._watch is None else self._watch.left_out,
            "connections_lost": self._session.reconnects,
        }

    async def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Topics that say something, with samples and what tags they would make."""
        from drivers.mqtt.scan import Scan, options_of

        session = self._session
        if session is None or session.connection is None:
            raise LinkLost("there is no connection to the broker")
        scan = Scan(options_of(options), self._context.clock)
        async for finding in scan.run(self._context.channel.settings, connect):
            yield finding

    def _tap(self) -> None:
        if self._session is not None:
            self._session.tap = self._heard if self._listener is not None else None

    def _heard(self, message: Inbound) -> None:
        kept = ", retained" if message.retain else ""
        self._trace(sending=False, topic=message.topic, payload=message.payload, note=f"qos {message.qos}{kept}")

    def _trace(self, *, sending: bool, topic: str, payload: bytes, note: str) -> None:
        if self._listener is not None:
            self._listener(frame_of(self._context.clock.wall_ms(), topic, payload, note, sending=sending))

    @property
    def _context(self) -> DriverContext:
        if self._ctx is None:
            raise RuntimeError("the driver does not run yet")
        return self._ctx


def maps_of(settings: ChannelSettings, device: Device, ctx: DriverContext) -> list[TopicMap]:
    """One map for each topic and format that brings tags of a device."""
    groups: dict[tuple[str, str], list[tuple[Tag, Point]]] = {}
    for tag in device.tags:
        if tag.spec.virtual is not None or tag.spec.access is Access.WRITE:
            continue
        for point in points_of(settings, device.spec, tag.spec):
            groups.setdefault((point.topic, point.format), []).append((tag, point))
    return [
        TopicMap(device, [tag for tag, _ in pairs], [point for _, point in pairs], ctx.explain)
        for pairs in groups.values()
    ]
