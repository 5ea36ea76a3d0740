"""The running channels: one supervised unit each, started, replaced and removed at channel grain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.abilities import Sighting
from gateway.clock import Clock
from gateway.context import ChannelRunner, PublishDurable
from gateway.driver import DriverSpec, Memory
from gateway.errors import PermanentError
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.maintenance import ISSUE as MAINTENANCE
from gateway.model import Batch, Block, ChannelSpec, Device, Quality, Tag
from gateway.ondemand import Row
from gateway.publishing import Polled
from gateway.registry import Registry
from gateway.supervisor import Supervisor
from gateway.tags import Name, TagTable
from gateway.wired import wired_channel, wired_device


class Channels:
    """Makes a runner of each ChannelSpec and gives it to the supervisor."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        registry: Registry,
        tags: TagTable,
        latest: LatestValues,
        publish: PublishDurable,
        polled: Polled,
        memory: Callable[[str], Memory],
        clock: Clock,
        health: Health,
        emit: Callable[[dict[str, Any]], None],
        timezone: Callable[[], str],
        sighted: Callable[[str, Sighting], None] = lambda _channel, _sighting: None,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self._supervisor = supervisor
        self._registry = registry
        self._tags = tags
        self._latest = latest
        self._publish = publish
        self._polled = polled
        self._memory = memory
        self._clock = clock
        self._health = health
        self._emit = emit
        self._timezone = timezone
        self._sighted = sighted
        self._hurry = hurry
        self._runners: dict[str, ChannelRunner] = {}
        self._specs: dict[str, ChannelSpec] = {}

    @staticmethod
    def unit(spec: ChannelSpec) -> str:
        """The supervised unit's name."""
        return f"driver:{spec.driver}[{spec.id}]"

    def start(self, spec: ChannelSpec, aliases: Mapping[Name, int], restored: Mapping[Name, Any]) -> None:
        """Add a channel. A driver that cannot be loaded is an issue of that channel, nothing more."""
        self._specs[spec.id] = spec
        devices = self._tags.bind(spec, aliases)
        self._latest.grow(self._tags.size)
        self._forget_others(self._tags.redefined)
        self._latest.restore((tag for device in devices for tag in device.tags), restored)
        if not spec.enabled:
            return
        try:
            driver = self._registry.load(spec.driver)
        except PermanentError as error:
            repair = f"`fieldpost driver ls` shows why; one of ours: pip install 'fieldpost[{spec.driver}]'"
            self._health.set("driver_unavailable", spec.id, str(error), repair)
            return
        runner = self._runners[spec.id] = self._runner(spec, devices, driver)
        self._supervisor.add(self.unit(spec), runner.run)

    def _forget_others(self, redefined: Sequence[Tag]) -> None:
        """Another address, unit or type under an old name: the old value is no value of it, here or in the cloud."""
        by_device: dict[str, list[Tag]] = {}
        for tag in redefined:
            if tag.spec.virtual is None and self._latest.heard(tag) >= 0.0:
                by_device.setdefault(tag.device, []).append(tag)
        for device, tags in by_device.items():
            bad = [int(Quality.BAD_COMM)] * len(tags)
            now, mono = self._clock.wall_ms(), self._clock.mono()
            self._publish(Batch(Block(device, tags), [None] * len(tags), now, mono, quality=bad), None)
            self._latest.forget(tags)

    async def restart(self, channel: str) -> bool:
        """End a channel's attempt and begin anew with the same configuration. False when it does not run."""
        spec, old = self._specs.get(channel), self._runners.get(channel)
        if spec is None or old is None:
            return False
        devices = [self._tags.device(device.id) for device in spec.devices]
        runner = self._runner(spec, tuple(device for device in devices if device is not None), old.spec)
        self._runners[channel] = runner
        await self._supervisor.replace(self.unit(spec), runner.run)
        self._health.clear_entity(channel)
        for device in spec.devices:  # what is still so is found again
            self._health.clear_entity(device.id)
        return True

    def _runner(self, spec: ChannelSpec, devices: tuple[Device, ...], driver: DriverSpec) -> ChannelRunner:
        return ChannelRunner(
            wired_channel(spec),
            tuple(wired_device(device, spec.driver) for device in devices),
            driver,
            publish=self._publish,
            polled=self._polled,
            known=self._known,
            clock=self._clock,
            health=self._health,
            memory=self._memory(spec.id),
            emit=self._emit,
            timezone=self._timezone(),
            sighted=self._sighted,
            hurry=self._hurry,
        )

    def _known(self, tag: Tag) -> Row:
        """What a tag without a wire is now."""
        current = self._latest.current(tag)
        return tag, current.value, int(current.quality), current.ts

    def temporary(self, spec: ChannelSpec) -> ChannelRunner:
        """A runner that nobody supervises and whose readings go nowhere: for a look at a wire without a channel."""
        return ChannelRunner(
            spec,
            (),
            self._registry.load(spec.driver),
            publish=lambda _batch, _durable: None,
            clock=self._clock,
            health=Health(self._clock),
            memory=_Forgetful(),
            emit=lambda _entry: None,
        )

    async def stop(self, channel: str) -> None:
        """End a channel and forget its devices."""
        spec = self._specs.pop(channel, None)
        if spec is None:
            return
        if self._runners.pop(channel, None) is not None:
            await self._supervisor.remove(self.unit(spec))
        self._tags.release(channel)
        self._health.clear_entity(channel)
        for device in spec.devices:
            self._health.clear_entity(device.id, keep=[MAINTENANCE])  # people end it, or time

    async def stop_all(self) -> None:
        """End all channels side by side; their devices stay known for the last checkpoint."""
        await asyncio.gather(*(self._supervisor.remove(self.unit(self._specs[channel])) for channel in self._runners))
        self._runners.clear()

    def slots(self, channel: str) -> list[int]:
        """Slots of a channel's tags."""
        return [tag.slot for device in self._tags.devices() if device.channel == channel for tag in device.tags]

    def target(self, device: str) -> ChannelRunner | None:
        """The runner of a device's channel."""
        known = self._tags.device(device)
        return self._runners.get(known.channel) if known else None

    def runner(self, channel: str) -> ChannelRunner | None:
        return self._runners.get(channel)

    def runners(self) -> Iterable[tuple[str, ChannelRunner]]:
        return self._runners.items()

    def specs(self) -> Iterable[ChannelSpec]:
        return self._specs.values()

    def is_up(self, channel: str) -> bool:
        """Whether at least one device of the channel answers; where devices speak when they like, the link suffices
        until they have.
        """
        runner = self._runners.get(channel)
        if runner is None:
            return False
        states = set(runner.states().values())
        return bool(states & {"online", "degraded"}) or (runner.linked and (not states or "unknown" in states))

    def is_heard(self, channel: str) -> bool:
        """Whether a device of the channel has answered or spoken, and still does."""
        runner = self._runners.get(channel)
        return runner is not None and not {"online", "degraded"}.isdisjoint(runner.states().values())

    def tags_of(self, device: str) -> tuple[Tag, ...]:
        known = self._tags.device(device)
        return known.tags if known else ()


class _Forgetful:
    """A driver's memory that ends with it."""

    def __init__(self) -> None:
        self._rows: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._rows.get(key)

    def put(self, key: str, value: Any) -> None:
        self._rows[key] = value

    def delete(self, key: str) -> None:
        self._rows.pop(key, None)

    def items(self) -> Mapping[str, Any]:
        return dict(self._rows)
