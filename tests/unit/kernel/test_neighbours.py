"""A driver that misbehaves in its run, beside a good one. FL-52."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest

from gateway.driver import DriverContext
from gateway.errors import RequestRefused
from gateway.model import Block, Quality, Report, WriteState
from tests.unit.kernel.kernel_world import Access, Running, SimWire, World, device_spec, tag_spec


async def raises(ctx: DriverContext) -> None:
    raise ValueError("a bug")


async def returns(ctx: DriverContext) -> None:
    return


async def awaits_for_ever(ctx: DriverContext) -> None:
    await asyncio.Event().wait()


async def cancels_itself(ctx: DriverContext) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def exits(ctx: DriverContext) -> None:
    sys.exit(0)


async def exits_in_a_task_of_its_own(ctx: DriverContext) -> None:
    async def child() -> None:
        sys.exit(0)

    ctx.task_group.create_task(child())
    await asyncio.Event().wait()


async def crashes_in_a_task_of_its_own(ctx: DriverContext) -> None:
    async def child() -> None:
        raise ValueError("a bug")

    ctx.task_group.create_task(child(), name="reader")
    await asyncio.Event().wait()


BAD: list[Callable[[DriverContext], Awaitable[None]]] = [
    raises, returns, awaits_for_ever, cancels_itself, exits, exits_in_a_task_of_its_own, crashes_in_a_task_of_its_own,
]  # fmt: skip


@pytest.mark.parametrize("behave", BAD, ids=lambda behave: behave.__name__)
async def test_fl_52_a_good_driver_beside_a_bad_one_misses_nothing(
    behave: Callable[[DriverContext], Awaitable[None]],
) -> None:
    class Bad:
        def __init__(self, wire: SimWire) -> None:
            pass

        async def run(self, ctx: DriverContext) -> None:
            await behave(ctx)

    good = World([device_spec("b")], channel_id="good")
    bad = World([device_spec("a")], driver=Bad, clock=good.clock, channel_id="bad")
    async with Running(good, bad) as running:
        await good.clock.advance(60.5)
        assert good.good_polls("b") == 61
        assert good.runner.stats()["devices"]["b"]["missed"] == 0
        unit = running.supervisor.units()["driver:dummy[bad]"]
        assert unit["attempts"] == (1 if behave is awaits_for_ever else 5)
        assert unit["state"] == ("running" if behave is awaits_for_ever else "failed")
    expected = "unknown" if behave is awaits_for_ever else "offline"
    assert bad.runner.states()["a"] == expected


class DummyPushing:
    """Publishes what the test puts into `wire.values`, when told by an event."""

    def __init__(self, wire: SimWire) -> None:
        self.wire = wire

    async def run(self, ctx: DriverContext) -> None:
        device = ctx.devices[0]
        block = Block(device.id, device.tags)
        self.wire.opened += 1
        ctx.online(device.id)

        async def notify() -> None:
            while True:
                await ctx.clock.sleep(1.0)
                if self.wire.down:
                    ctx.offline(device.id, "session closed")
                    continue
                ctx.online(device.id)
                self.wire.asked["sent"] += 1
                ctx.publish(
                    block, [self.wire.values.get("x", 0)], on_durable=lambda: self.wire.asked.update(["durable"])
                )

        ctx.task_group.create_task(notify(), name="notify")
        ctx.issue("old_firmware", "update the device", device=device.id)
        await asyncio.Event().wait()

    async def write(self, device, tag, value) -> None:
        if self.wire.stuck:
            await asyncio.Event().wait()
        self.wire.values["x"] = value


def pushing_world(**report) -> World:
    return World([device_spec("a", [tag_spec("x", access=Access.READ_WRITE, **report)])], driver=DummyPushing)


async def test_a_pushing_driver_publishes_writes_and_goes_offline() -> None:
    world = pushing_world()
    async with Running(world) as running:
        await world.clock.advance(3.5)
        assert world.good_polls("a") == 3
        assert ("old_firmware", "a", True) in world.issues
        world.durable[0]()
        assert world.wire.asked["durable"] == 1
        task = running.task(world.write("a.x", 42))
        await world.clock.advance(1.0)
        assert (task.result().state, task.result().verified) == (WriteState.OK, False)
        assert world.readings("a")[-1][1] == 42
        world.wire.down = True
        await world.clock.advance(3.0)
        assert [row[1:3] for row in world.readings("a")[-1:]] == [(None, Quality.BAD_COMM)]
        assert len([row for row in world.readings("a") if row[2] == Quality.BAD_COMM]) == 1
        refused = running.task(world.write("a.x", 43))
        await world.clock.settle()
        assert refused.result().code == 504
        with pytest.raises(RequestRefused):
            await world.runner.read([world.tag("a.x")])
    assert world.states("a") == ["online", "offline"]


async def test_a_write_that_a_pushing_driver_never_ends_fails_and_the_next_one_gets_its_turn() -> None:
    world = pushing_world()
    world.wire.stuck = True
    async with Running(world) as running:
        await world.clock.advance(0.5)
        first = running.task(world.write("a.x", 1))
        impatient = running.task(world.write("a.x", 2, within_s=1.0))
        await world.clock.advance(1.5)
        assert impatient.result().state is WriteState.EXPIRED
        await world.clock.advance(1.0)
        assert (first.result().state, first.result().code) == (WriteState.FAILED, 504)
        world.wire.stuck = False
        third = running.task(world.write("a.x", 3))
        await world.clock.advance(1.0)
        assert third.result().state is WriteState.OK


async def test_on_durable_is_called_even_when_report_by_exception_holds_everything_back() -> None:
    world = pushing_world(report=Report(on_change=True))
    async with Running(world):
        await world.clock.advance(4.5)
    assert world.good_polls("a") == 1
    assert (world.wire.asked["sent"], world.wire.asked["durable"], len(world.durable)) == (4, 3, 1)


async def test_tasks_of_a_driver_carry_its_units_name() -> None:
    world = pushing_world()
    async with Running(world):
        names = {task.get_name() for task in asyncio.all_tasks()}
    assert {"driver:dummy[line1]", "driver:dummy[line1]/notify"} <= names


async def test_fl_53_a_channel_polls_without_any_network_service() -> None:
    """FL-53: nothing but its device is needed."""
    world = World([device_spec("a")])
    world.clock.set_synced(False)
    async with Running(world):
        await world.clock.advance(2.5)
    assert world.good_polls("a") == 3


async def test_a_slow_group_with_many_requests_does_not_hold_up_a_fast_one() -> None:
    slow = [device_spec(f"slow{i}", every_s=60.0) for i in range(100)]
    world = World([*slow, device_spec("fast", every_s=0.1)])
    world.wire.answer_s = 0.03
    async with Running(world):
        await world.clock.advance(300.0)
    assert world.runner.stats()["devices"]["fast"]["missed"] <= 5
    assert all(world.good_polls(f"slow{i}") == 5 for i in range(100))
