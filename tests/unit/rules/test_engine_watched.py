"""No rule acts by a window that does not know its whole width: after a start, an apply, a restart."""

from __future__ import annotations

import pytest

from gateway.rulebook import RuleSpec, Step
from rules import keeping
from tests.unit.rules.engine_world import World, computed, write

SHED = RuleSpec(
    "shed",
    when="avg(boiler.pressure, 15m) > 90",
    until="avg(boiler.pressure, 15m) < 75",
    start=(write("pump.run", True),),
)
HEARD = RuleSpec("heard", when="count(boiler.pressure, 60s) == 0", start=(Step("log", text="nothing came"),))
SUM = RuleSpec("sum", when="sum(pump.speed, 60s) >= 3", start=(Step("log", text="three"),))


def heard(world, seconds, step=10):
    """The pump's speed is 1, read every ten seconds."""
    for _ in range(seconds // step):
        world.read(pump_speed=1)
        world.pass_time(step)


def test_one_reading_after_the_start_sheds_no_load_and_the_quarter_of_an_hour_does():
    world = World(SHED)
    world.pass_time(0.015)
    world.read(boiler_pressure=95.0)
    world.pass_time(899.9)
    assert world.done == []
    world.pass_time(0.1)
    assert world.done == [(900.0, "write", "pump.run", True)]


def test_a_window_that_is_new_after_an_apply_waits_too():
    world = World(RuleSpec("old", when="boiler.pressure > 1000"))
    world.read(boiler_pressure=95.0)
    world.pass_time(2000)
    world.reload(SHED)
    world.read(boiler_pressure=95.0)
    world.pass_time(899)
    assert world.done == []
    world.pass_time(1)
    assert world.done == [(2900.0, "write", "pump.run", True)]


def test_a_window_that_an_apply_takes_over_does_not_wait_again():
    world = World(SHED)
    world.read(boiler_pressure=99.0)
    world.pass_time(600)
    world.reload(SHED, RuleSpec("other", when="boiler.pressure > 1000"))
    world.pass_time(400)
    assert world.done == [(900.0, "write", "pump.run", True)]


def test_that_nothing_was_heard_is_known_when_that_has_lasted_for_the_whole_window():
    world = World(HEARD)
    world.pass_time(59)
    assert world.done == []
    world.pass_time(1)
    assert world.done == [(60.0, "log", "nothing came", None)]


def test_a_computed_tag_has_no_value_until_its_window_is_full():
    world = World(more={"site": [computed("mean", "avg(boiler.pressure, 60s)")]})
    world.read(boiler_pressure=4.0)
    world.pass_time(59)
    assert {value for _, value, _ in world.published} == {None}
    world.pass_time(1)
    assert world.published[-1] == ("site.mean", 4.0, 0)


def test_an_interruption_shorter_than_the_window_is_a_gap_in_it():
    world = World(SUM)
    world.pass_time(30)
    heard(world, 20)
    world.restart(down_s=9)
    assert [window.since for window in world.engine.graph.binder.windows.values()] == [1_000_000]
    world.read(pump_speed=1)
    assert world.done == []
    world.pass_time(1)
    assert world.done == [(60.0, "log", "three", None)]


@pytest.mark.parametrize("ways", [{"down_s": 61}, {"down_s": 1, "snapshot": False}, {"down_s": 2, "alive_s": 59}])
def test_after_a_longer_one_or_without_memory_it_is_watched_anew(ways):
    sums = computed("sum", "sum(pump.speed, 60s)")
    world = World(more={"site": [sums]})
    heard(world, 120)
    world.restart(**ways)
    world.published.clear()
    world.read(pump_speed=1)
    world.pass_time(59)
    assert {value for _, value, _ in world.published} <= {None}
    world.read(pump_speed=1)
    world.pass_time(1)
    assert world.published[-1] == ("site.sum", 1.0, 0)


def test_a_snapshot_keeps_since_when_a_window_is_watched_on_the_clock_of_another_boot():
    world = World(SUM)
    heard(world, 50)
    kept = keeping.windows(world.engine)
    world.at -= 500_000
    world.engine = world._engine(silent=True)
    assert keeping.restore_windows(world.engine, kept, -500_000)
    assert [window.since for window in world.engine.graph.binder.windows.values()] == [500_000]
