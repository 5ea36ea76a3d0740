"""The session with the broker: connected again for ever, subscribed, and how far the broker has caught up.

A message that the broker kept for us while we were away looks like any other. It is told by order: a broker sends what
it holds before it answers a new packet, unless the Receive Maximum stops it. So while there was no answer with room to
spare since the connection began, what comes may be old.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drivers.mqtt.continuing import Tags, end, tags_by, take_up
from drivers.mqtt.inbox import Inbox
from drivers.mqtt.ledger import Ledger
from drivers.mqtt.presence import Presence
from drivers.mqtt.settings import ChannelSettings
from drivers.mqtt.topics import fewest
from gateway.backoff import Backoff
from gateway.driver import DriverContext
from gateway.mqttclient.connection import MQTT_5, MQTT_311, ConnectFailed, Connection, ConnectionLost, ConnectOptions
from gateway.tls import TlsSettings

UNREACHABLE = "broker_unreachable"
REFUSED = "subscriptions_refused"
TAKEN = "client_id_taken"
DISK = "waiting_for_the_disk"
STALLED_S = 60.0
_FIRST_S, _CAP_S = 0.2, 5.0
_LASTS_S, _SHORT_ONES = 2.0, 12
"""Connections in a row that did not last."""
_CHUNK = 50
"""Filters in one SUBSCRIBE."""
_MEMORY_ID, _MEMORY_FILTERS = "client_id", "filters"
_SESSION_TAKEN_OVER = 0x8E
_LEAST_ROOM = 10
"""MQTT 3.1.1 does not tell the broker's limit; brokers allow 20 and more."""
_LOOK_AGAIN_S = 0.1
_SETTLE_S, _SETTLE_STEP_S = 1.0, 0.02
_MARK = "fieldpost/none"
"""A filter that nobody subscribes: giving it up is a question without any effect."""
_OVERHEAD = 65_536 + 1024
_HEARD_OF = 16_000_000
"""A broker drops what is larger than we say we take, and tells nobody: up to here it comes, so that it can be told."""

Connect = Callable[[str, ConnectOptions], Any]
Trace = Callable[[bool, str, bytes, str], None]


def client_id(settings: ChannelSettings, ctx: DriverContext) -> str:
    """The configured id, or one of this gateway's channel that stays the same over restarts."""
    if settings.client_id:
        return settings.client_id
    known = ctx.memory.get(_MEMORY_ID)
    if not isinstance(known, str):
        known = f"fieldpost-{ctx.channel.id}-{secrets.token_hex(4)}"
        ctx.memory.put(_MEMORY_ID, known)
    return known


def options_of(settings: ChannelSettings, name: str, *, keeps: bool) -> ConnectOptions:
    """How to connect. `keeps`: the broker is to keep the session."""
    tls = settings.tls or {}
    files = TlsSettings(**{key: Path(tls[key]) for key in ("ca", "cert", "key") if tls.get(key)})
    keeps = keeps and settings.session > 0
    return ConnectOptions(
        client_id=name,
        username=settings.username,
        password=settings.password,
        tls=files,
        keepalive_s=float(settings.keepalive),
        level=MQTT_5 if settings.protocol == 5 else MQTT_311,
        clean_start=not keeps,
        session_expiry_s=round(settings.session) if keeps else 0,
        receive_maximum=settings.receive_maximum,
        max_packet=max(settings.max_payload, _HEARD_OF) + _OVERHEAD,
    )


