"""Puts the parts of one gateway together, in the order in which they need each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from gateway.acting.actor import Actor
from gateway.audit import Audit
from gateway.bus import Bus
from gateway.clock import Clock, boot_id
from gateway.commands import Commands
from gateway.discovery.keeper import Discovery
from gateway.forcing import Forces
from gateway.health import Health, Issue
from gateway.journal import Level
from gateway.latest import LatestValues
from gateway.library import profiles_of
from gateway.maintenance import Maintenance
from gateway.model import Tag
from gateway.notifying.notifier import Notifier
from gateway.registry import Registry
from gateway.release import release_slot, version
from gateway.runtime.applier import Applier
from gateway.runtime.channels import Channels
from gateway.runtime.doors import NodeDoors
from gateway.runtime.effects import Effects
from gateway.runtime.exploring import Explorer
from gateway.runtime.jobs import Jobs
from gateway.runtime.node import Node
from gateway.runtime.optable import serve_commands
from gateway.runtime.readingpath import ReadingPath
from gateway.runtime.rulekeeping import ROWS
from gateway.runtime.ruling import Ruling
from gateway.runtime.servers import Servers
from gateway.runtime.shadows import Shadows, make_shadows
from gateway.runtime.uplinks import Uplinks
from gateway.runtime.views import EdgexNames, FlatFeed, Model
from gateway.serving.registry import ServerRegistry
from gateway.settings.generations import Generations
from gateway.settings.types import GatewaySettings
from gateway.store import Store
from gateway.supervisor import Supervisor
from gateway.tags import TagTable
from gateway.uplink.ports import Identity

if TYPE_CHECKING:
    from gateway.uplink.twins.port import TwinPort

_FORCES, _MAINTENANCE, _NOTIFYING = "gateway.forces", "gateway.maintenance", "gateway.notifying"
_DISCOVERED = "gateway.discovered"
"""Memories; no channel can be called so."""

_log = logging.getLogger("fieldpost")


class Load(Protocol):
    """Files of a configuration tree to settings."""

    def __call__(self, files: Mapping[str, bytes], *, starting: bool = False) -> GatewaySettings: ...


class Frame(Struct, frozen=True):
    """What a gateway is started with."""

    config_dir: Path
    settings: GatewaySettings
    generations: Generations
    load: Load
    registry: Registry


class _Wiring:
    """One gateway on the bench. Parts that need the node ask for it when they are used, not when they are made."""

    node: Node

    def __init__(self, frame: Frame, clock: Clock, health: Health, store: Store) -> None:
        self._frame = frame
        self._clock = clock
        self._health = health
        self._store = store
        self._supervisor = Supervisor(clock, health)
        self._audit = Audit(clock, store)
        self._bus, self._tags, self._latest = Bus(), TagTable(), LatestValues(clock)
        self._flat = FlatFeed(self._tags, self._latest)
        self._path = ReadingPath(self._bus, store, self._flat)
        self._bus.subscribe("latest values", self._latest.on_batch)

    def build(self) -> Node:
        """All parts, wired. Nothing runs yet."""
        health, clock = self._health, self._clock
        health.listen(lambda issue, is_set: self._emit(_issue_entry(clock, issue, is_set=is_set)))
        health.listen(_log_issue)
        discovery = self._discovery()
        channels = self._channels(discovery)
        forces = self._path.forces = self._forces()
        maintenance = Maintenance(self._store.memory(_MAINTENANCE), clock, audit=self._audit, health=health)
        effects = self._effects()
        ruling = self._path.ruling = Ruling(
            tags=self._tags, latest=self._latest, store=self._store, clock=clock, health=health, effects=effects
        )
        health.listen(lambda issue, is_set: ruling.issue(issue, is_set=is_set))
        commands = Commands(
            self._tags, self._latest, channels, clock, self._audit, maintenance.refuses, ruling.interlock
        )
        shadows = self._shadows(channels, commands)
        doors = NodeDoors()
        effects.actor = actor = Actor(commands, doors, clock=clock, health=health, audit=self._audit)
        effects.notifier = notifier = self._notifier(doors)
        frame = self._frame
        self.node = doors.node = Node(
            version=version(),
            config_dir=frame.config_dir,
            settings=frame.settings,
            clock=clock,
            health=health,
            bus=self._bus,
            store=self._store,
            supervisor=self._supervisor,
            tags=self._tags,
            latest=self._latest,
            audit=self._audit,
            commands=commands,
            channels=channels,
            generations=frame.generations,
            flat=self._flat,
            forces=forces,
            maintenance=maintenance,
            shadows=shadows,
            ruling=ruling,
            actor=actor,
            notifier=notifier,
            discovery=discovery,
        )
        self._serve()
        return self.node

    def _serve(self) -> None:
        """What works on the whole node."""
        node, frame = self.node, self._frame
        serve_commands(node)
        node.jobs = Jobs(node)
        node.uplinks = self._uplinks()
        node.servers = self._servers()
        node.explorer = Explorer(node.channels, frame.registry.load, node.channels.temporary)
        node.applier = Applier(node, frame.generations, frame.load, self._clock, self._health, self._emit)
        node.discovery.provisions = node.applier

    def _emit(self, entry: dict[str, Any]) -> None:
        self._store.append_entry("event", entry, Level.NOW)
        if entry["kind"] == "device":
            self.node.shadows.writes.wake()

    def _polled(self, device: str, mono: float, tags: Sequence[Tag] | None) -> None:
        self._latest.polled(device, mono, tags)
        self._path.ruling.polled(device, mono)

    def _discovery(self) -> Discovery:
        return Discovery(
            self._store.memory(_DISCOVERED),
            self._clock,
            self._health,
            emit=self._emit,
            settings=lambda: self.node.settings,
            library=profiles_of,
            record=lambda device, row: self._audit.record(
                "discovery", "local", "discovered_approve", device=device, text=row
            ),
        )

    def _channels(self, discovery: Discovery) -> Channels:
        return Channels(
            supervisor=self._supervisor,
            registry=self._frame.registry,
            tags=self._tags,
            latest=self._latest,
            publish=self._path.publish,
            polled=self._polled,
            hurry=self._store.hurry,
            memory=self._store.memory,
            clock=self._clock,
            health=self._health,
            emit=self._emit,
            timezone=lambda: self.node.settings.timezone,
            sighted=discovery.sighted,
        )

    def _forces(self) -> Forces:
        return Forces(
            self._store.memory(_FORCES),
            self._clock,
            tags=self._tags,
            latest=self._latest,
            audit=self._audit,
            health=self._health,
            publish=self._path.send,
        )

    def _effects(self) -> Effects:
        return Effects(
            store=self._store,
            clock=self._clock,
            health=self._health,
            audit=self._audit,
            memory=self._store.memory(ROWS),
            publish=self._path.publish,
        )

    def _notifier(self, doors: NodeDoors) -> Notifier:
        memory, name = self._store.memory(_NOTIFYING), self._frame.settings.id
        return Notifier(doors, memory, clock=self._clock, health=self._health, gateway=name)

    def _shadows(self, channels: Channels, commands: Commands) -> Shadows:
        return make_shadows(
            store=self._store,
            tags=self._tags,
            latest=self._latest,
            channels=channels,
            commands=commands,
            clock=self._clock,
            health=self._health,
            audit=self._audit,
            settings=lambda: self.node.settings.shadow,
            online=lambda: bool(self.node.uplinks.online()),
        )

    def _uplinks(self) -> Uplinks:
        node, settings = self.node, self._frame.settings
        return Uplinks(
            supervisor=self._supervisor,
            store=self._store,
            model=Model(self._tags, node.channels.specs, self._store.aliases, lambda: self._store.dict_no),
            latest=self._flat,
            identity=Identity(settings.id, settings.tenant, version(), boot_id(), release_slot()),
            clock=self._clock,
            health=self._health,
            desk=node.desk,
            shadows=node.shadows.desk,
            resources=EdgexNames(self._tags, self._store.aliases, lambda: self._store.dict_no),
            twins=self._twins,
            jobs=node.jobs,
        )

    def _twins(self) -> TwinPort:
        """For an uplink with twins, which few have."""
        from gateway.runtime.twins import Twins

        node = self.node
        return Twins(self._tags, self._latest, node.shadows.desk, self._flat, node.device_states)

    def _servers(self) -> Servers:
        node, settings = self.node, self._frame.settings
        return Servers(
            supervisor=self._supervisor,
            registry=ServerRegistry(),
            bus=self._bus,
            tags=self._tags,
            latest=self._latest,
            runs=lambda device: node.channels.target(device) is not None,
            commands=node.commands,
            memory=self._store.memory,
            base=self._frame.config_dir,
            state=settings.store.path,
            gateway=settings.id,
            clock=self._clock,
            health=self._health,
        )


def wire(frame: Frame, clock: Clock, health: Health, store: Store) -> Node:
    """A gateway over an open store, ready to be started."""
    return _Wiring(frame, clock, health, store).build()


def _log_issue(issue: Issue, is_set: bool) -> None:  # noqa: FBT001 - the listener's form
    if is_set:
        _log.warning("%s: %s%s", issue.entity, issue.text, f" -> {issue.repair}" if issue.repair else "")
    else:
        _log.info("%s: over: %s", issue.entity, issue.id)


def _issue_entry(clock: Clock, issue: Issue, *, is_set: bool) -> dict[str, Any]:
    return {
        "ts": clock.wall_ms(),
        "kind": "issue",
        "id": issue.id,
        "entity": issue.entity,
        "text": issue.text,
        "repair": issue.repair,
        "set": is_set,
    }
