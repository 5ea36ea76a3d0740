"""Writes on a polled wire: order, refusal, read-back. Simulated wire, manual clock."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import RequestRefused
from gateway.model import Access, ValueType, WriteState
from tests.unit.kernel.kernel_world import DummyPolling, Running, Verify, World, device_spec, tag_spec


def rw(path: str, **more):
    return tag_spec(path, access=Access.READ_WRITE, **more)


async def test_fl_21_writes_under_flat_out_polling_start_after_one_transaction_and_their_queue_position() -> None:
    """FL-21: 50 writes while 500 registers are polled as fast as the wire allows."""
    tags = [rw(f"t{i}") for i in range(500)]
    world = World([device_spec("a", tags, every_s=0.01)], driver=lambda wire: DummyPolling(wire, chunk=10))
    async with Running(world) as running:
        await world.clock.advance(2.003)
        before = len(world.wire.log)
        writes = [running.task(world.write(f"a.t{i}", i)) for i in range(50)]
        await world.clock.advance(2.0)
        results = [task.result() for task in writes]
        kinds = [what.split()[0] for _, what, _ in world.wire.log[before:]]
    assert [result.state for result in results] == [WriteState.OK] * 50
    assert all(result.verified and result.value == i for i, result in enumerate(results))
    # the transaction on the wire at that moment had started before; each write is followed by its own read-back only
    assert kinds[:100] == ["write", "read"] * 50
    assert "read" in kinds[100:]


async def test_a_flood_of_writes_lets_a_poll_in_now_and_then() -> None:
    tags = [rw(f"t{i}", momentary=True) for i in range(60)]
    world = World([device_spec(name, tags, every_s=0.05) for name in "abcd"], timeout_s=5.0)
    async with Running(world) as running:
        await world.clock.advance(1.0)
        before = len(world.wire.log)
        tasks = [running.task(world.write(f"{d}.t{i}", 1)) for i in range(60) for d in "abcd"]
        await world.clock.advance(4.0)
        assert all(task.result().state is WriteState.OK for task in tasks)
        kinds = [what.split()[0] for _, what, _ in world.wire.log[before:]]
    assert "read" in kinds[: kinds.index("write") + 130]


async def test_a_waiting_write_is_superseded_by_a_newer_value_of_the_same_tag() -> None:
    world = World([device_spec("a", [rw("x"), rw("y")])])
    world.wire.answer_s = 0.5
    async with Running(world) as running:
        await world.clock.advance(0.1)  # a poll is on the wire
        first, other, second = (running.task(world.write(n, v)) for n, v in (("a.x", 1), ("a.y", 7), ("a.x", 2)))
        await world.clock.advance(5.0)
    assert (first.result().state, first.result().code) == (WriteState.SUPERSEDED, 409)
    assert (second.result().state, other.result().state) == (WriteState.OK, WriteState.OK)
    assert [what for _, what, _ in world.wire.log if what.startswith("write")] == ["write y=7", "write x=2"]


async def test_a_queue_that_is_full_refuses_with_429() -> None:
    tags = [rw(f"t{i}") for i in range(70)]
    world = World([device_spec("a", tags)], timeout_s=5.0)
    world.wire.answer_s = 1.0
    async with Running(world) as running:
        await world.clock.advance(0.1)
        tasks = [running.task(world.write(f"a.t{i}", 1, within_s=1000)) for i in range(70)]
        await world.clock.settle()
        early = [task.result() for task in tasks if task.done()]
        assert [(result.state, result.code) for result in early] == [(WriteState.REJECTED, 429)] * 6


async def test_a_write_to_a_device_that_is_away_is_refused_at_once_and_never_executed() -> None:
    """A silent unit: refused within 2 s, nothing of it on the wire later."""
    world = World([device_spec("a", [rw("x")]), device_spec("b", [rw("x")])], probe_s=5.0)
    async with Running(world) as running:
        await world.clock.advance(1.5)
        world.wire.silent.add("a")
        await world.clock.advance(20.0)
        task = running.task(world.write("a.x", 1, within_s=1000))
        await world.clock.settle()
        assert (task.result().state, task.result().code) == (WriteState.FAILED, 504)
        world.wire.silent.clear()
        await world.clock.advance(60.0)
        assert world.runner.states()["a"] == "online"
    assert not [what for _, what, _ in world.wire.log if what.startswith("write")]


async def test_a_write_to_a_doubtful_device_that_cannot_start_is_refused_after_two_seconds() -> None:
    world = World(
        [device_spec("a", [rw("x")], every_s=60.0), device_spec("b", [rw("x")])], timeout_s=10.0, silence_share=1.0
    )
    async with Running(world) as running:
        await world.clock.advance(0.5)
        world.wire.silent.add("b")
        await world.clock.advance(10.9)  # the first time-out of b is over: degraded; its next poll holds the wire
        assert world.runner.states()["b"] == "degraded"
        await world.clock.advance(0.5)
        task = running.task(world.write("b.x", 1, within_s=1000))
        await world.clock.advance(1.9)
        assert not task.done()
        await world.clock.advance(0.2)
        assert (task.result().state, task.result().code) == (WriteState.FAILED, 504)
        world.wire.silent.clear()
        await world.clock.advance(100.0)
    assert not [what for _, what, _ in world.wire.log if what.startswith("write")]


async def test_writes_that_wait_when_the_link_is_lost_fail_and_are_not_sent_after_the_reconnect() -> None:
    world = World([device_spec("a", [rw("x"), rw("y")])])
    world.wire.answer_s = 0.5
    async with Running(world) as running:
        await world.clock.advance(0.1)
        tasks = [running.task(world.write(f"a.{n}", 1, within_s=1000)) for n in "xy"]
        await world.clock.settle()
        world.wire.down = True
        await world.clock.advance(3.0)
        assert [task.result().code for task in tasks] == [504, 504]
        world.wire.down = False
        await world.clock.advance(30.0)
    assert not [what for _, what, _ in world.wire.log if what.startswith("write")]


async def test_a_write_that_expires_in_the_queue_never_reaches_the_wire() -> None:
    world = World([device_spec("a", [rw("x")])], timeout_s=5.0)
    world.wire.answer_s = 3.0
    async with Running(world) as running:
        await world.clock.advance(3.5)  # online, the next poll is on the wire
        task = running.task(world.write("a.x", 1, within_s=1.0))
        await world.clock.advance(1.1)
        assert (task.result().state, task.result().code) == (WriteState.EXPIRED, 408)
        await world.clock.advance(20.0)
    assert not [what for _, what, _ in world.wire.log if what.startswith("write")]


async def test_fl_23_a_write_that_the_device_ignores_fails_with_the_value_read_back() -> None:
    """FL-23: done is what reads back, not what was asked; also when it is one raw step away."""
    world = World([device_spec("a", [rw("x")])])
    world.wire.values["a.x"] = 4
    world.wire.ignore_writes = True
    async with Running(world) as running:
        await world.clock.advance(0.5)
        task = running.task(world.write("a.x", 5))
        await world.clock.advance(1.0)
    result = task.result()
    assert (result.state, result.code, result.value, result.verified) == (WriteState.FAILED, 500, 4, False)
    assert world.readings("a")[-1][1] == 4


async def test_a_feedback_tag_is_read_after_the_settling_time_while_polls_go_on() -> None:
    tags = [
        rw("run", type=ValueType.BOOL, verify=Verify(tag="run_fb", settle_s=2.0)),
        tag_spec("run_fb", type=ValueType.BOOL),
    ]
    world = World([device_spec("a", tags, every_s=0.5)])
    world.wire.values["a.run_fb"] = False
    async with Running(world) as running:
        await world.clock.advance(0.2)
        task = running.task(world.write("a.run", True))
        await world.clock.advance(1.5)
        world.wire.values["a.run_fb"] = True
        polls = world.wire.asked["a"]
        assert not task.done()
        assert polls >= 4
        await world.clock.advance(0.6)
    assert (task.result().state, task.result().verified, task.result().value) == (WriteState.OK, True, True)


async def test_what_a_driver_cannot_do_or_a_device_refuses_is_rejected() -> None:
    class Refusing(DummyPolling):
        async def write(self, device, tag, value):
            raise RequestRefused("illegal data value", code=3)

    class Broken(DummyPolling):
        async def write(self, device, tag, value):
            raise KeyError("a bug")

    for driver, state, code in ((Refusing, WriteState.REJECTED, 422), (Broken, WriteState.FAILED, 500)):
        world = World([device_spec("a", [rw("x")])], driver=driver)
        async with Running(world) as running:
            await world.clock.advance(0.5)
            task = running.task(world.write("a.x", 1))
            await world.clock.advance(3.0)
            assert (task.result().state, task.result().code) == (state, code)
        assert world.good_polls("a") == 4


async def test_a_caller_that_gives_up_takes_its_write_out_of_the_queue() -> None:
    world = World([device_spec("a", [rw("x")])], timeout_s=5.0)
    world.wire.answer_s = 2.0
    async with Running(world) as running:
        await world.clock.advance(0.5)
        task = running.task(world.write("a.x", 1, within_s=100))
        await world.clock.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await world.clock.advance(10.0)
    assert not [what for _, what, _ in world.wire.log if what.startswith("write")]


async def test_a_read_on_demand_goes_before_the_polls_and_brings_tags_that_are_never_polled() -> None:
    world = World([device_spec("a", [tag_spec("x"), tag_spec("serial", on_demand=True)]), device_spec("b")])
    world.wire.values["a.serial"] = 4711
    async with Running(world) as running:
        await world.clock.advance(0.5)
        task = running.task(world.runner.read([world.tag("a.serial"), world.tag("b.t0")]))
        await world.clock.advance(0.2)
        rows = task.result()
        assert [(tag.name, value, quality) for tag, value, quality, _ in rows] == [
            ("a.serial", 4711, 0),
            ("b.t0", 2, 0),
        ]
        world.wire.silent.add("a")
        await world.clock.advance(10.0)
        assert [row[1:] for row in await world.runner.read([world.tag("a.x")])] == [(None, 129, None)]


async def test_fl_22_a_device_that_answers_after_20_s_on_its_own_wire_delays_no_other_command() -> None:
    """FL-22: 200 commands to others are done while the slow one still runs; it times out alone."""
    slow = World([device_spec("slow", [rw("x")], every_s=600.0)], timeout_s=30.0, channel_id="slow")
    others = [World([device_spec(f"d{i}", [rw("x")])], clock=slow.clock, channel_id=f"c{i}") for i in range(200)]
    async with Running(slow, *others) as running:
        await slow.clock.advance(0.5)
        slow.wire.answer_s = 20.0
        late = running.task(slow.write("slow.x", 1, within_s=60))
        tasks = [running.task(world.write(f"d{i}.x", i)) for i, world in enumerate(others)]
        await slow.clock.advance(0.1)
        assert [task.result().state for task in tasks] == [WriteState.OK] * 200
        assert not late.done()
        await slow.clock.advance(45.0)
        assert late.result().state is WriteState.OK


async def test_reads_on_demand_are_bounded() -> None:
    world = World([device_spec("a", [tag_spec("x")])], timeout_s=5.0)
    async with Running(world) as running:
        await world.clock.advance(0.5)
        tasks = [running.task(world.runner.read([world.tag("a.x")])) for _ in range(300)]
        await world.clock.settle()
        full = [task for task in tasks if task.done()]
        assert len(full) >= 300 - 257
        assert {row[2] for task in full for row in task.result()} == {129}
        await world.clock.advance(5.0)
        assert all(task.done() for task in tasks)


async def test_reads_and_read_backs_that_wait_end_when_the_link_is_lost() -> None:
    slow = rw("x", verify=Verify(settle_s=5.0))
    world = World([device_spec("a", [slow, tag_spec("y")])], timeout_s=5.0)
    async with Running(world) as running:
        await world.clock.advance(0.5)
        write = running.task(world.write("a.x", 1))
        await world.clock.advance(0.6)  # written; the read-back waits
        world.wire.answer_s = 1.0
        await world.clock.advance(1.0)  # a poll is on the wire
        read = running.task(world.runner.read([world.tag("a.y")]))
        await world.clock.settle()
        world.wire.down = True
        await world.clock.advance(1.5)
        assert (write.result().state, write.result().code) == (WriteState.FAILED, 504)
        assert "written, but not read back" in write.result().text
        assert [row[1:] for row in read.result()] == [(None, 129, None)]
