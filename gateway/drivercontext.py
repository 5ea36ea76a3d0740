"""What one attempt of a driver sees of the gateway (gateway.driver.DriverContext)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.abilities import Sighting
from gateway.clock import Clock
from gateway.deviceevents import DeviceEvents
from gateway.driver import Columns, Memory, PollingDriver
from gateway.health import Health
from gateway.model import Block, ChannelSpec, Device, Tag, Value
from gateway.plans import Line
from gateway.publishing import Publisher
from gateway.refining import Refiner
from gateway.stats import Stats


class Attempt(Protocol):
    """What the context needs of the channel's runner."""

    async def poll(self, context: Context, driver: PollingDriver) -> None: ...

    @property
    def link_lost(self) -> str: ...

    def link(self, *, up: bool, why: str = "") -> None: ...

    def sighted(self, sighting: Sighting) -> None: ...

    def hurry(self) -> None: ...


class Parts:
    """Parts of a channel at work that a driver reaches through its context."""

    def __init__(
        self,
        channel: ChannelSpec,
        lines: Mapping[str, Line],
        *,
        clock: Clock,
        health: Health,
        memory: Memory,
        publisher: Publisher,
        refiner: Refiner,
        stats: Stats,
        emit: Callable[[dict[str, Any]], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.channel = channel
        self.lines = lines
        self.clock = clock
        self.health = health
        self.memory = memory
        self.publisher = publisher
        self.refiner = refiner
        self.stats = stats
        self.remarks = refiner.remarks
        self.events = DeviceEvents(channel.id, clock, emit, log)
        self.log = log


class Context:
    """The gateway.driver.DriverContext of one attempt."""

    def __init__(self, attempt: Attempt, parts: Parts, group: asyncio.TaskGroup) -> None:
        self._attempt = attempt
        self._parts = parts
        self.channel = parts.channel
        self.devices: tuple[Device, ...] = tuple(line.device for line in parts.lines.values())
        self.clock = parts.clock
        self.log = parts.log
        self.memory = parts.memory
        self.task_group = group

    def publish(
        self,
        block: Block,
        values: Sequence[Value],
        *,
        ts: int | None = None,
        index: Sequence[int] | None = None,
        quality: Sequence[int] | None = None,
        on_durable: Callable[[], None] | None = None,
    ) -> None:
        parts = self._parts
        columns = Columns(values, quality, index, ts)
        if block.refined:
            columns = parts.refiner.apply(block, columns)
        parts.publisher.put(block, columns, on_durable)
        line = parts.lines.get(block.device)
        if line is not None:
            line.stats.readings += len(values)
            parts.stats.readings += len(values)

    def hurry(self) -> None:
        self._attempt.hurry()

    def online(self, device: str) -> None:
        self._parts.lines[device].monitor.good()

    def offline(self, device: str, reason: str) -> None:
        monitor, why = self._parts.lines[device].monitor, self._attempt.link_lost
        if why:
            monitor.lost(reason, f"mend the connection of channel {self.channel.id} first: {why}")
        else:
            monitor.lost(reason)

    def link(self, *, up: bool, why: str = "") -> None:
        self._attempt.link(up=up, why=why)

    def fresh(self, device: str, tags: Sequence[Tag] | None = None) -> None:
        self._parts.publisher.fresh(device, tags)

    def explain(self, tag: Tag, why: str) -> None:
        self._parts.remarks.put(tag, why)

    def event(self, device: str, what: str, fields: Mapping[str, Any]) -> None:
        self._parts.events.put(device, what, fields)

    def sighted(self, sighting: Sighting) -> None:
        self._attempt.sighted(sighting)

    def issue(self, key: str, text: str, repair: str = "", device: str = "") -> None:
        self._parts.health.set(key, device or self.channel.id, text, repair)

    def clear(self, key: str, device: str = "") -> None:
        self._parts.health.clear(key, device or self.channel.id)

    async def poll(self, driver: PollingDriver) -> None:
        await self._attempt.poll(self, driver)
