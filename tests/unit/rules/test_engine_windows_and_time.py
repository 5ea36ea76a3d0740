"""Time in the engine: deadlines have their own instant, clock steps change nothing that lasts, windows meet the rules."""

from __future__ import annotations

import pytest

from gateway.model import Quality, ValueType
from gateway.rulebook import AlarmSpec, RuleSpec
from tests.unit.rules.engine_world import OFFSET, START, World, computed, memory, write

HOT = RuleSpec("hot", when="boiler.temperature > 80", for_s=10, start=(write("pump.run", True),))


def test_a_deadline_comes_before_a_reading_of_the_same_millisecond_that_would_have_prevented_it():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.at += 10_000
    world.read(boiler_temperature=20.0)
    assert world.done == [(10.0, "write", "pump.run", True)]
    assert world.phases == [(10.0, "hot", "started"), (10.0, "hot", "ended")]


def test_an_engine_that_is_woken_late_acts_with_the_time_of_the_deadline():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.at += 15_000
    world.engine.advance(world.at, world.offset)
    assert world.done == [(10.0, "write", "pump.run", True)]
    assert world.actions[0].when.wall == START + OFFSET + 10_000


@pytest.mark.parametrize("step_s", [-86_400, -5, 3, 86_400])
def test_a_clock_that_is_set_moves_no_delay_and_no_sliding_window(step_s):
    mean = RuleSpec("mean", when="avg(boiler.pressure, 10s) > 5", start=(write("pump.speed", 7),))
    world = World(HOT, mean)
    world.pass_time(10)
    world.read(boiler_temperature=85.0, boiler_pressure=0.0)
    world.pass_time(3)
    world.read(boiler_pressure=10.0)
    world.pass_time(3)
    world.offset += step_s * 1000
    world.read(boiler_pressure=10.0)
    world.pass_time(20)
    assert world.done == [(17.0, "write", "pump.speed", 7), (20.0, "write", "pump.run", True)]


def test_time_that_seems_to_run_backwards_stands_still():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.pass_time(9)
    world.engine.advance(world.at, world.offset)
    world.at -= 5000
    world.read(boiler_temperature=86.0)
    assert world.engine.now.at == START + 9000
    world.at += 5000
    world.pass_time(2)
    assert world.done == [(10.0, "write", "pump.run", True)]


def test_a_bad_reading_opens_a_gap_that_counts_for_nothing_in_an_average():
    mean = computed("mean", "avg(boiler.pressure, 10s)")
    world = World(more={"site": [mean]})
    world.read(boiler_pressure=4.0)
    world.pass_time(2)
    world.read(Quality.BAD_COMM, boiler_pressure=None)
    world.pass_time(6)
    world.read(boiler_pressure=8.0)
    world.pass_time(2)
    world.read(boiler_pressure=8.0)
    name, value, quality = world.published[-1]
    assert (name, value, quality) == ("site.mean", 6.0, 0)


def test_a_tumbling_minute_gives_its_result_at_its_end_without_another_reading():
    specs = [
        computed("mean", "avg(boiler.pressure, 60s, 60s)"),
        computed("low", "min(boiler.pressure, 60s, 60s)"),
        computed("high", "max(boiler.pressure, 60s, 60s)"),
    ]
    world = World(more={"site": specs})
    first_minute = 60_000 - (world.at + world.offset) % 60_000
    world.pass_time(first_minute / 1000)
    world.read(boiler_pressure=2.0)
    world.pass_time(30)
    world.read(boiler_pressure=6.0)
    world.published.clear()
    world.pass_time(31)
    assert [(name, value) for name, value, quality in world.published if quality == 0] == [
        ("site.mean", 4.0),
        ("site.low", 2.0),
        ("site.high", 6.0),
    ]


def test_a_late_reading_counts_where_it_belongs_only_within_the_rules_lateness():
    times = {"allowed": 5.0, "refused": 0.0}
    counted = {}
    for name, lateness in times.items():
        rule = RuleSpec(
            "late", when="max(boiler.pressure, 10s) > 5", lateness_s=lateness, start=(write("pump.speed", 7),)
        )
        world = World(rule)
        world.read(boiler_pressure=1.0)
        world.pass_time(13)
        world.read(boiler_pressure=1.0)
        world.read(ts=world.at + world.offset - 1000, boiler_pressure=9.0)
        world.read(boiler_pressure=1.0)
        counted[name] = len(world.actions)
    assert counted == {"allowed": 1, "refused": 0}


def test_a_window_that_a_new_rule_shares_with_an_old_one_is_full_at_once():
    old = RuleSpec("old", when="max(boiler.pressure, 60s) > 50", start=(write("pump.run", True),))
    new = RuleSpec("new", when="max(boiler.pressure, 60s) > 8 and pump.speed > 5", start=(write("pump.mode", "auto"),))
    world = World(old)
    world.pass_time(60)
    world.read(boiler_pressure=9.0)
    world.pass_time(5)
    world.read(boiler_pressure=1.0)
    world.reload(old, new)
    assert world.done == []
    world.read(pump_speed=9)
    assert [row[2] for row in world.done] == ["pump.mode"]


def test_what_a_person_writes_to_a_memory_starts_a_rule_and_is_there_after_a_kill():
    rule = RuleSpec("many", when="note.x >= 5", start=(write("pump.run", True),))
    world = World(rule, more={"note": [memory("x", ValueType.UINT16, 0), memory("y")]})
    world.read(note_x=5)
    assert [row[2] for row in world.done] == ["pump.run"]
    world.restart(snapshot=False)
    assert world.published[-1] == ("note.x", 5, 0)
    assert len(world.done) == 1, "the rule was active and still is"
    world.read(note_x=4)
    world.read(note_x=6)
    assert len(world.done) == 2


def test_on_and_off_delays_of_an_alarm_are_exact_and_begin_anew_with_each_crossing():
    spec = AlarmSpec(
        "high", "boiler", on="boiler.temperature > 80", off="boiler.temperature < 75", device="boiler",
        tag="temperature", on_delay_s=3, off_delay_s=5,
    )  # fmt: skip
    world = World(alarms=[spec])
    for seconds, value in ((0, 85.0), (2, 70.0), (1, 85.0), (4, 70.0), (4, 78.0), (3, 74.0), (6, 74.0)):
        world.pass_time(seconds)
        world.read(boiler_temperature=value)
    assert world.told == [(6.0, "high", "unack_active"), (19.0, "high", "unack_rtn")]
