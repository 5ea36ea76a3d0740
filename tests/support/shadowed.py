"""The shadows of one gateway over a real store, without channels: scripted devices stand behind the wires.

A device has what it holds, how it answers, and a log of every write that reached it. `ShadowGateway` opens, closes,
kills and reopens the store under a clock that a test moves by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gateway.audit import Audit
from gateway.errors import DeviceUnavailable, WriteRejected
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import (
    Access,
    Batch,
    Block,
    ChannelSpec,
    DeviceSpec,
    DeviceState,
    Quality,
    Schedule,
    Tag,
    TagSpec,
    Value,
    ValueType,
    WriteResult,
    WriteState,
)
from gateway.settings.types import JournalSettings, ShadowSettings, StoreSettings
from gateway.shadows import rows
from gateway.shadows.answers import RIDS
from gateway.shadows.desk import ACKED, Desk
from gateway.shadows.feed import Feed
from gateway.shadows.keeper import Keeper
from gateway.shadows.reporting import Reporter
from gateway.shadows.wishes import WISHED, Wishes
from gateway.shadows.writing import WriteThrough
from gateway.store import Store
from gateway.tags import TagTable
from gateway.testing import ManualClock
from gateway.writes import matches, read_back_tag

T = TypeVar("T")

RW = Access.READ_WRITE
_RELEASE_MS = 1_700_000_000_000
_HERE = frozenset((DeviceState.ONLINE, DeviceState.DEGRADED))


def state_tag(path: str, type_: ValueType = ValueType.UINT16, **words: Any) -> TagSpec:
    """A tag that can be desired."""
    return TagSpec(path, type_, None, access=RW, **words)


class ScriptedDevice:
    """One device. `log` has (tag, value) of every write that reached it, in order."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values: dict[str, Value] = dict(values)
        self.state = DeviceState.ONLINE
        self.log: list[tuple[str, Value]] = []
        self.refuses: dict[str, int] = {}
        """Tag -> code: the device says no."""
        self.clamps: dict[str, float] = {}
        """Tag -> the most that it takes."""
        self.deaf: set[str] = set()
        """Tags of which a write gets no answer and has no effect."""
        self.mute: set[str] = set()
        """Tags of which a write gets no answer but has its effect."""
        self.supersedes: set[str] = set()
        """Tags of which a write is overtaken by another one in the arbiter's queue."""
        self.late: dict[str, int] = {}
        """Tag -> so many reads still show the old value after a write."""
        self.unreadable = False
        self.hold: asyncio.Event | None = None
        """Writes wait here, after they reached the device."""
        self.hold_before: asyncio.Event | None = None
        """Writes wait here, before they reach the device."""
        self.follows: dict[str, str] = {}
        """Tag -> its feedback tag, which takes the same value."""
        self.shown: dict[str, Value] = {}
        """What the last good read of each tag gave."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.reads = 0
        self._coming: dict[str, tuple[int, Value]] = {}

    @property
    def is_here(self) -> bool:
        return self.state in _HERE

    def put(self, tag: str, value: Value) -> None:
        """The device's own side changes a value: somebody at its panel."""
        self._coming.pop(tag, None)
        self.values[tag] = value
        if tag in self.follows:
            self.values[self.follows[tag]] = value

    def take(self, tag: str, value: Value) -> None:
        """A write reaches the device."""
        self.log.append((tag, value))
        if tag in self.clamps and isinstance(value, int | float):
            value = min(value, self.clamps[tag])
        if tag in self.late:
            self._coming[tag] = (self.late[tag], value)
        else:
            self.put(tag, value)

    def show(self, tag: str) -> Value:
        """A read of one tag."""
        self.reads += 1
        if tag in self._coming:
            left, value = self._coming.pop(tag)
            if left <= 0:
                self.put(tag, value)
            else:
                self._coming[tag] = (left - 1, value)
        self.shown[tag] = self.values[tag]
        return self.values[tag]


