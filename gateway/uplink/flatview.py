"""Delivery for codec `flat`: the newest value per tag, retained; never a queue longer than the number of tags."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.clock import Clock
from gateway.health import Health
from gateway.settings.types import UplinkSettings
from gateway.uplink.codecs.flat import FlatCodec
from gateway.uplink.connection import Connection, ConnectionLost, Outgoing
from gateway.uplink.counters import Counters
from gateway.uplink.lanes import Parcel
from gateway.uplink.ports import LatestView
from gateway.uplink.select import Chosen


class FlatView:
    """Lives as long as the uplink: knows the topics it has written, so that a removed tag's is cleared."""

    def __init__(
        self,
        settings: UplinkSettings,
        codec: FlatCodec,
        latest: LatestView,
        counters: Counters,
        clock: Clock,
        health: Health,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._latest = latest
        self._counters = counters
        self._clock = clock
        self._health = health
        self._chosen = Chosen(settings.select.devices)
        self._topics: dict[int, str] = {}
        self._waiting: dict[int, None] = {}
        self._wake = asyncio.Event()

    async def run(self, connection: Connection) -> None:
        """Deliver until the connection is lost. Raises ConnectionLost."""
        unsubscribe = self._latest.subscribe(self._changed)
        connection.closed.add_done_callback(self._closed)
        connection.on_room(self._wake.set)
        try:
            self._waiting = dict.fromkeys([*self._topics, *(latest.slot for latest in self._latest.current())])
            while True:
                while connection.room > 0 and self._waiting:
                    slot = next(iter(self._waiting))
                    del self._waiting[slot]
                    self._send(connection, slot)
                self._wake.clear()
                if connection.closed.done():
                    raise connection.closed.result()
                await self._wake.wait()
        finally:
            unsubscribe()
            connection.closed.remove_done_callback(self._closed)

    def _closed(self, _: asyncio.Future[ConnectionLost]) -> None:
        self._wake.set()

    def _changed(self, slots: Sequence[int]) -> None:
        self._waiting.update(dict.fromkeys(slots))
        self._wake.set()

    def _send(self, connection: Connection, slot: int) -> None:
        message = self._message(slot)
        if message is None:
            return
        now = self._clock.mono()
        parcel = Parcel("live", message, "telemetry", 0, 0, 0, 1, now)
        self._counters.sent(now, parcel)
        connection.send(message).add_done_callback(partial(self._acked, parcel, slot))

    def _message(self, slot: int) -> Outgoing | None:
        latest = self._latest.get(slot)
        if latest is None or not self._chosen(latest.device):
            old = self._topics.pop(slot, None)
            return None if old is None else Outgoing(old, b"", retain=True, qos=self._settings.qos)
        try:
            topic = self._codec.topic(latest)
        except ValueError as error:
            self._health.set("uplink_topic", self._settings.name, str(error), "choose a shorter `topic`")
            return None
        encoded = self._codec.value(latest)
        self._topics[slot] = topic
        return Outgoing(topic, encoded.payload, encoded.content_type, retain=True, qos=self._settings.qos)

    def _acked(self, parcel: Parcel, slot: int, ack: asyncio.Future[int]) -> None:
        self._wake.set()
        if ack.cancelled() or ack.exception() is not None:
            self._waiting.setdefault(slot)
            return
        code = ack.result()
        if code < 0x80:
            self._counters.done(self._clock.mono(), self._clock.wall_ms(), parcel)
            self._health.clear("uplink_refused", self._settings.name)
            return
        self._counters.refuse(parcel.message.topic)
        self._health.set(
            "uplink_refused",
            self._settings.name,
            f"the broker refuses {parcel.message.topic} with code 0x{code:02x}",
            "allow this gateway's user to publish retained messages on the uplink's `topic`",
        )
