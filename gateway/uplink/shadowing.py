"""Shadows over one uplink: desired documents and patches in, reported documents and rejections out (protocol.md 3).

Lives as long as the uplink. A message that came in is taken before it is acknowledged; what goes out is remembered as
known to the broker only when it was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, Inbound, Outgoing
from gateway.shadows.messages import rejected
from gateway.shadows.values import Phase, Rejection
from gateway.uplink.codecs.base import JSON
from gateway.uplink.ports import Identity, ShadowPort
from gateway.uplink.select import Chosen
from gateway.uplink.verdict import Beside, tell_refused_beside

QUIET_S = 60.0
"""A reported document without a write goes out at most this often (H32)."""
LOOK_S = 10.0
"""How often it is looked whether values have changed."""
ASK_AGAIN_S = 60.0
"""After a message that found no room on disk the retained documents are asked for again."""
_NEVER = float("-inf")
_SHADOWS = Beside("shadow", "shadow/#", "the shadows of this gateway")

_log = logging.getLogger("fieldpost.uplink")


class ShadowLink:
    """`devices` are the patterns of the uplink's selection."""

    def __init__(
        self, name: str, health: Health, identity: Identity, devices: tuple[str, ...], port: ShadowPort, clock: Clock
    ) -> None:
        self._name = name
        self._health = health
        self._identity = identity
        self._chosen = Chosen(devices)
        self._port = port
        self._clock = clock
        self._due: dict[str, float] = {}
        self._urgent: set[str] = set()
        self._look_at = _NEVER
        self._looked: dict[str, float] = {}
        self._published: dict[str, float] = {}
        self._news = asyncio.Event()
        self._again = False
        self._ask_again_at = float("inf")
        port.listen(self._within)

    @property
    def filters(self) -> list[str]:
        """What is to be subscribed to, below the root."""
        return ["shadow/+/desired", "shadow/+/desired/patch"]

    def resync(self) -> None:
        """Publish all reported documents again, known or not."""
        self._again = True
        self._news.set()

    def close(self) -> None:
        """The uplink ends for good."""
        self._port.unlisten(self._within)

    async def handle(self, connection: Connection, topic: str, message: Inbound) -> None:
        """Take what came on `shadow/...`. Returns when it is on disk and a refusal is at the broker."""
        levels = topic.split("/")
        if len(levels) < 3 or not message.payload:
            return  # an empty payload only clears what the broker has retained
        if self._port.knows(levels[1]) and not self._chosen(levels[1]):
            return  # another uplink's
        device, kind = levels[1], levels[2:]
        refused: Rejection | None = None
        answer: Mapping[str, Any] | None = None
        try:
            if kind == ["desired"]:
                refused = await self._port.desired(device, message.payload)
            elif kind == ["desired", "patch"]:
                refused, answer = await self._port.patch(device, message.payload)
        except StoreError as error:  # delivery must go on: it is what makes room
            refused = Rejection("", 0, Phase.FAILED, 500, f"not stored, a whole document is asked for again: {error}")
            self._ask_again_at = self._clock.mono() + ASK_AGAIN_S
        if refused is not None:
            await self._reject(connection, device, refused)
        if answer is not None:
            body = {"v": 1, "ts": self._clock.wall_ms(), **answer}
            await connection.publish(self._message(f"result/{answer['rid']}", body, retain=False))

    async def run(self, connection: Connection, ask_again: Callable[[], None]) -> None:
        """Publish what there is to say, for as long as the connection lasts. Raises ConnectionLost.

        `ask_again` subscribes once more, so that retained documents come again.
        """
        now = self._clock.mono()
        self._due = dict.fromkeys(self._devices(), now)
        self._looked, self._published, self._urgent = {}, {}, set()
        self._look_at = now
        await self._port.prepare()
        exchanged = False
        while True:
            self._news.clear()
            again, self._again = self._again, False
            if again:
                self._due = dict.fromkeys(self._devices(), self._clock.mono())
            try:
                await self._publish_due(connection, again=again)
                if not exchanged:
                    await self._port.exchanged()
                    exchanged = True
                    continue  # it may have changed something
            except StoreError as error:
                _log.warning("shadows wait for room on the disk: %s", error)
            if self._clock.mono() >= self._ask_again_at:
                self._ask_again_at = float("inf")
                ask_again()
            timer = self._clock.call_later(LOOK_S, self._news.set)
            soon = self._clock.call_later(self._wait(), self._news.set)
            try:
                await self._news.wait()
            finally:
                timer.cancel()
                soon.cancel()

    def _devices(self) -> list[str]:
        return [device for device in self._port.devices() if self._chosen(device)]

    def _wait(self) -> float:
        return max(0.01, min([*self._due.values(), self._clock.mono() + LOOK_S]) - self._clock.mono())

    def _within(self, device: str, seconds: float) -> None:
        if self._chosen(device):
            at = self._clock.mono() + seconds
            self._due[device] = min(self._due.get(device, at), at)
            self._urgent.add(device)
            self._news.set()

    async def _publish_due(self, connection: Connection, *, again: bool) -> None:
        now = self._clock.mono()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now)
        due = [device for device, at in self._due.items() if at <= now]
        # what somebody waits for goes first: after a start all devices have something to say
        for device in sorted(due, key=lambda device: device not in self._urgent):
            del self._due[device]
            self._urgent.discard(device)
            self._looked[device] = now
            await self._report(connection, device, again=again)
            for rejection in self._port.untold(device):
                await self._tell(connection, device, rejection)

    def _look(self, now: float) -> None:
        """Devices of which nothing was heard for a while: their values may have changed."""
        devices = self._devices()
        for gone in self._due.keys() - devices:
            del self._due[gone]
        for device in devices:
            at = max(self._looked.get(device, _NEVER) + LOOK_S, self._published.get(device, _NEVER) + QUIET_S)
            if at <= now:
                self._due.setdefault(device, now)

    async def _report(self, connection: Connection, device: str, *, again: bool) -> None:
        document = await self._port.document(device)
        if document is None or (document.hash == self._port.acked(connection.url, device) and not again):
            return
        code = await connection.publish(self._message(f"shadow/{device}/reported", document.body, retain=True))
        self._published[device] = self._clock.mono()
        tell_refused_beside(self._health, self._name, self._identity, _SHADOWS, f"shadow/{device}/reported", code)
        if code < REFUSED:
            self._port.ack(connection.url, device, document.hash)

    async def _tell(self, connection: Connection, device: str, rejection: Rejection) -> None:
        if await self._reject(connection, device, rejection) < REFUSED:
            await self._port.told(device, rejection)

    async def _reject(self, connection: Connection, device: str, rejection: Rejection) -> int:
        body = rejected(rejection, self._clock.wall_ms())
        return await connection.publish(self._message(f"shadow/{device}/rejected", body, retain=False))

    def _message(self, topic: str, body: Mapping[str, Any], *, retain: bool) -> Outgoing:
        return Outgoing(f"{self._identity.root}/{topic}", msgspec.json.encode(body), JSON, retain=retain)