class ScriptedWires:
    """gateway.shadows.writing.Wires over scripted devices. What is read or read back becomes a latest value too."""

    def __init__(self, devices: dict[str, ScriptedDevice], tags: TagTable, latest: LatestValues, clock: ManualClock):
        self._devices = devices
        self._tags = tags
        self._latest = latest
        self._clock = clock
        self.cut = False
        self.on_write: Callable[[Tag, Value, str], None] = lambda _tag, _value, _origin: None
        """Told of every write that is asked for, with its origin."""

    def state(self, device: str) -> DeviceState | None:
        known = self._devices.get(device)
        return None if known is None else known.state

    async def read(self, tags: Sequence[Tag]) -> list[tuple[Tag, Value, int, int | None]]:
        device = self._devices[tags[0].device]
        await asyncio.sleep(0)
        if not device.is_here or device.unreadable or self.cut:
            raise DeviceUnavailable("no answer")
        values = [device.show(tag.path) for tag in tags]
        self.heard(tags, values)
        return [(tag, value, int(Quality.GOOD), self._clock.wall_ms()) for tag, value in zip(tags, values, strict=True)]

    async def write(
        self, values: Mapping[str, Value], *, origin: str, via: str, deadline_s: float
    ) -> list[WriteResult]:
        return [await self._one(name, value, origin) for name, value in values.items()]

    async def _one(self, name: str, value: Value, origin: str) -> WriteResult:
        tag = self._tags.find(name)
        assert tag is not None
        self.on_write(tag, value, origin)
        device = self._devices[tag.device]
        device.in_flight += 1
        device.most_in_flight = max(device.most_in_flight, device.in_flight)
        try:
            return await self._perform(device, tag, value)
        finally:
            device.in_flight -= 1

    async def _perform(self, device: ScriptedDevice, tag: Tag, value: Value) -> WriteResult:
        def result(state: WriteState, code: int, text: str = "", value: Value = None) -> WriteResult:
            return WriteResult(tag.device, tag.path, state, code, value, value is not None, text)

        await asyncio.sleep(0)
        if device.hold_before is not None:
            await device.hold_before.wait()
        if not device.is_here or tag.path in device.deaf or self.cut:
            return result(WriteState.FAILED, 504, "no answer, the outcome is not known")
        if tag.path in device.supersedes:
            return result(WriteState.SUPERSEDED, 409, "another write came")
        if tag.path in device.refuses:
            return result(WriteState.REJECTED, device.refuses[tag.path], "the device refuses")
        device.take(tag.path, value)
        if device.hold is not None:
            await device.hold.wait()
        if not device.is_here or tag.path in device.mute or device.unreadable:
            return result(WriteState.FAILED, 504, "no answer, the outcome is not known")
        shown = read_back_tag(tag, self._tags.device(tag.device).tags)
        got = device.show(shown.path)
        self.heard([shown], [got])
        if matches(tag.spec, value, got):
            return result(WriteState.OK, 200, value=got)
        return result(WriteState.FAILED, 500, f"written {value!r}, but {shown.path} reads {got!r}", got)

    def heard(self, tags: Sequence[Tag], values: Sequence[Value]) -> None:
        """Values arrive: what differs from the latest is published, the rest only confirms it."""
        device = tags[0].device
        batch = Batch(Block(device, tags), list(values), self._clock.wall_ms(), self._clock.mono())
        differing = set(self._latest.differing(batch))
        index = [i for i, slot in enumerate(batch.slots) if slot in differing]
        if index:
            some = [values[i] for i in index]
            self._latest.on_batch(Batch(batch.block, some, batch.ts, batch.mono, index))
        self._latest.polled(device, self._clock.mono())


