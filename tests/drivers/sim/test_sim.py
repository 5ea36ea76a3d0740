"""The simulated driver: its signals, its failure switches, its checks."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest

from drivers.sim import SPEC
from drivers.sim.driver import SimDriver
from drivers.sim.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused
from gateway.model import Access, ChannelSpec, Device, DeviceSpec, Schedule, Tag, TagSpec, Transform, ValueType
from gateway.testing import ManualClock, examine


def tag(path: str, kind: str = "float64", access: str = "r", scale=None, **signal) -> TagSpec:
    return TagSpec(
        path, ValueType(kind), TagSettings(**signal), access=Access(access), transform=Transform(scale=scale)
    )


class Rig:
    """A driver, its device and a clock that the test moves."""

    def __init__(self, *specs: TagSpec, channel=None, **device) -> None:
        spec = DeviceSpec("d", DeviceSettings(**device), specs, Schedule(1.0))
        self.device = Device("d", "c", spec, tuple(Tag("d", s.path, i, i, s) for i, s in enumerate(specs)))
        self.channel = ChannelSpec("c", "sim", channel or ChannelSettings(), (spec,))
        self.devices = (self.device,)
        self.clock = ManualClock()
        self.log = logging.LoggerAdapter(logging.getLogger("test"))
        self.driver = SimDriver()

    async def read(self) -> dict:
        await self.driver.connect(self)
        found = {}
        for request in self.driver.plan(self.device, self.device.tags):
            columns = await self.driver.read(request)
            found |= dict(zip([t.path for t in request.block.tags], columns.values, strict=True))
        return found


async def test_periodic_signals_follow_the_clock_between_their_bounds():
    rig = Rig(*(tag(s, signal=s, low=10, high=20, period=8) for s in ("sine", "ramp", "square")))
    seen = []
    for _ in range(16):
        seen.append(await rig.read())
        await rig.clock.advance(1.0)
    assert seen[:8] == [pytest.approx(row) for row in seen[8:]]
    assert {row["square"] for row in seen} == {10.0, 20.0}
    assert max(row["sine"] for row in seen) == pytest.approx(20)
    assert min(row["sine"] for row in seen) == pytest.approx(10)
    ramp = sorted(row["ramp"] for row in seen[:8])
    assert all(b - a == pytest.approx(1.25) for a, b in itertools.pairwise(ramp))


async def test_a_counter_counts_requests_and_wraps_like_its_type():
    rig = Rig(tag("n", "uint16", signal="counter", low=65534))
    assert [(await rig.read())["n"] for _ in range(4)] == [65534, 65535, 0, 1]


async def test_a_random_walk_is_repeatable_and_stays_between_its_bounds():
    def rig():
        return Rig(tag("x", signal="random", low=0, high=5, step=3), channel=ChannelSettings(seed=7))

    async def walk(one):
        await one.driver.connect(one)
        request = one.driver.plan(one.device, one.device.tags)[0]
        return [(await one.driver.read(request)).values[0] for _ in range(100)]

    first, second = await walk(rig()), await walk(rig())
    assert first == second
    assert len(set(first)) > 10
    assert all(0 <= x <= 5 for x in first)


async def test_raw_signals_go_through_the_transform():
    rig = Rig(tag("t", "int16", signal="constant", low=213, scale=0.1))
    assert await rig.read() == {"t": 21.3}


async def test_a_constant_keeps_what_was_written():
    rig = Rig(tag("v", "bool", "rw", signal="constant"), tag("s", "uint16", "rw", scale=0.5, signal="constant"))
    assert await rig.read() == {"v": False, "s": 0.0}
    await rig.driver.write(rig.device, rig.device.tags[0], True)
    await rig.driver.write(rig.device, rig.device.tags[1], 12.5)
    assert await rig.read() == {"v": True, "s": 12.5}


@pytest.mark.parametrize(("fail", "error"), [("refuse", RequestRefused), ("lost", LinkLost)])
async def test_a_failure_switch_fails_each_nth_request(fail, error):
    rig = Rig(tag("x"), fail=fail, fail_every=3)
    for number in range(1, 7):
        if number % 3:
            await rig.read()
        else:
            with pytest.raises(error):
                await rig.read()


async def test_a_silent_device_takes_the_whole_timeout():
    rig = Rig(tag("x"), fail="silent")
    reading = asyncio.create_task(rig.read())
    await rig.clock.advance(rig.channel.timeout_s - 0.01)
    assert not reading.done()
    await rig.clock.advance(0.02)
    with pytest.raises(DeviceUnavailable):
        await reading


async def test_many_tags_are_several_requests_and_each_comes_once():
    rig = Rig(*(tag(f"t{i}") for i in range(1200)))
    assert len(rig.driver.plan(rig.device, rig.device.tags)) == 3
    assert len(await rig.read()) == 1200


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("type", tag("t", "string")),
        ("period", tag("t", period=0)),
        ("low", tag("t", low=5, high=1)),
        ("access", tag("t", access="rw", signal="sine")),
    ],
)
def test_settings_that_cannot_work_are_found(field, spec):
    rig = Rig(spec)
    assert [fault.path for fault in SPEC.check(rig.channel)] == [f"devices.d.tags.t.{field}"]


async def test_texts_bytes_and_objects_are_constants_that_begin_as_said_and_can_be_written():
    rig = Rig(
        tag("name", "string", "rw", signal="constant", text="pump"),
        tag("raw", "bytes", "rw", signal="constant", text="00ff"),
        tag("list", "object", "rw", signal="constant"),
    )
    assert list(SPEC.check(rig.channel)) == []
    assert await rig.read() == {"name": "pump", "raw": b"\x00\xff", "list": "{}"}
    for each, value in zip(rig.device.tags, ("fan", b"\x01", "[1,2]"), strict=True):
        await rig.driver.write(rig.device, each, value)
    assert await rig.read() == {"name": "fan", "raw": b"\x01", "list": "[1,2]"}


@pytest.mark.parametrize(("kind", "text"), [("bytes", "0g"), ("object", "1"), ("object", "{"), ("float64", "x")])
def test_a_text_that_is_no_value_of_the_type_is_found(kind, text):
    rig = Rig(tag("t", kind, signal="constant", text=text))
    assert [fault.path for fault in SPEC.check(rig.channel)] == ["devices.d.tags.t.text"]


async def test_the_driver_keeps_the_contract():
    rig = Rig(tag("x"), tag("n", "uint16", signal="counter"), tag("v", "bool", "rw", signal="constant"))
    report = await examine(SPEC, rig.channel, writes={"d.v": True})
    assert report.findings == []
    assert {"read", "cancel-read", "write", "leaks", "away-and-back"}.isdisjoint(report.skipped)
