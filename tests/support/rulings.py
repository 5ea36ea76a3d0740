"""The rules engine in its place: a real store, tags, latest values and the way of a reading; a clock moved by hand.

No channels: a test publishes batches itself. `RuledGateway` opens, stops, kills and reopens its store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.audit import Audit
from gateway.bus import Bus
from gateway.forcing import Forces
from gateway.health import Health
from gateway.journal import Segment
from gateway.latest import LatestValues
from gateway.maintenance import Maintenance
from gateway.model import Batch, Block, ChannelSpec, DeviceSpec, Quality, Schedule, TagSpec, Value
from gateway.rulebook import RuleBook
from gateway.runtime.effects import Effects
from gateway.runtime.readingpath import ReadingPath
from gateway.runtime.rulekeeping import ROWS
from gateway.runtime.ruling import Ruling
from gateway.runtime.views import FlatFeed
from gateway.settings.types import JournalSettings, StoreSettings
from gateway.store import Store
from gateway.tags import TagTable
from gateway.testing import ManualClock
from rules.values import Do, Transition


class Told:
    """Stands where actions and notifications go out, and writes down what came."""

    def __init__(self) -> None:
        self.actions: list[Do] = []
        self.transitions: list[Transition] = []

    def do(self, action: Do) -> None:
        self.actions.append(action)

    def take(self, transition: Transition) -> None:
        self.transitions.append(transition)


class RuledGateway:
    """One gateway's rules over `directory`."""

    def __init__(
        self, directory: Path, devices: dict[str, Sequence[TagSpec]], clock: ManualClock | None = None
    ) -> None:
        self.directory = directory
        self.clock = clock or ManualClock()
        self.devices = devices
        self.told = Told()

    async def start(self, book: RuleBook) -> None:
        clock = self.clock
        self.health = Health(clock)
        settings = StoreSettings(self.directory / "state", journal=JournalSettings(8_000_000))
        self.store = Store(settings, clock, release_ms=0, health=self.health)
        self.store.open()
        self.tags, self.latest, self.bus = TagTable(), LatestValues(clock), Bus()
        self.bus.subscribe("latest values", self.latest.on_batch)
        self.path = ReadingPath(self.bus, self.store, FlatFeed(self.tags, self.latest))
        self.audit = Audit(clock, self.store)
        self.path.forces = self.forces = Forces(
            self.store.memory("gateway.forces"), clock, tags=self.tags, latest=self.latest, audit=self.audit,
            health=self.health, publish=self.path.send,
        )  # fmt: skip
        self.maintenance = Maintenance(
            self.store.memory("gateway.maintenance"), clock, audit=self.audit, health=self.health
        )
        self.effects = Effects(
            store=self.store, clock=clock, health=self.health, audit=self.audit, memory=self.store.memory(ROWS),
            publish=self.path.publish,
        )  # fmt: skip
        self.effects.actor = self.effects.notifier = self.told
        self.ruling = self.path.ruling = Ruling(
            tags=self.tags, latest=self.latest, store=self.store, clock=clock, health=self.health, effects=self.effects
        )
        self.health.listen(lambda issue, is_set: self.ruling.issue(issue, is_set=is_set))
        self.bind(self.devices)
        self.latest.restore(self.tags.tags(), self.store.last_values())
        self.maintenance.restore()
        await self.ruling.start(book, self.maintenance.holds.all())
        self.forces.restore()

    def bind(self, devices: dict[str, Sequence[TagSpec]]) -> None:
        """The configuration's devices, all on one channel."""
        specs = tuple(DeviceSpec(device, None, tuple(tags), Schedule(1.0)) for device, tags in devices.items())
        channel = ChannelSpec("line1", "sim", None, specs)
        names = TagTable.names([channel])
        self.tags.bind(channel, dict(zip(names, self.store.bind_aliases(names), strict=True)))
        self.latest.grow(self.tags.size)

    def publish(self, device: str, quality: Quality = Quality.GOOD, ts: int | None = None, **values: Value) -> None:
        """Readings of one device, now."""
        found = [tag for tag in self.tags.tags() if tag.device == device and tag.path in values]
        codes = None if quality == Quality.GOOD else [int(quality)] * len(found)
        when = self.clock.wall_ms() if ts is None else ts
        block = Block(device, found)
        self.path.publish(Batch(block, [values[tag.path] for tag in found], when, self.clock.mono(), quality=codes))

    async def stop(self) -> None:
        """A planned stop."""
        self.ruling.checkpoint(last=True)
        self.ruling.close()
        await self.store.close()

    def kill(self) -> None:
        """What is not committed is lost."""
        self.ruling.close()
        self.store.abandon()

    def entries(self, stream: str) -> list[dict[str, Any]]:
        """What the journal has of a stream."""
        parts: list[Segment] = list(self.store.read_history(stream, since_ms=0, limit=10_000))
        return [row for part in parts for row in part.rows]
