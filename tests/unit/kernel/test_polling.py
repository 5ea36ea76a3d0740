"""The polling loop on a simulated wire with a manual clock."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gateway.driver import Columns, DriverContext, Request
from gateway.errors import LinkLost
from gateway.model import Access, Schedule
from tests.unit.kernel.kernel_world import (
    DummyPolling,
    Quality,
    Report,
    Running,
    World,
    device_spec,
    tag_spec,
)


async def test_polls_start_at_once_and_keep_their_grid() -> None:
    world = World([device_spec("a", 3)])
    async with Running(world):
        await world.clock.advance(10.5)
    starts = [at - 1000.0 for at, what, _ in world.wire.log if what == "read"]
    assert starts == [float(n) for n in range(11)]
    assert world.good_polls("a") == 11
    assert world.runner.stats()["devices"]["a"]["good"] == 11
    assert world.states("a") == ["online"]


async def test_the_time_of_a_value_is_that_of_its_response() -> None:
    world = World([device_spec("a")])
    world.wire.answer_s = 0.25
    start = world.clock.wall_ms()
    async with Running(world):
        await world.clock.advance(0.5)
    assert [ts - start for _, _, _, ts in world.readings("a")] == [250]


async def test_fl_49_a_slow_read_skips_deadlines_counts_them_and_never_catches_up() -> None:
    """FL-49: one read takes three intervals; no burst, no drift."""
    world = World([device_spec("a")], timeout_s=5.0)
    async with Running(world):
        await world.clock.advance(5.0)
        world.wire.answer_s = 3.2
        await world.clock.advance(1.0)
        world.wire.answer_s = 0.01
        await world.clock.advance(600.0)
    starts = [round(at - 1000.0, 6) for at, what, _ in world.wire.log if what == "read"]
    late = next(i for i in range(1, len(starts)) if starts[i] - starts[i - 1] > 2)
    assert all(b - a >= 0.79 for a, b in itertools.pairwise(starts))
    assert all(at == int(at) for at in starts[late + 1 :])
    missed = world.runner.stats()["devices"]["a"]["missed"]
    assert missed >= 2
    assert len(starts) + missed == 607


async def test_two_schedules_of_a_device_are_two_groups() -> None:
    tags = [tag_spec("fast"), tag_spec("slow", schedule=Schedule(5.0)), tag_spec("never", on_demand=True)]
    world = World([device_spec("a", [*tags, tag_spec("out", access=Access.WRITE)])])
    async with Running(world):
        await world.clock.advance(9.9)
    names = [row[0] for row in world.readings("a")]
    assert (names.count("fast"), names.count("slow"), names.count("never"), names.count("out")) == (10, 2, 0, 0)


async def test_fl_34_a_silent_device_degrades_goes_offline_is_probed_and_comes_back_on_the_first_good_read() -> None:
    """FL-34: device states with events; each tag bad/comm once."""
    world = World([device_spec("a", 2), device_spec("b", 2)], probe_s=30.0, offline_after=3)
    async with Running(world):
        await world.clock.advance(2.5)
        world.wire.silent.add("a")
        await world.clock.advance(10.0)
        assert world.states("a") == ["online", "degraded", "offline"]
        bad = [row for row in world.readings("a") if row[2] == Quality.BAD_COMM]
        assert [(row[0], row[1]) for row in bad] == [("t0", None), ("t1", None)]
        assert ("device_offline", "a", True) in world.issues
        asked = world.wire.asked["a"]
        await world.clock.advance(60.0)
        assert world.wire.asked["a"] - asked == 2  # probes only
        world.wire.silent.clear()
        await world.clock.advance(30.0)
        assert world.states("a")[-1] == "online"
        await world.clock.advance(20.0)
    assert world.issues.count(("device_offline", "a", False)) == 1
    assert world.readings("a")[-1][2] == Quality.GOOD
    assert len([row for row in world.readings("a") if row[2] == Quality.BAD_COMM]) == 2


async def test_fl_34_a_flapping_device_makes_one_issue_with_a_count() -> None:
    """FL-34: flapping every few seconds for ten minutes: one alarm set, one clear, one flapping alarm."""
    world = World([device_spec("a", every_s=0.5)], offline_after=2, probe_s=1.0, timeout_s=0.2)
    async with Running(world):
        for _ in range(150):
            world.wire.silent.add("a")
            await world.clock.advance(2.0)
            world.wire.silent.clear()
            await world.clock.advance(2.0)
        texts = {issue.id: issue.text for issue in world.health.open()}
        assert "times" in texts["device_flapping"]
        assert "times" not in texts["device_offline"], "the same count twice"
        await world.clock.advance(200.0)
    assert world.issues == [
        ("device_offline", "a", True),
        ("device_flapping", "a", True),
        ("device_offline", "a", False),
        ("device_flapping", "a", False),
    ]
    assert len(world.events) < 25  # 300 changes


async def test_fl_31_data_is_back_within_the_back_off_after_each_of_fifty_restarts() -> None:
    """FL-31: stop and start the server 50 times; every opened connection is closed again."""
    world = World([device_spec("a")])
    async with Running(world):
        for _ in range(50):
            world.wire.down = True
            await world.clock.advance(20.0)
            world.wire.down = False
            before = world.good_polls("a")
            await world.clock.advance(10.5)
            assert world.good_polls("a") > before
    assert world.wire.closed >= world.wire.opened > 50
    assert world.runner.stats()["channel"]["reconnects"] > 50


async def test_a_lost_link_makes_every_tag_bad_once_and_a_poll_follows_the_connect_at_once() -> None:
    world = World([device_spec("a", 2), device_spec("b", 1)])
    async with Running(world):
        await world.clock.advance(1.5)
        world.wire.down = True
        await world.clock.advance(30.0)
        assert [row[0] for row in world.readings("a") if row[2] == Quality.BAD_COMM] == ["t0", "t1"]
        assert [row[0] for row in world.readings("b") if row[2] == Quality.BAD_COMM] == ["t0"]
        world.wire.down = False
        await world.clock.advance(12.0)
        log = world.wire.log
        up = max(i for i, entry in enumerate(log) if entry[1] == "connect")
        assert [(what, device) for _, what, device in log[up + 1 : up + 3]] == [("read", "a"), ("read", "b")]
        assert log[up + 1][0] == log[up][0]
    assert world.states("a") == ["online", "offline", "online"]


async def test_fl_52_a_stalled_driver_is_cut_off_and_started_anew_alone() -> None:
    """FL-52: a call that never ends; the neighbour misses nothing."""
    stuck = World([device_spec("a")])
    good = World([device_spec("b")], clock=stuck.clock, channel_id="line2")
    async with Running(stuck, good):
        await stuck.clock.advance(2.5)
        stuck.wire.stuck = True
        await stuck.clock.advance(5.0)
        assert ("driver_stalled", "line1", True) in stuck.issues
        assert stuck.runner.states()["a"] == "offline"
        stuck.wire.stuck = False
        await stuck.clock.advance(10.0)
        assert stuck.runner.states()["a"] == "online"
    assert ("driver_stalled", "line1", False) in stuck.issues
    assert good.good_polls("b") == 18


class HangsInConnect(DummyPolling):
    """The port is open, the greeting never ends."""

    async def connect(self, ctx: DriverContext) -> None:
        await super().connect(ctx)
        await asyncio.Event().wait()


@pytest.mark.parametrize("seconds", [0.1, 60.0])
async def test_what_a_connect_had_opened_is_closed_when_it_is_cut_off_or_cancelled(seconds: float) -> None:
    world = World([device_spec("a")], driver=HangsInConnect)
    async with Running(world):
        await world.clock.advance(seconds)
    assert world.wire.opened >= 1
    assert world.wire.closed == world.wire.opened


class SlowConnect(DummyPolling):
    """A port that takes its time to open."""

    async def connect(self, ctx: DriverContext) -> None:
        await self.wire.spend(0.5)
        await super().connect(ctx)


@pytest.mark.parametrize("down", [False, True])
async def test_what_is_read_while_the_first_connect_is_under_way_waits_for_it(down: bool) -> None:
    world = World([device_spec("a")], driver=SlowConnect)
    world.wire.down = down
    async with Running(world) as running:
        asked = running.task(world.runner.read([world.tag("a.t0")]))
        await world.clock.advance(0.2)
        assert not asked.done()
        await world.clock.advance(1.0)
        ((_, value, quality, _),) = await asked
        assert (value is None, quality) == (down, Quality.BAD_COMM if down else Quality.GOOD)
        if down:  # that it is away is known now: nobody waits again
            ((_, _, quality, _),) = await world.runner.read([world.tag("a.t0")])
            assert quality == Quality.BAD_COMM


@pytest.mark.parametrize("error", [LinkLost("cable out"), KeyError("a bug in the driver")])
async def test_who_waits_for_a_read_that_ends_the_link_or_the_driver_is_told_at_once(error: Exception) -> None:
    class Failing(DummyPolling):
        async def read(self, request: Request) -> Columns:
            if not self.wire.ignore_writes:
                return await super().read(request)
            self.wire.ignore_writes = False  # once
            raise error

    world = World([device_spec("a")], driver=Failing)
    async with Running(world) as running:
        await world.clock.advance(1.5)
        world.wire.ignore_writes = True
        asked = running.task(world.runner.read([world.tag("a.t0")]))
        await world.clock.settle()
        assert asked.done()
        assert asked.result()[0][2] == Quality.BAD_COMM


async def test_an_unchanged_value_is_held_back_and_told_as_polled() -> None:
    world = World([device_spec("a", [tag_spec("x", report=Report(on_change=True))])])
    world.wire.values["a.x"] = 5
    async with Running(world):
        await world.clock.advance(4.5)
        assert [row[1] for row in world.readings("a")] == [5]
        assert len(world.polled) == 5
        world.wire.values["a.x"] = 6
        await world.clock.advance(1.0)
        world.wire.down = True
        await world.clock.advance(1.0)
        world.wire.down = False
        await world.clock.advance(5.0)
    values = [row[1] for row in world.readings("a")]
    assert values[0] == 5
    assert values[-2:] == [None, 6]  # bad/comm, then good again although the value is the same


async def test_a_device_can_be_demoted_and_promoted_by_hand() -> None:
    world = World([device_spec("a"), device_spec("b")])
    async with Running(world):
        await world.clock.advance(1.5)
        world.runner.demote("a", 3600.0)
        asked = world.wire.asked["a"]
        await world.clock.advance(600.0)
        assert world.wire.asked["a"] == asked
        assert world.runner.states()["a"] == "demoted"
        assert world.runner.stats()["devices"]["a"]["next_probe"] > 2_900_000
        world.runner.promote("a")
        await world.clock.advance(0.1)
        assert world.runner.states()["a"] == "online"
    assert world.states("a") == ["online", "demoted", "online"]


async def test_one_request_that_always_times_out_does_not_take_its_device_down() -> None:
    tags = [tag_spec("good"), tag_spec("dead")]
    from tests.unit.kernel.kernel_world import DummyPolling, SimWire

    class HalfDead(DummyPolling):
        async def read(self, request):
            if request.block.tags[0].path == "dead":
                from gateway.errors import DeviceUnavailable

                self.wire.asked["dead"] += 1
                await self.wire.spend(1.0)
                raise DeviceUnavailable("no answer")
            return await super().read(request)

    def make(wire: SimWire) -> HalfDead:
        return HalfDead(wire, chunk=1)

    world = World([device_spec("a", tags, every_s=2.0)], driver=make, timeout_s=1.0, probe_s=30.0)
    async with Running(world):
        await world.clock.advance(120.0)
    assert world.runner.states()["a"] == "degraded"
    assert [row[2] for row in world.readings("a") if row[0] == "dead"] == [Quality.BAD_COMM]
    assert len([row for row in world.readings("a") if row[0] == "good"]) >= 58
    assert world.wire.asked["dead"] <= 3 + 120 / 30


async def test_a_device_that_comes_back_is_asked_for_all_its_groups_at_once() -> None:
    world = World([device_spec("a", [tag_spec("fast"), tag_spec("slow", schedule=Schedule(3600.0))])], probe_s=10.0)
    async with Running(world):
        await world.clock.advance(1.5)
        world.wire.silent.add("a")
        await world.clock.advance(30.0)
        world.wire.silent.clear()
        await world.clock.advance(15.0)
    slow = [row[1:3] for row in world.readings("a") if row[0] == "slow"]
    assert [quality for _, quality in slow] == [Quality.GOOD, Quality.BAD_COMM, Quality.GOOD]


async def test_a_unit_that_was_silent_before_the_link_was_lost_gets_one_chance_after_it() -> None:
    world = World([device_spec("a"), device_spec("b")], probe_s=60.0, offline_after=3)
    async with Running(world):
        world.wire.silent.add("a")
        await world.clock.advance(20.0)
        world.wire.down = True
        await world.clock.advance(5.0)
        asked = world.wire.asked["a"]
        world.wire.down = False
        await world.clock.advance(30.0)
        assert world.runner.states() == {"a": "offline", "b": "online"}
        assert world.wire.asked["a"] == asked + 1


async def test_a_clock_that_is_set_moves_aligned_readings_though_nothing_else_is_due() -> None:
    world = World([device_spec("a", [tag_spec("x", schedule=Schedule(900.0, align=True))])])
    async with Running(world):
        await world.clock.advance(60.0)
        to_slot = 900_000 - world.clock.wall_ms() % 900_000
        world.clock.step_wall(to_slot / 1000 - 100.0)  # the network's time came: the next slot is in 100 s
        await world.clock.advance(99.0)
        assert world.good_polls("a") == 1
        await world.clock.advance(2.0)
    assert [ts % 900_000 for _, _, _, ts in world.readings("a")][1:] == [10]
