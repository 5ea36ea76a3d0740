"""The virtual driver: devices that are always there, memory tags that take writes, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from drivers.virtual import SPEC
from drivers.virtual.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.bus import Bus
from gateway.clock import SystemClock
from gateway.errors import DeviceUnavailable
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
    TagSpec,
    ValueType,
    Write,
    WriteState,
)
from gateway.registry import Registry
from gateway.rulebook import VirtualSpec
from gateway.runtime.channels import Channels
from gateway.supervisor import Supervisor
from gateway.tags import TagTable
from gateway.testing import DictMemory, examine
from tests.support.eventually import eventually


def memory(path: str, type_: ValueType = ValueType.FLOAT64) -> TagSpec:
    return TagSpec(path, type_, TagSettings(), access=Access.READ_WRITE, virtual=VirtualSpec("memory"))


def computed(path: str) -> TagSpec:
    return TagSpec(path, ValueType.FLOAT64, TagSettings(), virtual=VirtualSpec("value", "1 + 1"))


def channel(*tags: TagSpec, device: str = "plant") -> ChannelSpec:
    spec = DeviceSpec(device, DeviceSettings(), tags, Schedule(1.0))
    return ChannelSpec("virtual", "virtual", ChannelSettings(), (spec,))


class Rig:
    """Channels with the real drivers under a supervisor."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.health = Health(self.clock)
        self.bus, self.tags, self.latest = Bus(), TagTable(), LatestValues(self.clock)
        self.bus.subscribe("latest", self.latest.on_batch)
        self.batches: list[Batch] = []
        self.bus.subscribe("test", self.batches.append)
        self.supervisor = Supervisor(self.clock, self.health)
        self.channels = Channels(
            supervisor=self.supervisor,
            registry=Registry(),
            tags=self.tags,
            latest=self.latest,
            publish=lambda batch, _durable: self.bus.publish(batch),
            polled=self.latest.polled,
            memory=lambda _channel: DictMemory(),
            clock=self.clock,
            health=self.health,
            emit=lambda _entry: None,
            timezone=lambda: "UTC",
        )

    async def __aenter__(self) -> Rig:  # noqa: PYI034
        self.running = asyncio.ensure_future(self.supervisor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()
        await self.running

    def start(self, spec: ChannelSpec) -> None:
        names = TagTable.names([spec])
        self.channels.start(spec, {name: 1 + place for place, name in enumerate(names)}, {})

    async def state(self, device: str, state: DeviceState) -> None:
        await eventually(lambda: self.channels.target(device).states()[device] is state)

    async def write(self, name: str, value: object, within_s: float = 5.0):
        tag = self.tags.find(name)
        return await self.channels.target(tag.device).write(Write(tag, value, self.clock.mono() + within_s))

    def compute(self, name: str, value: object) -> None:
        tag = self.tags.find(name)
        self.bus.publish(Batch(Block(tag.device, [tag]), [value], self.clock.wall_ms(), self.clock.mono()))


async def test_the_driver_keeps_the_contract_and_has_no_values_of_its_own() -> None:
    there = channel(memory("setpoint"), computed("two"))
    report = await examine(SPEC, there, quiet="the rules engine gives its values", writes={"plant.setpoint": 5.0})
    assert report.findings == []
    assert {"run", "cancel-run", "leaks", "write", "away-and-back"}.isdisjoint(report.skipped)


async def test_its_devices_are_online_at_once_and_nothing_is_published() -> None:
    async with Rig() as rig:
        rig.start(channel(memory("setpoint"), computed("two")))
        await rig.state("plant", DeviceState.ONLINE)
        assert rig.batches == []


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        (ValueType.FLOAT64, 5, 5.0),
        (ValueType.INT32, 5, 5),
        (ValueType.BOOL, True, True),
        (ValueType.STRING, "night", "night"),
    ],
)
async def test_a_written_memory_tag_has_its_value_good_and_verified(type_, value, shown) -> None:
    async with Rig() as rig:
        rig.start(channel(memory("setpoint", type_)))
        await rig.state("plant", DeviceState.ONLINE)
        result = await rig.write("plant.setpoint", value)
        assert (result.state, result.code, result.value, result.verified) == (WriteState.OK, 200, value, True)
        current = rig.latest.current(rig.tags.find("plant.setpoint"))
        assert (current.value, type(current.value), current.quality) == (shown, type(shown), Quality.GOOD)
        assert current.ts > 0


