"""Delivery for codec `flat`: the newest value per tag, retained; never a queue longer than the number of tags."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random

from gateway.clock import Clock
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, ConnectionLost, Outgoing
from gateway.settings.types import UplinkSettings
from gateway.uplink.backoff import Retry
from gateway.uplink.codecs.flat import FlatCodec
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
        random: Random,
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
        self._retry = Retry(random)
        self._held_until = 0.0

    async def run(self, connection: Connection) -> None:
        """Deliver until the connection is lost. Raises ConnectionLost."""
        unsubscribe = self._latest.subscribe(self._changed)
        connection.closed.add_done_callback(self._closed)
        connection.on_room(self._wake.set)
        try:
            self._waiting = dict.fromkeys([*self._topics, *(latest.slot for latest in self._latest.current())])
            while True:
                held = self._held_until - self._clock.mono()
                while connection.room > 0 and self._waiting and held <= 0.0:
                    slot = next(iter(self._waiting))
                    del self._waiting[slot]
                    self._send(connection, slot)
                self._wake.clear()
                if connection.closed.done():
                    raise connection.closed.result()
                timer = self._clock.call_later(held, self._wake.set) if held > 0.0 else None
                try:
                    await self._wake.wait()
                finally:
                    if timer is not None:
                        timer.cancel()
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
            old = self._topics.get(slot)  # forgotten when the broker has cleared it
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
        if code < REFUSED:
            self._counters.done(self._clock.mono(), self._clock.wall_ms(), parcel)
            if not parcel.message.payload and self._latest.get(slot) is None:
                self._topics.pop(slot, None)
            self._health.clear("uplink_refused", self._settings.name)
            if parcel.since >= self._held_until:
                self._retry.succeeded()
            return
        self._counters.refuse(parcel.message.topic)
        self._waiting.setdefault(slot)  # tried again: what is retained has to become what is reported (W16)
        if parcel.since >= self._held_until:  # those in flight together count as one failure
            self._held_until = self._clock.mono() + self._retry.failed()
        self._health.set(
            "uplink_refused",
            self._settings.name,
            f"the broker refuses {parcel.message.topic} with code 0x{code:02x}",
            "allow this gateway's user to publish retained messages on the uplink's `topic`",
        )
