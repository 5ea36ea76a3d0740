"""The running gateway as one object: its parts by name, what they show together, and how a new configuration is
switched in. Wired by gateway/wiring.py; the local socket's handlers and the uplinks' ops work on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.acting.actor import Actor
from gateway.audit import Audit
from gateway.bus import Bus
from gateway.clock import Clock
from gateway.commands import Commands
from gateway.discovery.keeper import Discovery
from gateway.errors import GatewayError, StoreDamaged, StoreError
from gateway.forcing import Forces
from gateway.health import Health
from gateway.journal import STREAMS
from gateway.latest import LatestValues
from gateway.maintenance import Maintenance
from gateway.model import Batch, Block, DeviceState, Tag, Value, ValueType
from gateway.notifying.notifier import Notifier
from gateway.objects import from_text
from gateway.runtime.applier import Applier
from gateway.runtime.channels import Channels
from gateway.runtime.exploring import Explorer
from gateway.runtime.ops import OpTable
from gateway.runtime.servers import Servers
from gateway.runtime.shadows import Shadows
from gateway.runtime.uplinks import Uplinks
from gateway.runtime.views import FlatFeed
from gateway.settings.generations import Generations
from gateway.settings.plan import Plan
from gateway.settings.types import GatewaySettings
from gateway.store import Store
from gateway.supervisor import Supervisor
from gateway.tags import TagTable
from gateway.uplink.commanddesk import CommandDesk

if TYPE_CHECKING:
    from gateway.runtime.jobs import Jobs
    from gateway.runtime.ruling import Ruling
    from gateway.runtime.updating import Updating

MAX_ENTRIES = 10_000

_log = logging.getLogger("fieldpost")


class UnknownStream(GatewayError):
    """A stream that the journal does not have."""

    code = 404


@dataclass(slots=True, kw_only=True)
class Node:
    """One gateway process at work."""

    version: str
    config_dir: Path
    settings: GatewaySettings
    clock: Clock
    health: Health
    bus: Bus
    store: Store
    supervisor: Supervisor
    tags: TagTable
    latest: LatestValues
    audit: Audit
    commands: Commands
    channels: Channels
    generations: Generations
    flat: FlatFeed
    forces: Forces
    maintenance: Maintenance
    shadows: Shadows
    ruling: Ruling
    actor: Actor
    notifier: Notifier
    discovery: Discovery
    uplinks: Uplinks = field(init=False)
    servers: Servers = field(init=False)
    applier: Applier = field(init=False)
    explorer: Explorer = field(init=False)
    ops: OpTable = field(init=False)
    desk: CommandDesk = field(init=False)
    jobs: Jobs = field(init=False)
    updating: Updating | None = None
    """Where the gateway was started from a release slot."""
    ready: bool = False
    drift: bool = False
    restored: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    restart_required: list[str] = field(default_factory=list)
    lags: Callable[[], dict[str, float]] = dict
    """By how many ms the event loop's wake-ups are late."""

    async def switch(self, new: GatewaySettings, plan: Plan) -> None:
        """Make `new` run: stop what is gone or changed, start what is new or changed, leave the rest alone."""
        changed = {spec.id: spec for spec in new.channels}
        names = TagTable.names(new.channels)
        # the one step that can fail (a full disk) comes first, while nothing has been touched
        aliases = dict(zip(names, await self.store.bind_aliases_async(names), strict=True))
        for channel in (*plan.channels_removed, *plan.channels_changed):
            gone = self.channels.slots(channel)
            await self.channels.stop(channel)
            self.flat.changed(gone)
        self.settings = new
        for channel in (*plan.channels_changed, *plan.channels_added):
            self.channels.start(changed[channel], aliases, {})
        await self.ruling.switch(new.book)
        self.actor.keep({rule.id for rule in new.book.rules})
        self.notifier.reload(new.book.notify)
        await self.uplinks.switch(new, plan)
        await self.servers.switch(new, plan)
        self.restart_required = sorted({*self.restart_required, *plan.process})

    async def checkpoint(self, *, last: bool = False) -> None:
        """Keep the last values, and what the rules remember, over a restart. A full disk only makes them older: the
        journal tells of it. `last`: the gateway stops.
        """
        self.ruling.checkpoint(last=last)
        try:
            await self.store.checkpoint(self.latest.checkpoint(self.tags.tags()))
        except StoreDamaged:
            raise
        except StoreError as error:
            _log.warning("last values are not kept this time: %s", error)

    async def look_for_drift(self) -> None:
        """Whether the configuration folder differs from the active generation; shown, never written. What cannot be
        read is an issue: the gateway runs what it has loaded.
        """
        try:
            self.drift = await asyncio.to_thread(self._differs)
        except (GatewayError, OSError) as error:
            self.health.set(
                "generations_unreadable",
                "config",
                f"the kept configurations cannot be read: {error}",
                "apply the configuration folder again: fieldpost apply",
            )
        else:
            self.health.clear("generations_unreadable", "config")

    def _differs(self) -> bool:
        return self.generations.active() is not None and bool(self.generations.drift(self.config_dir))

    def _generation(self) -> int | None:
        try:
            active = self.generations.active()
        except (GatewayError, OSError):
            return None  # told by look_for_drift
        return active.number if active else None

    def _remote_rev(self) -> int:
        """Of what runs; 0 where it did not come from afar."""
        try:
            state = self.generations.read_state()
        except (GatewayError, OSError, ValueError):
            return 0  # told by look_for_drift
        remote = state.get("remote") or {}
        return int(remote["rev"]) if remote.get("generation") == state.get("active") else 0

    def up(self) -> frozenset[str]:
        """What is up now: `channel:ID` where a device answers or may yet speak, `uplink:NAME` where the broker is
        connected, and `server:NAME` where clients may come.
        """
        channels = {f"channel:{spec.id}" for spec in self.channels.specs() if self.channels.is_up(spec.id)}
        uplinks = {f"uplink:{name}" for name in self.uplinks.online()}
        return frozenset(channels | uplinks | {f"server:{name}" for name in self.servers.up()})

    def blocked_updates(self) -> list[str]:
        """Keys of the alarms because of which no update may be staged now; acknowledging one does not let it begin,
        shelving it does.
        """
        return self.ruling.blocking_updates()

    def unheard(self) -> frozenset[str]:
        """What is up and has not been heard of yet: `channel:ID` where only the link says so."""
        up = [spec.id for spec in self.channels.specs() if self.channels.is_up(spec.id)]
        return frozenset(f"channel:{name}" for name in up if not self.channels.is_heard(name))

    def refresh(self, device: str | None) -> int:
        """Append the current values of a device, or of all, to telemetry once more. Returns how many."""
        count = 0
        for known in self.tags.devices():
            if device is not None and known.id != device:
                continue
            by_time: dict[int, list[int]] = {}
            current = [self.latest.current(tag) for tag in known.tags]
            for position, row in enumerate(current):
                if row.ts is not None:
                    by_time.setdefault(row.ts, []).append(position)
            for ts, positions in sorted(by_time.items()):
                block = Block(known.id, [known.tags[position] for position in positions])
                values = [current[position].value for position in positions]
                quality = [int(current[position].quality) for position in positions]
                self.store.append(Batch(block, values, ts, self.clock.mono(), quality=quality))
                count += len(values)
        return count

    def status(self) -> dict[str, Any]:
        """The answer of `fieldpost status --json` (config.md section 5)."""
        config: dict[str, Any] = {
            "hash": self.settings.hash,
            "generation": self._generation(),
            "drift": self.drift,
        }
        if rev := self._remote_rev():
            config["rev"] = rev
        if self.applier.pending() is not None:
            config["pending"] = self.applier.pending()
        if self.restart_required:
            config["restart_required"] = self.restart_required
        job = self.jobs.current()
        return {
            "ready": self.ready,
            "version": self.version,
            "gateway": self.settings.id,
            "config": config,
            "uplinks": self.uplinks.status(),
            "servers": self.servers.status(),
            "channels": self._channels_view(),
            "journal": self.store.stats(),
            "loop_lag_ms": self.lags(),
            "units": self.supervisor.units(),
            **({"job": job} if job else {}),
            "issues": [
                {
                    "id": issue.id,
                    "entity": issue.entity,
                    "text": issue.text,
                    "repair": issue.repair,
                    "since": issue.since,
                }
                for issue in self.health.open()
            ],
        }

    def device_states(self) -> dict[str, DeviceState]:
        """Of all devices whose channel is at work."""
        found: dict[str, DeviceState] = {}
        for spec in self.channels.specs():
            runner = self.channels.runner(spec.id)
            for device, state in runner.states().items() if runner is not None else ():
                found[device] = DeviceState.MAINTENANCE if self.maintenance.suppresses(device) else state
        return found

    def _channels_view(self) -> dict[str, Any]:
        view: dict[str, Any] = {}
        for spec in self.channels.specs():
            runner = self.channels.runner(spec.id)
            if runner is None:
                view[spec.id] = {"state": "disabled" if not spec.enabled else "failed", "devices": {}}
                continue
            stats = runner.stats()
            view[spec.id] = {
                "state": "online" if self.channels.is_up(spec.id) else "offline",
                "driver": spec.driver,
                "devices": {
                    device: "maintenance" if self.maintenance.suppresses(device) else str(state)
                    for device, state in runner.states().items()
                },
                "stats": stats.get("channel", stats),
            }
        return view

    def journal_view(self, *, stream: str | None, since_ms: int | None, limit: int) -> dict[str, Any]:
        """Streams with their numbers, gap records per consumer, and the latest entries of one stream."""
        view = self.store.stats()
        view["gaps"] = self.store.gap_view()
        if stream is not None:
            if stream not in STREAMS:
                raise UnknownStream(f"there is no stream {stream}; there are {', '.join(STREAMS)}")
            view["entries"] = self.store.entries_view(
                stream, since_ms=since_ms or 0, limit=max(1, min(limit, MAX_ENTRIES))
            )
        return view

    def generations_view(self) -> list[dict[str, Any]]:
        active = self._generation()
        return [
            {
                "number": generation.number,
                "hash": generation.hash,
                "time": generation.time,
                "note": generation.note,
                "active": generation.number == active,
            }
            for generation in self.generations.list()
        ]


def shown(tag: Tag, value: Value) -> Any:
    """A tag's value as people and programs at the gateway see it: as `plain`, and an object as itself."""
    if tag.spec.type is ValueType.OBJECT and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return from_text(value)
    return plain(value)


def plain(value: Value) -> Any:
    """A value as JSON carries it: bytes are hex, the rest is itself."""
    return value.hex() if isinstance(value, bytes) else value
