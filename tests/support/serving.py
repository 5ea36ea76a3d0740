"""A server to the plant over the real tags, latest values and commands; the devices behind are one line in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from gateway.clock import SystemClock
from gateway.commands import Commands
from gateway.fake_context import DictMemory
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import (
    Batch,
    Block,
    ChannelSpec,
    DeviceSpec,
    Quality,
    Schedule,
    Tag,
    TagSpec,
    Value,
    Write,
    WriteResult,
    WriteState,
)
from gateway.serving.context import ServerRunner
from gateway.serving.contract import ServerSpec
from gateway.serving.offering import Choice, offers_of
from gateway.tags import TagTable
from tests.support.eventually import eventually
from tests.support.ports import free_port


class Trail:
    """What would be in the audit log: (who, via, tag, state)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str, str]] = []

    def record(self, who: str, via: str, _what: str, **details: Any) -> None:
        self.entries.append((who, via, details["tag"], details["state"]))


class Plant:
    """Devices with tags. `ends`: how the next writes end; a good one is read back and published."""

    def __init__(self, *devices: DeviceSpec, memory: DictMemory | None = None) -> None:
        self.clock = SystemClock(lambda: True)
        self.health = Health(self.clock)
        self.tags = TagTable()
        self.latest = LatestValues(self.clock)
        self.channel = ChannelSpec("line1", "sim", None, devices)
        names = TagTable.names([self.channel])
        self.tags.bind(self.channel, {name: i for i, name in enumerate(names)})
        self.latest.grow(self.tags.size)
        self.trail = Trail()
        self.commands = Commands(self.tags, self.latest, self, self.clock, self.trail)  # type: ignore[arg-type]
        self.memory = memory or DictMemory()
        self.writes: list[tuple[str, Value]] = []
        self.ends: list[WriteState] = []
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.runs = True
        self.runner: ServerRunner | None = None

    def target(self, _device: str) -> Plant | None:
        return self if self.runs else None

    async def read(self, tags: Sequence[Tag]) -> Sequence[Any]:
        return [(tag, self.latest.value(tag), 0, 1) for tag in tags]

    async def write(self, write: Write) -> WriteResult:
        self.asked += 1
        await self.gate.wait()
        state = self.ends.pop(0) if self.ends else WriteState.OK
        tag = write.tag
        if state is not WriteState.OK:
            return WriteResult(tag.device, tag.path, state, 504, text="the device said nothing")
        self.writes.append((tag.name, write.value))
        self.show({tag.name: write.value})
        return WriteResult(tag.device, tag.path, state, 200, write.value, verified=True)

    def show(self, values: dict[str, Value], quality: Quality = Quality.GOOD, ts: int | None = None) -> None:
        """Values as a driver publishes them."""
        tags = [tag for name in values if (tag := self.tags.find(name)) is not None]
        moment = ts if ts is not None else self.clock.wall_ms()
        for tag, value in zip(tags, values.values(), strict=True):
            batch = Batch(Block(tag.device, [tag]), [value], moment, self.clock.mono(), quality=[int(quality)])
            self.latest.on_batch(batch)
            if self.runner is not None:
                self.runner.on_batch(batch)

    @contextlib.asynccontextmanager
    async def served(
        self, spec: ServerSpec, settings: Any, folder: Path, choice: Choice | None = None
    ) -> AsyncIterator[int]:
        """Run the server on a free port, which is given, until the end."""
        port = free_port()
        offers = offers_of(choice or Choice(write=("*.*",)), [self.channel])
        self.runner = ServerRunner(
            "hmi",
            spec,
            offers,
            listen=("127.0.0.1", port),
            settings=settings,
            gateway="plant-7",
            base=folder,
            folder=folder / "servers/hmi",
            tags=self.tags,
            latest=self.latest,
            runs=lambda _device: self.runs,
            commands=self.commands,
            memory=self.memory,
            clock=self.clock,
            health=self.health,
        )
        task = asyncio.create_task(self.runner.run())
        try:
            await eventually(lambda: self.runner.up or task.done(), within=20)  # type: ignore[union-attr]
            if task.done():
                task.result()
            yield port
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def device(name: str, *tags: TagSpec) -> DeviceSpec:
    return DeviceSpec(name, None, tags, Schedule(1.0))
