"""A channel on a simulated wire under a manual clock: dummy drivers, devices, and what came out.

The wire takes `answer_s` per transaction; a silent unit takes the channel's whole time-out.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from gateway.context import ChannelRunner
from gateway.driver import Columns, DriverContext, DriverSpec, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused
from gateway.health import Health
from gateway.model import (
    Access,
    Batch,
    Block,
    ChannelSpec,
    Device,
    DeviceSpec,
    DeviceState,
    Quality,
    Report,
    Schedule,
    Tag,
    TagSpec,
    Value,
    ValueType,
    Verify,
    Write,
)
from gateway.supervisor import Supervisor
from gateway.testing import DictMemory, ManualClock

_slots = itertools.count()


class SimWire:
    """What the dummy driver talks to. Units answer their own poll count."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.answer_s = 0.01
        self.silent: set[str] = set()
        self.refused_tags: set[str] = set()
        self.refuse_reason = "config"
        self.down = False
        self.hangs_up = False
        """Opens, and is gone with the first thing that is asked."""
        self.stuck = False
        self.ignore_writes = False
        self.values: dict[str, Value] = {}
        self.asked: Counter[str] = Counter()
        self.log: list[tuple[float, str, str]] = []
        self.opened = 0
        self.closed = 0
        self.lost_s = 0.0

    async def spend(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


class DummyPolling(PollingDriver):
    """Asks the simulated wire; one request holds up to `chunk` tags."""

    def __init__(self, wire: SimWire, chunk: int = 100) -> None:
        self.wire = wire
        self.chunk = chunk
        self.ctx: DriverContext | None = None

    async def connect(self, ctx: DriverContext) -> None:
        self.ctx = ctx
        self.wire.log.append((self.wire.clock.mono(), "connect", ""))
        if self.wire.down:
            raise LinkLost("connection refused")
        self.wire.opened += 1

    async def close(self) -> None:
        self.wire.closed += 1

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        return [
            Request(Block(device.id, tags[i : i + self.chunk]), None, f"{tags[i].path}+{len(tags[i : i + self.chunk])}")
            for i in range(0, len(tags), self.chunk)
        ]

    async def _exchange(self, device: str, what: str) -> None:
        wire = self.wire
        wire.log.append((wire.clock.mono(), what, device))
        if wire.stuck:
            await asyncio.Event().wait()
        if wire.down or wire.hangs_up:
            raise LinkLost("connection reset")
        if device in wire.silent:
            assert self.ctx is not None
            await wire.spend(self.ctx.channel.timeout_s)
            wire.lost_s += self.ctx.channel.timeout_s
            raise DeviceUnavailable("no answer")
        await wire.spend(wire.answer_s)
        if wire.down:
            raise LinkLost("connection reset")

    async def read(self, request: Request) -> Columns:
        device = request.block.device
        self.wire.asked[device] += 1
        await self._exchange(device, "read")
        if any(tag.name in self.wire.refused_tags for tag in request.block.tags):
            raise RequestRefused("illegal data address", code=2, reason=self.wire.refuse_reason)
        count = self.wire.asked[device]
        return Columns([self.wire.values.get(tag.name, count) for tag in request.block.tags])

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        await self._exchange(device.id, f"write {tag.path}={value}")
        if not self.wire.ignore_writes:
            self.wire.values[tag.name] = value


class SplittingPolling(DummyPolling):
    """Cuts a refused request in halves."""

    def split(self, request: Request, error: Exception) -> Sequence[Request]:
        tags = request.block.tags
        if not isinstance(error, RequestRefused) or error.code != 2 or len(tags) < 2:
            return ()
        half = len(tags) // 2
        return [
            Request(Block(request.block.device, part), None, f"{part[0].path}+{len(part)}")
            for part in (tags[:half], tags[half:])
        ]


def tag_spec(path: str, **more: Any) -> TagSpec:
    return TagSpec(path, more.pop("type", ValueType.INT32), source=None, **more)


def device_spec(name: str, tags: Iterable[TagSpec] | int = 1, every_s: float = 1.0) -> DeviceSpec:
    specs = tuple(tag_spec(f"t{i}") for i in range(tags)) if isinstance(tags, int) else tuple(tags)
    return DeviceSpec(name, None, specs, Schedule(every_s))


def bind(channel: ChannelSpec) -> tuple[Device, ...]:
    """Devices with slots, as the tag table makes them."""
    made = []
    for spec in channel.devices:
        tags = tuple(Tag(spec.id, tag.path, (slot := next(_slots)), slot + 10, tag) for tag in spec.tags)
        made.append(Device(spec.id, channel.id, spec, tags))
    return tuple(made)


class World:
    """One channel, its wire, and everything it gave."""

    def __init__(
        self,
        devices: Iterable[DeviceSpec],
        driver: Callable[[SimWire], Any] = DummyPolling,
        clock: ManualClock | None = None,
        channel_id: str = "line1",
        **channel: Any,
    ) -> None:
        self.clock = clock or ManualClock()
        self.wire = SimWire(self.clock)
        self.health = Health(self.clock)
        self.issues: list[tuple[str, str, bool]] = []
        self.health.listen(lambda issue, is_set: self.issues.append((issue.id, issue.entity, is_set)))
        self.channel = ChannelSpec(channel_id, "dummy", None, tuple(devices), **channel)
        self.devices = bind(self.channel)
        self.batches: list[Batch] = []
        self.durable: list[Callable[[], None]] = []
        self.events: list[dict[str, Any]] = []
        self.polled: list[tuple[str, float]] = []
        self.memory = DictMemory()
        spec = DriverSpec("dummy", type(None), type(None), type(None), create=lambda: driver(self.wire))
        self.runner = ChannelRunner(
            self.channel, self.devices, spec, publish=self._take, clock=self.clock, health=self.health,
            memory=self.memory, emit=self.events.append, polled=lambda device, mono, _tags: self.polled.append((device, mono)),
        )  # fmt: skip

    def _take(self, batch: Batch, on_durable: Callable[[], None] | None) -> None:
        self.batches.append(batch)
        if on_durable is not None:
            self.durable.append(on_durable)

    def tag(self, name: str) -> Tag:
        device, path = name.split(".")
        return next(t for d in self.devices if d.id == device for t in d.tags if t.path == path)

    def readings(self, device: str) -> list[tuple[str, Value, int, int]]:
        """(tag, value, quality, ts) in the order of publishing."""
        rows = []
        for batch in self.batches:
            if batch.block.device == device:
                codes = batch.quality or [0] * len(batch)
                rows += [(t.path, v, int(q), batch.ts) for t, v, q in zip(batch.tags, batch.values, codes, strict=True)]
        return rows

    def good_polls(self, device: str) -> int:
        return sum(1 for batch in self.batches if batch.block.device == device and batch.quality is None)

    def states(self, device: str) -> list[str]:
        return [event["state"] for event in self.events if event.get("device") == device]

    def write(self, name: str, value: Value, within_s: float = 10.0) -> Any:
        return self.runner.write(Write(self.tag(name), value, self.clock.mono() + within_s))


class Running:
    """`async with Running(world)`: the channel under a supervisor."""

    def __init__(self, *worlds: World, more: Mapping[str, Callable[[], Any]] | None = None) -> None:
        self.worlds = worlds
        self.clock = worlds[0].clock
        self.supervisor = Supervisor(self.clock, worlds[0].health, draw=lambda: 1.0)
        for world in worlds:
            self.supervisor.add(f"driver:dummy[{world.channel.id}]", world.runner.run)
        for name, factory in (more or {}).items():
            self.supervisor.add(name, factory)

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._group.create_task(self.supervisor.run())
        await self.clock.settle()
        return self

    async def __aexit__(self, *exc: object) -> None:
        stop = self._group.create_task(self.supervisor.stop(4.0))
        await self.clock.advance(5.0)
        await stop
        await self._group.__aexit__(*exc)

    def task(self, awaitable: Any) -> asyncio.Task[Any]:
        async def run() -> Any:
            return await awaitable

        return self._group.create_task(run())


__all__ = [
    "Access",
    "DeviceState",
    "DummyPolling",
    "Quality",
    "Report",
    "Running",
    "Schedule",
    "SimWire",
    "SplittingPolling",
    "Verify",
    "World",
    "device_spec",
    "tag_spec",
]
