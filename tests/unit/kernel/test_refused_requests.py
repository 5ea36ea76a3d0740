"""Requests that a device refuses as a whole: cut where that helps, remembered, and asked again."""

from __future__ import annotations

from gateway.model import Schedule
from tests.unit.kernel.kernel_world import (
    Quality,
    Running,
    SplittingPolling,
    World,
    device_spec,
    tag_spec,
)


async def test_fl_33_one_refused_tag_of_a_hundred_costs_only_itself_and_is_remembered() -> None:
    """FL-33: 99 good and 1 bad in the same poll; the cut is kept for the next start."""
    world = World([device_spec("a", 100)], driver=SplittingPolling)
    world.wire.refused_tags.add("a.t57")
    async with Running(world):
        await world.clock.advance(0.9)
        rows = world.readings("a")
        assert {row[0] for row in rows if row[2] == Quality.GOOD} == {f"t{i}" for i in range(100) if i != 57}
        assert [(row[0], row[1], row[2]) for row in rows if row[2]] == [("t57", None, Quality.BAD_CONFIG)]
        plan = world.runner.reads("a")["a"]
        assert sum(request["tags"] for request in plan["requests"]) == 100
        assert plan["learned"][0]["reason"] == "illegal data address"
        requests = len(plan["requests"])
        asked = world.wire.asked["a"]
        await world.clock.advance(1.0)
        assert world.wire.asked["a"] - asked == requests - 1  # the refused one rests
    assert world.states("a") == ["online"]
    again = World([device_spec("a", 100)], driver=SplittingPolling)
    again.memory.rows = dict(world.memory.rows)
    again.wire.refused_tags.add("a.t57")
    async with Running(again):
        await again.clock.advance(0.9)
        assert again.wire.asked["a"] == requests
        assert again.runner.forget("a") == len(plan["learned"])
        assert again.memory.rows == {}
        await again.clock.settle()
        again.wire.refused_tags.clear()
        await again.clock.advance(2.0)
        assert len(again.runner.reads("a")["a"]["requests"]) == 1


async def test_a_device_that_refuses_everything_is_not_cut_to_pieces() -> None:
    world = World([device_spec("a", 64)], driver=SplittingPolling)
    world.wire.refused_tags = {f"a.t{i}" for i in range(64)}
    async with Running(world):
        await world.clock.advance(5.0)
        assert world.wire.asked["a"] < 15
    assert len([row for row in world.readings("a") if row[2] == Quality.BAD_CONFIG]) == 64
    assert world.memory.rows == {}


async def test_a_refusal_for_now_is_bad_comm_and_asked_again_on_schedule() -> None:
    world = World([device_spec("a", 1), device_spec("b", 1)])
    world.wire.refused_tags.add("a.t0")
    world.wire.refuse_reason = "comm"
    async with Running(world):
        await world.clock.advance(4.5)
        assert world.wire.asked["a"] == 5
        assert [row[1:3] for row in world.readings("a")] == [(None, Quality.BAD_COMM)]
        world.wire.refused_tags.clear()
        await world.clock.advance(1.0)
    assert world.readings("a")[-1][2] == Quality.GOOD
    assert world.good_polls("b") == 6


async def test_a_small_request_that_is_refused_in_all_its_pieces_stays_whole() -> None:
    world = World([device_spec("a", 2)], driver=SplittingPolling)
    world.wire.refused_tags = {"a.t0", "a.t1"}
    async with Running(world):
        await world.clock.advance(1.5)
        assert [request["tags"] for request in world.runner.reads("a")["a"]["requests"]] == [2]
    assert world.memory.rows == {}
    assert [row[2] for row in world.readings("a")] == [Quality.BAD_CONFIG] * 2


async def test_a_request_refused_by_a_device_that_was_away_is_cut_like_any_other() -> None:
    world = World([device_spec("a", 10)], driver=SplittingPolling, probe_s=5.0)
    world.wire.silent.add("a")
    world.wire.refused_tags.add("a.t7")
    async with Running(world):
        await world.clock.advance(20.0)
        world.wire.silent.clear()
        await world.clock.advance(20.0)
    last = {row[0]: row[2] for row in world.readings("a")}
    assert last == {f"t{i}": Quality.BAD_CONFIG if i == 7 else Quality.GOOD for i in range(10)}


async def test_a_row_of_refused_tags_at_the_beginning_does_not_hide_the_good_ones_behind_it() -> None:
    world = World([device_spec("a", 64)], driver=SplittingPolling)
    world.wire.refused_tags = {f"a.t{i}" for i in range(16)}
    async with Running(world):
        await world.clock.advance(0.9)
    last = {row[0]: row[2] for row in world.readings("a")}
    assert last == {f"t{i}": Quality.BAD_CONFIG if i < 16 else Quality.GOOD for i in range(64)}


async def test_a_device_whose_silent_request_is_refused_at_last_is_online() -> None:
    tags = [tag_spec("x"), tag_spec("y", schedule=Schedule(2.0))]
    world = World([device_spec("a", tags)], offline_after=9)
    world.wire.silent.add("a")
    async with Running(world):
        await world.clock.advance(4.0)
        world.wire.refused_tags.add("a.y")
        world.wire.silent.clear()
        await world.clock.advance(30.0)
        assert world.runner.states() == {"a": "online"}