class ShadowGateway:
    """Shadows over a store in `path`. `devices`: id -> its specification and the device itself."""

    def __init__(
        self,
        path: Path,
        devices: Mapping[str, tuple[DeviceSpec, ScriptedDevice]],
        clock: ManualClock | None = None,
        settings: ShadowSettings | None = None,
    ) -> None:
        self.path = path
        self.clock = clock or ManualClock()
        self.settings = settings or ShadowSettings()
        self.devices = {id_: device for id_, (_, device) in devices.items()}
        self._channel = ChannelSpec("line1", "scripted", None, tuple(spec for spec, _ in devices.values()))
        self.locked: set[str] = set()
        """Devices in maintenance."""
        self.online = False
        self._running: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open the store, with the last values of its checkpoint."""
        journal = JournalSettings(max_bytes=8_000_000)
        self.store = Store(StoreSettings(self.path, 1.0, journal=journal), self.clock, release_ms=_RELEASE_MS)
        self.store.open()
        self.tags = TagTable()
        names = TagTable.names([self._channel])
        self.tags.bind(self._channel, dict(zip(names, self.store.bind_aliases(names), strict=True)))
        self.latest = LatestValues(self.clock)
        self.latest.grow(self.tags.size)
        self.latest.restore(self.tags.tags(), self.store.last_values())
        self.health = Health(self.clock)
        epoch = self.store.state.epoch
        self.keeper = Keeper(self.store, self.store.table(rows.TABLE).items(), epoch, Feed())
        self.reporter = Reporter(
            self.keeper,
            self.latest,
            self.tags.device,
            self.clock,
            self.health,
            epoch=epoch,
            max_bytes=lambda: self.settings.max_bytes,
        )
        self.desk = Desk(
            self.keeper,
            self.reporter,
            self.store,
            self.tags,
            self.clock,
            Audit(self.clock, self.store),
            settings=lambda: self.settings,
            allows=self._allows,
            online=lambda: self.online,
            rids=self.store.table(RIDS).items(),
            acked=self.store.table(ACKED).items(),
        )
        self.wires = ScriptedWires(self.devices, self.tags, self.latest, self.clock)
        wishes = Wishes(
            self.keeper, self.tags, self.clock, self.store.table(WISHED).items(), lambda: self.settings.max_bytes
        )
        self.writes = WriteThrough(self.keeper, self.reporter, self.tags, self.wires, self.clock, wishes)
        self.writes.on_end(self.desk.ended)

    def _allows(self, tag: Tag, via: str) -> None:
        if tag.device in self.locked:
            raise WriteRejected(f"{tag.device} is in maintenance", code=403)

    def start(self) -> None:
        """Let devices follow."""
        self._running = asyncio.get_running_loop().create_task(self.writes.run())

    async def do(self, work: Awaitable[T]) -> T:
        """Do something that waits for commits."""
        task = asyncio.ensure_future(work)
        await self.settle()
        return await task

    async def settle(self) -> None:
        """Let everything run and commit until all wait."""
        while True:
            await self.clock.settle()
            if self.store._pending.is_empty and not self.store.held:
                return
            await self.store.commit()

    async def advance(self, seconds: float) -> None:
        """Time passes, in steps of at most a second."""
        await self.settle()
        while seconds > 0:
            await self.clock.advance(min(seconds, 1.0))
            await self.settle()
            seconds -= 1.0

    def poll(self, device: str) -> None:
        """A good poll of all tags, if the device is here."""
        if self.devices[device].is_here:
            tags = [tag for tag in self.tags.device(device).tags if tag.spec.access is not Access.WRITE]
            self.wires.heard(tags, [self.devices[device].show(tag.path) for tag in tags])

    def fault(self) -> BaseException | None:
        """What ended the running of writes, which ends never."""
        if self._running is None or not self._running.done():
            return None
        error: BaseException | None = self._running.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error or RuntimeError("writes are not served any more")

    async def checkpoint(self) -> None:
        """Last values are kept, as once a minute."""
        await self.store.checkpoint(self.latest.checkpoint(self.tags.tags()))

    async def close(self) -> None:
        """A clean stop."""
        await self._end_run()
        await self.store.close()

    async def kill(self) -> None:
        """What is not on disk is lost; nothing reaches a device any more."""
        self.wires.cut = True
        self.store.abandon()
        self.store._fail_waiting()  # nobody is left to be answered
        await self._end_run()
        await self.clock.settle()

    async def _end_run(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                task = asyncio.ensure_future(asyncio.wait((running,)))
                while not task.done():
                    await self.clock.settle()
                    if not self.store._closed:
                        await self.store.commit()
                    await asyncio.sleep(0)


def device_spec(*tags: TagSpec, id: str = "dev", conflict: str = "cloud_wins") -> DeviceSpec:
    return DeviceSpec(id, None, tags, Schedule(1.0), conflict=conflict)
