"""A small real DriverContext that records, for tests of drivers without a gateway around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from gateway.abilities import Sighting
from gateway.clock import Clock, SystemClock
from gateway.driver import Memory, PollingDriver
from gateway.model import Access, Batch, Block, ChannelSpec, Device, Quality, Tag, Value


def bind_devices(channel: ChannelSpec) -> tuple[Device, ...]:
    """Devices and tags of a channel with slots and aliases, as a running gateway makes them."""
    slot = 0
    devices: list[Device] = []
    for spec in channel.devices:
        tags: list[Tag] = []
        for tag in spec.tags:
            tags.append(Tag(spec.id, tag.path, slot, slot + 1, tag))
            slot += 1
        devices.append(Device(spec.id, channel.id, spec, tuple(tags)))
    return tuple(devices)


class DictMemory:
    """A gateway.driver.Memory that forgets when the test ends."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.rows.get(key)

    def put(self, key: str, value: Any) -> None:
        self.rows[key] = value

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)

    def items(self) -> Mapping[str, Any]:
        return dict(self.rows)


class FakeContext:
    """Records what a driver does: `batches`, `states`, `issues`, `remarks` by tag name, `events`, `sightings`. `poll`
    asks everything in turn, for ever.

    `on_durable` is called at once. Use it as an async context manager, so that the driver's tasks end with the test.
    """

    def __init__(self, channel: ChannelSpec, clock: Clock | None = None) -> None:
        self.channel = channel
        self.devices = bind_devices(channel)
        self.clock: Clock = clock or SystemClock()
        self.log = logging.LoggerAdapter(logging.getLogger("fieldpost.driver"), {"unit": f"test:{channel.id}"})
        self.memory: Memory = DictMemory()
        self.task_group = asyncio.TaskGroup()
        self.batches: list[Batch] = []
        self.states: list[tuple[str, str]] = []
        self.issues: dict[tuple[str, str], str] = {}
        self.linked = False
        self.link_lost = ""
        self.hurries = 0
        self.fresh_devices: list[str] = []
        self.fresh_tags: list[list[str]] = []
        self.remarks: dict[str, str] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.sightings: list[Sighting] = []

    async def __aenter__(self) -> FakeContext:  # noqa: PYI034 - Self needs an import that only this line would use
        await self.task_group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in list(getattr(self.task_group, "_tasks", ())):
            task.cancel()
        await self.task_group.__aexit__(kind, error, trace)

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
        when = self.clock.wall_ms() if ts is None else ts
        self.batches.append(Batch(block, values, when, self.clock.mono(), index, quality))
        if on_durable is not None:
            on_durable()

    def hurry(self) -> None:
        self.hurries += 1

    def online(self, device: str) -> None:
        self._state(device, "online")

    def offline(self, device: str, reason: str) -> None:
        self._state(device, f"offline: {reason}")

    def link(self, *, up: bool, why: str = "") -> None:
        self.linked = up
        self.link_lost = why

    def fresh(self, device: str, tags: Sequence[Tag] | None = None) -> None:
        self.fresh_devices.append(device)
        if tags is not None:
            self.fresh_tags.append([tag.path for tag in tags])

    def explain(self, tag: Tag, why: str) -> None:
        if why:
            self.remarks[tag.name] = why
        else:
            self.remarks.pop(tag.name, None)

    def event(self, device: str, what: str, fields: Mapping[str, Any]) -> None:
        self.events.append((device, what, dict(fields)))

    def sighted(self, sighting: Sighting) -> None:
        self.sightings.append(sighting)

    def issue(self, key: str, text: str, repair: str = "", device: str = "") -> None:
        self.issues[key, device or self.channel.id] = f"{text} ({repair})" if repair else text

    def clear(self, key: str, device: str = "") -> None:
        self.issues.pop((key, device or self.channel.id), None)

    async def poll(self, driver: PollingDriver) -> NoReturn:
        await driver.connect(self)
        try:
            while True:
                for device in self.devices:
                    await self._poll_device(driver, device)
                await self.clock.sleep(min((device.spec.schedule.every_s for device in self.devices), default=1.0))
        finally:
            await driver.close()

    def latest(self) -> dict[str, tuple[Value, Quality]]:
        """The last value and quality of each tag, by its full name."""
        rows: dict[str, tuple[Value, Quality]] = {}
        for batch in self.batches:
            codes = batch.quality if batch.quality is not None else [0] * len(batch)
            for tag, value, code in zip(batch.tags, batch.values, codes, strict=True):
                rows[tag.name] = (value, Quality(code))
        return rows

    async def _poll_device(self, driver: PollingDriver, device: Device) -> None:
        tags = [tag for tag in device.tags if tag.spec.access is not Access.WRITE]
        for request in driver.plan(device, tags):
            columns = await driver.read(request)
            self.publish(request.block, columns.values, ts=columns.ts, index=columns.index, quality=columns.quality)

    def _state(self, device: str, state: str) -> None:
        if dict(self.states).get(device) != state:  # repeating it does nothing
            self.states.append((device, state))
