"""The running servers to the plant: a supervised unit each, started, replaced and removed one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.driver import Memory
from gateway.errors import GatewayError, PermanentError
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import Batch, ChannelSpec
from gateway.serving.context import CommandDoor, ServerRunner
from gateway.serving.offering import offers_of
from gateway.serving.registry import ServerRegistry
from gateway.settings.plan import Plan
from gateway.settings.types import GatewaySettings, ServerSettings
from gateway.supervisor import Supervisor
from gateway.tags import TagTable

FOLDER = "servers"
"""Below the state directory: what servers keep as files."""


class UnknownServer(GatewayError):
    """A server that is not configured, does not run, or has no map."""

    code = 404


class Servers:
    """Makes a runner of each ServerSettings and gives it to the supervisor."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        registry: ServerRegistry,
        bus: Bus,
        tags: TagTable,
        latest: LatestValues,
        runs: Callable[[str], bool],
        commands: CommandDoor,
        memory: Callable[[str], Memory],
        base: Path,
        state: Path,
        gateway: str,
        clock: Clock,
        health: Health,
    ) -> None:
        self._supervisor = supervisor
        self._registry = registry
        self._tags = tags
        self._latest = latest
        self._runs = runs
        self._commands = commands
        self._memory = memory
        self._base = base
        self._state = state
        self._gateway = gateway
        self._clock = clock
        self._health = health
        self._runners: dict[str, ServerRunner] = {}
        self._settings: dict[str, ServerSettings] = {}
        bus.subscribe("servers", self._on_batch)

    def start(self, settings: ServerSettings, channels: Iterable[ChannelSpec]) -> None:
        """Add a server. A kind that cannot be loaded is an issue of that server, nothing more."""
        self._settings[settings.name] = settings
        try:
            spec = self._registry.load(settings.kind)
        except PermanentError as error:
            repair = f"install it: pip install 'fieldpost[{settings.kind}]'"
            self._health.set("server_unavailable", settings.name, str(error), repair)
            return
        runner = self._runners[settings.name] = ServerRunner(
            settings.name,
            spec,
            offers_of(settings.choice, channels),
            listen=(settings.host, settings.port),
            settings=settings.settings,
            gateway=self._gateway,
            base=self._base,
            folder=self._state / FOLDER / settings.name,
            tags=self._tags,
            latest=self._latest,
            runs=self._runs,
            commands=self._commands,
            memory=self._memory(f"server.{settings.name}"),  # no channel has a dot in its name
            clock=self._clock,
            health=self._health,
        )
        self._supervisor.add(runner.unit, runner.run)

    async def stop(self, name: str) -> None:
        """End a server; its clients are cut off."""
        self._settings.pop(name, None)
        runner = self._runners.pop(name, None)
        if runner is not None:
            await self._supervisor.remove(runner.unit)
        self._health.clear_entity(name)

    async def stop_all(self) -> None:
        """End all, side by side: nobody at the plant writes while the gateway stops."""
        await asyncio.gather(*(self._supervisor.remove(runner.unit) for runner in self._runners.values()))
        self._runners.clear()

    async def switch(self, new: GatewaySettings, plan: Plan) -> None:
        """Follow a new configuration."""
        wanted = {settings.name: settings for settings in new.servers}
        for name in (*plan.servers_removed, *plan.servers_changed):
            await self.stop(name)
        for name in (*plan.servers_changed, *plan.servers_added):
            self.start(wanted[name], new.channels)

    def up(self) -> list[str]:
        return [name for name, runner in self._runners.items() if runner.up]

    def status(self) -> dict[str, Any]:
        view = {name: runner.status() for name, runner in self._runners.items()}
        for name, settings in self._settings.items():
            listen = f"{settings.host}:{settings.port}"
            view.setdefault(name, {"kind": settings.kind, "state": "failed", "listen": listen, "clients": []})
        return dict(sorted(view.items()))

    def map(self, name: str) -> dict[str, Any]:
        """Where the tags of a server are found. Raises UnknownServer."""
        runner = self._runners.get(name)
        if runner is None:
            known = ", ".join(sorted(self._settings)) or "none"
            raise UnknownServer(f"there is no running server {name}; configured: {known}")
        rows: list[Mapping[str, Any]] | None = runner.map()
        if rows is None:
            raise UnknownServer(f"the server {name} is {'up and has no map' if runner.up else 'down'}")
        return {"server": name, "kind": runner.spec.name, "listen": f"{runner.host}:{runner.port}", "map": rows}

    def _on_batch(self, batch: Batch) -> None:
        for runner in self._runners.values():
            runner.on_batch(batch)
