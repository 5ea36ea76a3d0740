"""The running uplinks: zero, one or several, each with its own cursor, each a supervised unit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.mqttclient.address import parse_address
from gateway.mqttclient.connection import ConnectionLost
from gateway.runtime.held import held
from gateway.settings.plan import Plan
from gateway.settings.types import GatewaySettings, UplinkSettings
from gateway.store import Store, ranges
from gateway.supervisor import Supervisor
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.ports import Identity, JobPort, LatestView, ModelView, ShadowPort
from gateway.uplink.resend import Resent
from gateway.uplink.side import EXPIRY_S
from gateway.uplink.uplink import Uplink

if TYPE_CHECKING:
    from gateway.edgexevents.resources import Resource
    from gateway.uplink.parts import PartLink
    from gateway.uplink.twins.port import TwinPort

STOP_S = 5.0
RESEND_S = 50.0
FLAT = "flat"


class UnknownUplink(GatewayError):
    """An uplink that is not there, or does not carry what is asked."""

    code = 404


class Uplinks:
    """Makes an Uplink of each UplinkSettings and gives it to the supervisor."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        store: Store,
        model: Callable[[], ModelView],
        latest: LatestView,
        identity: Identity,
        clock: Clock,
        health: Health,
        desk: CommandDesk,
        shadows: ShadowPort,
        resources: Callable[[], Mapping[int, Resource]],
        twins: Callable[[], TwinPort],
        jobs: JobPort,
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._model = model
        self._latest = latest
        self._identity = identity
        self._clock = clock
        self._health = health
        self._desk = desk
        self._shadows = shadows
        self._resources = resources
        self._twins = twins
        self._jobs = jobs
        self._uplinks: dict[str, Uplink] = {}
        self._settings: dict[str, UplinkSettings] = {}

    def start(self, settings: UplinkSettings) -> None:
        """Add an uplink; it begins to connect at once and for ever."""
        consumer = None
        if settings.codec != FLAT:
            consumer = self._store.consumer(settings.name, start=settings.start, streams=settings.select.streams)
        uplink = Uplink(
            settings,
            self._identity,
            consumer,
            self._model,
            self._latest,
            self._clock,
            self._health,
            self._desk,
            presence=lambda: settings.numbered or not self._served(settings),
            shadows=self._shadows,
            resources=self._resources,
            twins=self._twins() if settings.twins else None,
            jobs=self._jobs,
        )
        self._uplinks[settings.name] = uplink
        self._settings[settings.name] = settings
        self._supervisor.add(f"uplink:{settings.name}", uplink.run)

    def _served(self, quiet: UplinkSettings) -> bool:
        """Whether an uplink that tells the status serves the same broker host (protocol.md 4.4)."""
        others = [other for other in self._settings.values() if other.numbered]
        return not _hosts(quiet).isdisjoint(host for other in others for host in _hosts(other))

    async def stop(self, name: str) -> None:
        """A planned stop: what is in flight is waited for, then the status says offline."""
        uplink = self._uplinks.pop(name, None)
        if uplink is None:
            return
        await self._planned(uplink)
        await self._supervisor.remove(f"uplink:{name}")
        self._settings.pop(name, None)
        self._health.clear_entity(name)

    async def stop_all(self) -> None:
        """Planned stop of all, side by side."""
        await asyncio.gather(*(self._planned(uplink) for uplink in self._uplinks.values()))

    async def _planned(self, uplink: Uplink) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await uplink.stop()
        except TimeoutError:
            return  # the broker does not answer; the Will says it instead

    async def switch(self, new: GatewaySettings, plan: Plan) -> None:
        """Follow a new configuration."""
        wanted = {settings.name: settings for settings in new.uplinks}
        for name in (*plan.uplinks_removed, *plan.uplinks_changed):
            await self.stop(name)
        for name in (*plan.uplinks_changed, *plan.uplinks_added):
            self.start(wanted[name])
        for uplink in self._uplinks.values():
            uplink.model_changed()
        self.adopt()

    def adopt(self) -> None:
        """Tell about cursors that no configured uplink uses: they hold the journal until they are forgotten."""
        for name in self._store.consumers():
            if name in self._settings:
                self._health.clear("cursor_unused", name)
            else:
                self._health.set(
                    "cursor_unused",
                    name,
                    f"the uplink {name} is no longer configured, but its undelivered readings are kept",
                    f"configure it again, or give the readings up with: fieldpost uplink forget {name}",
                )

    async def forget(self, name: str) -> None:
        """Give up a removed uplink's cursor. Raises GatewayError when it is configured or unknown."""
        if name in self._uplinks:
            raise GatewayError(f"the uplink {name} is configured: remove it from gateway.yaml first")
        if not await self._store.forget(name):
            raise GatewayError(f"there is no cursor of an uplink {name}")
        self._health.clear("cursor_unused", name)

    def rebirth(self) -> None:
        for uplink in self._uplinks.values():
            uplink.rebirth()

    def resync(self) -> None:
        for uplink in self._uplinks.values():
            uplink.resync()

    async def resend(self, name: str | None, stream: str, epoch: int, first: int, last: int) -> dict[str, Any]:
        """Send what is held of a range once more over an uplink (None: the only one that carries the stream)."""
        able = {each: uplink for each, uplink in self._uplinks.items() if stream in uplink.streams}
        if name is None and len(able) == 1:
            name = next(iter(able))
        if name not in able:
            words = (
                "say which with args.uplink" if name is None and able else f"no uplink {name or ''} carries {stream}"
            )
            raise UnknownUplink(words)
        resent, why = Resent(), ""
        try:
            async with asyncio.timeout(RESEND_S):  # read as it is sent: a range may be larger than memory
                parts = held(self._store, stream, epoch, first, last)
                await able[name].resend(parts, self._store.aliases(), resent)
        except ConnectionLost as lost:
            why = f"the connection was lost: {lost}"
        except TimeoutError:
            why = f"not all in {RESEND_S:g} s: ask for the rest"
        if resent.refused:
            why = f"the broker refused with 0x{resent.refused:02x}"
        here = tuple(self._store.reader.held(stream, epoch))
        out = {"sent": resent.sent, "not_held": [list(each) for each in ranges.missing(here, first, last)]}
        return {"code": 207 if resent.sent else 504, "out": out, "text": why} if why else {"out": out}

    async def publish(
        self,
        name: str,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: float = EXPIRY_S,
    ) -> None:
        """Publish a message over an uplink (empty: the first one). Raises UnknownUplink and NotPublished."""
        uplink = self._uplinks.get(name or next(iter(self._uplinks), ""))
        if uplink is None:
            raise UnknownUplink(f"there is no uplink {name}" if name else "there is no uplink")
        await uplink.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    def parts(self, via: str, job: str) -> PartLink | None:
        """Brings files in parts for a job: over the uplink that it came by, else the first that can."""
        for name in sorted(self._uplinks, key=lambda name: name != via):
            link = self._uplinks[name].parts(job)
            if link is not None:
                return link
        return None

    def online(self) -> list[str]:
        return [name for name, uplink in self._uplinks.items() if uplink.status()["state"] == "online"]

    def status(self) -> dict[str, Any]:
        return {name: uplink.status() for name, uplink in self._uplinks.items()}


def _hosts(settings: UplinkSettings) -> set[str]:
    return {parse_address(url).host for url in settings.urls}
