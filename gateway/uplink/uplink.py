"""One uplink: a supervised unit that connects for ever and delivers one cursor's part of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from gateway.clock import Clock
from gateway.health import Health
from gateway.journal import AliasRow, Consumer, Segment
from gateway.mqttclient import mqtt
from gateway.mqttclient.connection import Connection, ConnectionLost, leaves, most_telling
from gateway.settings.types import UplinkSettings
from gateway.uplink.backoff import Reconnect
from gateway.uplink.birth import BirthKeeper
from gateway.uplink.budget import DailyBudget
from gateway.uplink.codecs.flat import FlatCodec
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.counters import Counters
from gateway.uplink.delivery import Delivery
from gateway.uplink.dialer import OVERLOADED, Connect, Dialer, DialFailed
from gateway.uplink.downlink import Receiver
from gateway.uplink.flatview import FlatView
from gateway.uplink.joblink import job_link
from gateway.uplink.memory import Memory, Sessions
from gateway.uplink.overload import Learned
from gateway.uplink.ports import Identity, JobPort, LatestView, ModelView, ShadowPort
from gateway.uplink.presence import Presence
from gateway.uplink.resend import Resent, send_again
from gateway.uplink.shadowing import ShadowLink
from gateway.uplink.side import EXPIRY_S, SideMessages
from gateway.uplink.sources import Limits, Sources
from gateway.uplink.supply import Supply
from gateway.uplink.verdict import Verdict

if TYPE_CHECKING:
    from gateway.edgexevents.resources import Resource
    from gateway.uplink.parts import PartLink
    from gateway.uplink.twins.link import TwinLink
    from gateway.uplink.twins.port import TwinPort

CONNECTING, ONLINE, OFFLINE, STOPPED = "connecting", "online", "offline", "stopped"
REFUSED_RETRY_S = 300.0
_TOO_LARGE = 0x95
_STOP_S = 3.0


class Uplink:
    """`codec: flat` needs no consumer; the others do. All of it runs on one event loop.

    `presence` says whether this uplink tells `status` and has a Will: one whose codec has no numbers does not where
    another uplink serves the same broker host (protocol.md 4.4). `resources`: what EdgeX calls the tags.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        gateway: Identity,
        consumer: Consumer | None,
        model: Callable[[], ModelView],
        latest: LatestView,
        clock: Clock,
        health: Health,
        desk: CommandDesk,
        *,
        random: Random | None = None,
        connect: Connect = mqtt.connect,
        presence: Callable[[], bool] = lambda: True,
        shadows: ShadowPort | None = None,
        resources: Callable[[], Mapping[int, Resource]] = dict,
        twins: TwinPort | None = None,
        jobs: JobPort | None = None,
    ) -> None:
        if (consumer is None) != (settings.codec == "flat"):
            raise ValueError("an uplink has a consumer, except with codec flat")
        self._settings = settings
        self._identity = gateway
        self._consumer = consumer
        self._clock = clock
        self._health = health
        self._random = random or Random()  # noqa: S311 - jitter, not a secret
        self._memory = Memory(consumer)
        self._counters = Counters()
        self._sessions = Sessions(self._memory)
        self._speaks = presence
        self._presence = Presence(settings, gateway, consumer, clock)
        self._births = BirthKeeper(settings.name, gateway, model, self._memory, health)
        self._learned = Learned(settings)
        self._limits = self._learned.limits(None)
        self._budget = DailyBudget(settings.name, settings.bytes_per_day, self._memory, clock, health)
        self._dialer = Dialer(settings, self._memory, clock, connect)
        self._reconnect = Reconnect(settings.reconnect_max_s, self._random, patient=settings.profile == "fleet")
        self._verdict = self._make_verdict()
        self._shadow = (
            ShadowLink(settings.name, health, gateway, settings.select.devices, shadows, clock)
            if shadows is not None and settings.numbered
            else None
        )
        self._twins = self._make_twins(twins)
        links = (self._shadow, self._twins, job_link(settings, health, gateway, jobs, clock))
        self._receiver = Receiver(settings.name, gateway, consumer, desk, health, self._counters, clock, *links)
        self._supply = Supply(settings, gateway, health, self._counters, resources, model)
        self._flat = self._make_flat(latest)
        self._side = SideMessages(settings.name, settings.max_payload, clock)
        self._connection: Connection | None = None
        self._delivery: Delivery | None = None
        self._sources: Sources | None = None
        self._status_due = asyncio.Event()
        self._state = CONNECTING
        self._since = clock.wall_ms()
        self._stopping = False

    # ------------------------------------------------------------------ public

    async def run(self) -> None:
        """Connect, deliver, connect again; ends only by an exception. After `stop` it waits to be cancelled."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                connection = await self._connect()
                if connection is None:
                    break
                if self._stop_asked():
                    await connection.close()
                    break
                # a fresh task per connection: on Python 3.11 a task that catches its group's failure stays marked
                began = self._clock.mono()
                session = group.create_task(self._session(connection))
                # wait, not await: a cancellation of ours must not be handed to a session that ends by itself just then
                await asyncio.wait({session})
                lost = session.result()
                if self._stop_asked():
                    break
                self._after(lost, self._clock.mono() - began)
                # a broker that accepts and hangs up at once is not tried in a tight loop
                await self._clock.sleep(self._reconnect.next_delay(self._clock.mono()))
            self._set_state(STOPPED)
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """Planned stop: deliver what is in flight, say `shutdown`, disconnect. Returns within a few seconds."""
        self._stopping = True
        self._side.close()
        if self._shadow is not None:
            self._shadow.close()
        connection = self._connection
        if connection is None:
            self._set_state(STOPPED)
            return
        try:
            async with asyncio.timeout(_STOP_S):
                if self._delivery is not None:
                    await self._delivery.drain()
                if self._speaks():
                    await connection.publish(self._presence.shutdown(self._sessions.current))
        except (TimeoutError, ConnectionLost):
            connection.abort()
        await connection.close()
        self._set_state(STOPPED)

    def rebirth(self) -> None:
        """Publish the birth again, changed or not."""
        self._births.request(force=True)

    def resync(self) -> None:
        """Publish all reported documents again."""
        if self._shadow is not None:
            self._shadow.resync()

    def model_changed(self) -> None:
        """Look whether the birth has to be published again, and whether the status is still ours to tell."""
        self._births.request()
        self._receiver.resubscribe()
        self._status_due.set()

    @property
    def streams(self) -> tuple[str, ...]:
        """What it carries; nothing that has numbers with codec `flat`."""
        return self._settings.select.streams if self._consumer is not None else ()

    async def resend(self, parts: Iterable[Segment], aliases: Mapping[int, AliasRow], resent: Resent) -> None:
        """Send held numbers once more. Raises ConnectionLost, also when there is no connection."""
        if self._connection is None or self._sources is None:
            raise ConnectionLost("not connected")
        await send_again(self._connection, self._sources, parts, aliases, resent)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: float = EXPIRY_S
    ) -> None:
        """Publish a message of somebody else's, whatever the codec. Raises NotPublished (gateway/uplink/side.py)."""
        await self._side.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    def parts(self, job: str) -> PartLink | None:
        """Brings files in parts for a job, until it is closed; None where our protocol is not spoken."""
        if not self._settings.numbered:
            return None
        from gateway.uplink.parts import PartLink  # rare: a start without it loads less

        self._receiver.parts = link = PartLink(self._identity.root, job, lambda: self._connection)
        return link

    def status(self) -> dict[str, Any]:
        """For `fieldpost status`. Times in UTC ms; `proof` as in protocol.md 1.3."""
        connection = self._connection
        waiting = self._consumer.backlog() if self._consumer is not None else None
        readings = waiting.readings if waiting else 0
        return {
            "state": self._state,
            "since": self._since,
            "url": connection.url if connection else None,
            "level": connection.level if connection else None,
            "backlog": {
                "readings": readings,
                "bytes": waiting.bytes if waiting else 0,
                "oldest": waiting.oldest if waiting else None,
            },
            "proof": self._presence.proof(connection.level if connection else None),
            "session": self._sessions.current,
            "birth": self._births.hash,
            "budget": self._budget.snapshot(),
            "last_puback": self._counters.last_puback,
            "live_p99_ms": round(self._delivery.lateness * 1000) if self._delivery else None,
            "counters": self._counters.snapshot(self._clock.mono(), readings),
            **({"twins": self._twins.status()} if self._twins is not None else {}),
        }

    # ------------------------------------------------------------------ connecting

    async def _connect(self) -> Connection | None:
        """Try until there is a connection; None when a stop came first."""
        self._set_state(CONNECTING)
        while not self._stopping:
            session = await self._sessions.next()
            try:
                connection = await self._dialer.dial(self._presence.will(session) if self._speaks() else None)
            except DialFailed as failed:
                self._set_state(OFFLINE)
                self._tell_offline(str(failed))
                await self._clock.sleep(self._pause(failed))
                continue
            return connection
        return None

    def _pause(self, failed: DialFailed) -> float:
        now = self._clock.mono()
        if failed.overloaded:
            self._learned.too_fast(self._counters.bytes_per_s(now), self._counters.messages_per_s(now))
        delay = self._reconnect.next_delay(now)
        if failed.refused:
            return REFUSED_RETRY_S * self._random.uniform(0.5, 1.0)
        return delay

    def _after(self, lost: ConnectionLost | None, lasted: float) -> None:
        """Learn from how a connection ended."""
        now = self._clock.mono()
        self._reconnect.lost(now)
        self._set_state(OFFLINE)
        if lost is None:
            return
        self._tell_offline(f"{self._settings.urls[0]}: {lost}")
        if lost.code == _TOO_LARGE:
            self._learned.too_large(self._limits.payload)
        elif lost.code in OVERLOADED:
            self._learned.too_fast(self._counters.bytes_per_s(now), self._counters.messages_per_s(now))
        else:
            self._learned.quiet(lasted)

    def _tell_offline(self, text: str) -> None:
        self._health.set(
            "uplink_offline",
            self._settings.name,
            f"the broker of {self._settings.name} is not reachable: {text}",
            "readings are kept and delivered later; mend the cause named here",
        )

    # ------------------------------------------------------------------ one connection

    async def _session(self, connection: Connection) -> ConnectionLost | None:
        """Everything that runs on one connection; returns why it ended."""
        self._connection = connection
        self._counters.connections += 1
        self._limits = self._learned.limits(connection.max_packet)
        self._reconnect.connected(self._clock.mono())
        self._health.clear("uplink_offline", self._settings.name)
        self._set_state(ONLINE)
        connection.on_sent(self._budget.spend)
        lost: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell_status(connection))
                group.create_task(self._budget.run())
                group.create_task(self._side.run(connection))
                if self._flat is not None:
                    group.create_task(self._flat.run(connection))
                else:
                    self._deliver(group, connection, self._limits)
        except* ConnectionLost as ended:
            lost.extend(leaves(ended))
        finally:
            self._delivery = self._sources = None
            self._connection = None
            connection.abort()
        if connection.closed.done() and not any(isinstance(each, ConnectionLost) and each.code for each in lost):
            lost.append(connection.closed.result())
        return most_telling(lost)

    def _deliver(self, group: asyncio.TaskGroup, connection: Connection, limits: Limits) -> None:
        assert self._consumer is not None
        assert self._verdict is not None
        sources = self._supply.sources(self._consumer, limits, self._births.ready)
        self._sources = sources
        self._verdict.defect = ""
        delivery = Delivery(
            self._settings,
            connection,
            self._consumer,
            sources,
            self._verdict,
            self._counters,
            limits,
            self._budget,
            self._clock,
            self._random,
        )
        self._delivery = delivery
        group.create_task(delivery.run())
        if not self._settings.numbered:
            return
        group.create_task(self._births.run(connection, lambda: limits.payload, self._birth_changed))
        group.create_task(self._receiver.run(connection, sources, delivery, self._verdict, limits.payload))

    def _make_twins(self, port: TwinPort | None) -> TwinLink | None:
        if port is None or not self._settings.twins:
            return None
        from gateway.uplink.twins.link import TwinLink  # few have it: a start without it loads less

        settings = self._settings
        return TwinLink(settings.name, settings.select.devices, port, self._clock, settings.max_payload, self._health)

    def _birth_changed(self) -> None:
        if self._delivery is not None:
            self._delivery.wake()
        self._status_due.set()

    async def _tell_status(self, connection: Connection) -> None:
        """Status at connect, when the birth changed, and periodically."""
        speaks = self._speaks()
        told: str | None = None
        periodic_at = self._clock.mono()
        pause = self._presence.phase()
        while True:
            self._status_due.clear()
            if self._speaks() != speaks:
                await connection.close()  # the Will belongs to the connection
                return
            now = self._clock.mono()
            if speaks and (now >= periodic_at or told != self._births.hash):
                told = self._births.hash
                await connection.publish(self._presence.online(self._sessions.current, connection.level, told))
            if now >= periodic_at:
                periodic_at, pause = now + pause, self._settings.status_s
                self._births.request()
            timer = self._clock.call_later(periodic_at - now, self._status_due.set)
            try:
                await self._status_due.wait()
            finally:
                timer.cancel()

    # ------------------------------------------------------------------ parts

    def _stop_asked(self) -> bool:
        return self._stopping

    def _make_verdict(self) -> Verdict | None:
        if self._consumer is None:
            return None
        return Verdict(
            self._settings.name,
            self._consumer,
            self._counters,
            self._clock,
            self._health,
            by_consumer=self._settings.ack == "consumer",
        )

    def _make_flat(self, latest: LatestView) -> FlatView | None:
        if self._consumer is not None:
            return None
        codec = FlatCodec(self._identity.tenant, self._identity.id, self._settings.topic)
        return FlatView(self._settings, codec, latest, self._counters, self._clock, self._health, self._random)

    def _set_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._since = self._clock.wall_ms()