async def test_reading_a_virtual_tag_gives_what_it_has() -> None:
    async with Rig() as rig:
        rig.start(channel(memory("setpoint"), computed("two")))
        await rig.state("plant", DeviceState.ONLINE)
        setpoint, two = (rig.tags.find(f"plant.{path}") for path in ("setpoint", "two"))
        rig.compute("plant.two", 2.0)
        rows = await rig.channels.target("plant").read([two, setpoint])
        assert [row[:3] for row in rows] == [(two, 2.0, Quality.GOOD), (setpoint, None, Quality.BAD_COMM)]
        assert rows[0][3] > 0
        assert rows[1][3] is None


async def test_a_computed_tag_is_not_written() -> None:
    async with Rig() as rig:
        rig.start(channel(computed("two")))
        await rig.state("plant", DeviceState.ONLINE)
        result = await rig.write("plant.two", 3.0)
        assert (result.state, result.code) == (WriteState.REJECTED, 403)


def sim(*tags: TagSpec, device: str = "tank") -> ChannelSpec:
    from drivers.sim.settings import ChannelSettings as Wire
    from drivers.sim.settings import DeviceSettings as Unit

    return ChannelSpec("line", "sim", Wire(), (DeviceSpec(device, Unit(), tags, Schedule(0.05)),))


def polled(path: str) -> TagSpec:
    from drivers.sim.settings import TagSettings as Signal

    return TagSpec(path, ValueType.FLOAT64, Signal(signal="constant", low=7.0))


async def test_a_polling_driver_never_sees_the_virtual_tags_beside_its_own() -> None:
    async with Rig() as rig:
        rig.start(sim(computed("two"), polled("level")))
        await rig.state("tank", DeviceState.ONLINE)
        level, two = rig.tags.find("tank.level"), rig.tags.find("tank.two")
        rig.compute("tank.two", 2.0)
        rows = await rig.channels.target("tank").read([two, level])
        assert [row[1] for row in rows] == [2.0, 7.0]
        own = [batch for batch in rig.batches if batch.tags != (two,)]
        assert {tag.path for batch in own for tag in batch.tags} == {"level"}


async def test_a_device_that_is_away_does_not_take_its_computed_tags_with_it() -> None:
    async with Rig() as rig:
        rig.start(sim(computed("two"), polled("level")))
        await rig.state("tank", DeviceState.ONLINE)
        rig.compute("tank.two", 2.0)
        rig.channels.target("tank").demote("tank", 60.0)
        await eventually(lambda: rig.latest.current(rig.tags.find("tank.level")).quality is Quality.BAD_COMM)
        assert rig.latest.current(rig.tags.find("tank.two")).value == 2.0


async def test_a_polled_device_with_nothing_but_virtual_tags_is_left_alone() -> None:
    async with Rig() as rig:
        rig.start(sim(computed("two"), device="sums"))
        spec = sim(polled("level"))
        rig.start(ChannelSpec("other", "sim", spec.settings, spec.devices))
        await rig.state("tank", DeviceState.ONLINE)
        assert rig.channels.target("sums").reads()["sums"]["requests"] == []
        rig.compute("sums.two", 2.0)
        rows = await rig.channels.target("sums").read([rig.tags.find("sums.two")])
        assert rows[0][1] == 2.0
        assert rig.health.open() == []


async def test_a_write_before_the_driver_runs_fails() -> None:
    driver = SPEC.create()
    with pytest.raises(DeviceUnavailable):
        await driver.write(None, None, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [70_000, -1, 10**30])
async def test_a_number_beyond_its_type_is_refused(value: int) -> None:
    async with Rig() as rig:
        rig.start(channel(memory("setpoint", ValueType.UINT16)))
        await rig.state("plant", DeviceState.ONLINE)
        result = await rig.write("plant.setpoint", value)
        assert (result.state, result.code) == (WriteState.REJECTED, 422)
        assert rig.batches == []