class Session:
    """Connects, subscribes and hands messages to the inbox, again and again. `connection`: None while it is down."""

    def __init__(
        self, ctx: DriverContext, takers: Sequence[Any], inbox: Inbox, presence: Presence, connect: Connect
    ) -> None:
        self._ctx = ctx
        self._settings: ChannelSettings = ctx.channel.settings
        self._filters = fewest(taker.filter for taker in takers)
        self._tags = tags_by(self._filters, takers)
        self._inbox = inbox
        self._presence = presence
        self._connect = connect
        self._known: Tags | None = None
        """Filters whose values are known, with the tags that they brought then: no retained ones are needed."""
        self.connection: Connection | None = None
        self.ledger: Ledger | None = None
        self._short = 0
        self.reconnects = 0
        self.acknowledged = 0
        self.tap: Callable[[Any], None] | None = None
        """Sees every message before the inbox: a trace, a scan."""

    async def run(self) -> None:
        """For ever."""
        backoff = Backoff(_FIRST_S, _CAP_S)
        keeps = bool(self._ctx.devices)
        name = client_id(self._settings, self._ctx) if keeps else f"fieldpost-look-{secrets.token_hex(4)}"
        options = options_of(self._settings, name, keeps=keeps)
        gone_at = self._ctx.clock.mono()
        while True:
            connection = await self._open(options)
            if isinstance(connection, str):  # what went wrong
                await self._wait(backoff.next(), gone_at, connection)
                continue
            before = take_up(name, self._ctx.clock.mono())
            self._inbox.held = connection.session_present and before is None
            self._known = before if self._known is None else self._known
            try:
                lost = await self._serve(connection, backoff)
            except asyncio.CancelledError:
                await self._settle(connection)
                end(name, self._ctx.clock.mono(), self._tags)
                raise
            finally:
                self.connection = None
                await connection.close()
            self._ctx.link(up=False, why=str(lost))
            gone_at = self._ctx.clock.mono()
            self._tell_lost(lost, name)
            await self._wait(backoff.next(), gone_at, str(lost))

    async def _open(self, options: ConnectOptions) -> Connection | str:
        """A connection, or why there is none: an exception that lived on while we wait would hold its socket."""
        try:
            connection: Connection = await self._connect(self._settings.url, options)
        except ConnectFailed as error:
            self._short = 0
            self._ctx.link(up=False, why=str(error))
            self._ctx.issue(UNREACHABLE, f"no connection to the broker: {error}", _repair(error))
            return str(error)
        return connection

    async def _serve(self, connection: Connection, backoff: Backoff) -> ConnectionLost:
        """One connection until it is gone."""
        ledger = self.ledger = Ledger(connection.confirm, self._ctx.hurry, self._settings.receive_maximum)
        connection.on_message(lambda message: self._take(message, ledger))
        try:
            await self._subscribe(connection)
            self.connection = connection
            self._presence.begin()
            self._known = self._tags
            self._ctx.link(up=True)
            self._ctx.clear(UNREACHABLE)
            if self._short < _SHORT_ONES:
                backoff.reset()
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._catch_up(connection, ledger)),
                    group.create_task(self._lasts(backoff)),
                    group.create_task(self._minds_the_disk(connection, ledger)),
                ]
                lost = await asyncio.shield(connection.closed)
                for task in beside:
                    task.cancel()
        except ConnectionLost as error:
            lost = error
        self.reconnects += 1
        self.acknowledged += ledger.acknowledged
        return lost

    async def _settle(self, connection: Connection) -> None:
        """Before a planned end: what is on its way to the disk is acknowledged there, else it came again as another
        reading. What comes now stays at the broker.
        """
        connection.on_message(lambda _message: None)
        self._ctx.hurry()
        for _ in range(round(_SETTLE_S / _SETTLE_STEP_S)):
            if self.ledger is None or self.ledger.waiting == 0 or connection.closed.done():
                return
            await asyncio.sleep(_SETTLE_STEP_S)

    def _take(self, message: Any, ledger: Ledger) -> None:
        if self.tap is not None:
            self.tap(message)
        self._inbox.take(message, ledger)

    async def _subscribe(self, connection: Connection) -> None:
        """Subscribe to everything, and give up what another configuration had subscribed.

        Retained messages come where values are not known: at the start, without a session, after devices were given up.
        """
        memory, wanted = self._ctx.memory, self._filters
        kept = memory.get(_MEMORY_FILTERS)
        before = list(kept) if isinstance(kept, list | tuple) else []
        known = {} if self._presence.lost or not connection.session_present else self._known or {}
        fresh = [name for name in wanted if not self._tags[name] <= known.get(name, frozenset()) or name not in known]
        refused = await self._subscribe_to(connection, fresh, retained=0)
        if connection.level != MQTT_311:  # 3.1.1 brings every retained message again with each SUBSCRIBE
            new = set(fresh)
            refused += await self._subscribe_to(connection, [name for name in wanted if name not in new], retained=1)
        if refused or len(fresh) == len(wanted):
            self._tell_refused(refused)
        left = [name for name in before if name not in set(wanted)]
        if left and connection.session_present:
            for start in range(0, len(left), _CHUNK):
                await connection.unsubscribe(left[start : start + _CHUNK])
        if before != wanted and self._ctx.devices:
            memory.put(_MEMORY_FILTERS, wanted)

    async def _subscribe_to(self, connection: Connection, filters: list[str], *, retained: int) -> list[str]:
        """Subscribe; the filters that the broker refuses."""
        refused: list[str] = []
        for start in range(0, len(filters), _CHUNK):
            part = filters[start : start + _CHUNK]
            codes = await connection.subscribe(part, qos=self._settings.qos, retained=retained)
            refused += [name for name, code in zip(part, codes, strict=True) if code >= 0x80]
        return refused

    async def _lasts(self, backoff: Backoff) -> None:
        """A connection that stays is one that works. A broker hangs up on one of two clients with one name, again and
        again, and some do not say why.
        """
        await asyncio.sleep(_LASTS_S)
        backoff.reset()
        self._short = 0
        self._ctx.clear(TAKEN)

    async def _minds_the_disk(self, connection: Connection, ledger: Ledger) -> None:
        """End a connection whose messages do not get to the disk: what the journal had no room for was counted there
        and is never acknowledged. The broker still has it, and gives it again on the next connection only.
        """
        clock, done, since = self._ctx.clock, -1, 0.0
        while True:
            if not ledger.waiting or ledger.acknowledged != done:
                done, since = ledger.acknowledged, clock.mono()
                self._ctx.clear(DISK)
            elif clock.mono() - since > STALLED_S:
                text = (
                    f"{ledger.waiting} messages wait for the disk since {STALLED_S:g} s; the broker keeps what follows"
                )
                self._ctx.issue(DISK, text, "make room on the disk")
                connection.abort()
                return
            await asyncio.sleep(STALLED_S / 10)

    async def _catch_up(self, connection: Connection, ledger: Ledger) -> None:
        """Find the moment from which on what comes is new."""
        room = self._settings.receive_maximum if connection.level == MQTT_5 else _LEAST_ROOM
        with contextlib.suppress(ConnectionLost):
            while self._inbox.held:
                limit = ledger.limit or room
                waiting, before = ledger.waiting, ledger.total
                if waiting < limit:
                    await connection.unsubscribe([_MARK])
                    if waiting + ledger.total - before < limit:
                        self._inbox.held = False
                        return
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _wait(self, seconds: float, gone_at: float, reason: str) -> None:
        """Wait for the next try; give the devices up when the broker is away for longer than `patience`."""
        clock, patience = self._ctx.clock, float(self._settings.patience)
        left = gone_at + patience - clock.mono()
        if self._presence.lost or left > seconds:
            await clock.sleep(seconds)
            return
        await clock.sleep(max(0.0, left))
        self._presence.all_gone(f"no connection to the broker: {reason}")
        await clock.sleep(max(0.0, seconds - max(0.0, left)))

    def _tell_lost(self, lost: ConnectionLost, name: str) -> None:
        self._ctx.log.info("connection to the broker is gone: %s", lost)
        self._short += 1
        if lost.code == _SESSION_TAKEN_OVER or self._short >= _SHORT_ONES:
            connects = "connects" if lost.code == _SESSION_TAKEN_OVER else "seems to connect"
            text = f"another client {connects} with our client id {name}: the broker hangs up again and again"
            self._ctx.issue(TAKEN, text, "give each gateway and program its own `client_id`")

    def _tell_refused(self, refused: list[str]) -> None:
        if refused:
            shown = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
            self._ctx.issue(REFUSED, f"the broker refuses these subscriptions: {shown}", "look at its access list")
        else:
            self._ctx.clear(REFUSED)


def _repair(error: ConnectFailed) -> str:
    if error.code in {0x86, 0x87, 4, 5}:
        return "check `username`, `password` and the broker's access list"
    if error.closed:
        return "the broker closed before it answered: try `protocol: 3.1.1`, or mqtts:// where it wants TLS"
    return "check `url`, and that the broker runs"
