"""Another period for a while: polled as asked, ends by itself, leaves everything else alone. Manual clock."""

from __future__ import annotations

from tests.unit.kernel.kernel_world import Running, World, device_spec


def polls(world: World, device: str, since: int = 0) -> int:
    return sum(what == "read" and name == device for _, what, name in world.wire.log[since:])


async def test_a_period_holds_for_its_time_and_for_its_device_only():
    world = World([device_spec("a", every_s=10.0), device_spec("b", every_s=10.0)])
    async with Running(world):
        await world.clock.advance(1.0)
        tags = world.devices[0].tags
        assert world.runner.other_period("a", tags, 1.0, 20.0)
        start = len(world.wire.log)
        await world.clock.advance(19.5)
        assert 19 <= polls(world, "a", start) <= 21
        assert polls(world, "b", start) <= 2
        start = len(world.wire.log)
        await world.clock.advance(40.0)
        assert 4 <= polls(world, "a", start) <= 6


async def test_the_later_command_has_its_own_end():
    world = World([device_spec("a", every_s=100.0)])
    async with Running(world):
        await world.clock.advance(1.0)
        tags = world.devices[0].tags
        world.runner.other_period("a", tags, 1.0, 5.0)
        await world.clock.advance(3.0)
        world.runner.other_period("a", tags, 1.0, 10.0)
        start = len(world.wire.log)
        await world.clock.advance(9.0)
        assert polls(world, "a", start) >= 9, "the first one's end came and changed nothing"
        await world.clock.advance(2.0)
        start = len(world.wire.log)
        await world.clock.advance(50.0)
        assert polls(world, "a", start) <= 1


async def test_only_the_named_tags_are_asked_more_often():
    world = World([device_spec("a", tags=3, every_s=100.0)])
    async with Running(world):
        await world.clock.advance(1.0)
        world.runner.other_period("a", world.devices[0].tags[:1], 1.0, 10.0)
        await world.clock.advance(5.0)
        rows = {row["text"]: row["every_ms"] for row in world.runner.reads("a")["a"]["requests"]}
        assert rows == {"t0+1": 1000.0, "t1+2": 100_000.0}


async def test_a_period_lasts_over_a_lost_link():
    world = World([device_spec("a", every_s=100.0)])
    async with Running(world):
        await world.clock.advance(1.0)
        world.runner.other_period("a", world.devices[0].tags, 1.0, 60.0)
        world.wire.down = True
        await world.clock.advance(5.0)
        world.wire.down = False
        await world.clock.advance(15.0)
        start = len(world.wire.log)
        await world.clock.advance(10.0)
        assert polls(world, "a", start) >= 9


async def test_an_unknown_device_has_no_period():
    world = World([device_spec("a")])
    async with Running(world):
        await world.clock.advance(1.0)
        assert not world.runner.other_period("b", (), 1.0, 5.0)
