"""How soon a wire is opened again."""

from __future__ import annotations

from gateway.reconnecting import CAP_S, FIRST_S, HELD_S, Reconnect
from tests.unit.kernel.kernel_world import Quality, Running, World, device_spec


async def test_a_server_that_hangs_up_on_every_request_is_left_alone_more_and_more() -> None:
    world = World([device_spec("a", 2)], probe_s=30.0)
    world.wire.hangs_up = True
    async with Running(world):
        await world.clock.advance(600.0)
        assert world.states("a") == ["offline"]
        assert 10 < world.wire.opened < 120
        world.wire.hangs_up = False
        await world.clock.advance(31.0)
        assert world.readings("a")[-1][2] == Quality.GOOD
    assert world.wire.closed >= world.wire.opened


async def test_a_wire_that_was_good_is_opened_again_at_once() -> None:
    world = World([device_spec("a")])
    async with Running(world):
        await world.clock.advance(5.5)
        world.wire.hangs_up = True
        await world.clock.advance(0.5)
        lost = next(at for at, what, _ in reversed(world.wire.log) if what == "read")
        again = next(at for at, what, _ in world.wire.log if what == "connect" and at >= lost)
        assert again == lost


def test_the_pause_grows_up_to_the_probe_interval_while_nothing_is_answered() -> None:
    reconnect = Reconnect(30.0, draw=lambda: 1.0)
    pauses = []
    for now in range(9):
        reconnect.opened(float(now))
        pauses.append(reconnect.lost(float(now)))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_one_answer_before_each_end_keeps_the_pause_short_but_never_without() -> None:
    reconnect = Reconnect(30.0, draw=lambda: 1.0)
    for now in range(9):
        reconnect.opened(float(now))
        reconnect.answered()
        assert reconnect.lost(now + 0.01) == FIRST_S


def test_a_wire_that_held_was_good_though_nothing_was_asked_on_it() -> None:
    reconnect = Reconnect(30.0, draw=lambda: 1.0)
    reconnect.opened(0.0)
    assert reconnect.lost(HELD_S) == 0.0


def test_a_wire_that_cannot_be_opened_is_tried_again_within_ten_seconds() -> None:
    reconnect = Reconnect(30.0, draw=lambda: 1.0)
    assert max(reconnect.refused() for _ in range(20)) == CAP_S
