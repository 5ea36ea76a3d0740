"""Rules in time (FL-47): for, until, on_bad, edge, sequences, memory tags; circles and faults (FL-46); computed tags with
the worst quality of their inputs (FL-54).
"""

import pytest
from msgspec import structs

from gateway.model import Quality, ValueType, WriteLimits
from gateway.rulebook import AlarmSpec, Assignment, Every, RuleSpec, Step
from tests.unit.rules.engine_world import World, computed, delay, memory, write

OVERHEAT = RuleSpec(
    "overheat",
    when="boiler.temperature > 80 and boiler.pressure > 3.5",
    for_s=10,
    until="boiler.temperature < 75",
    start=(write("pump.run", True),),
    end=(write("pump.run", False),),
    alarm=AlarmSpec("overheat", "gateway", rule="overheat", text="Boiler at {boiler.temperature:.1f}", priority="high"),
)


def hot(world, temperature=85.0):
    world.read(boiler_temperature=temperature, boiler_pressure=4.0)


def test_above_the_limit_for_nine_seconds_is_nothing():
    world = World(OVERHEAT)
    hot(world)
    world.pass_time(9)
    hot(world, 70.0)
    world.pass_time(60)
    assert world.done == []
    assert world.told == []


def test_above_the_limit_for_ten_seconds_is_alarm_and_coil_exactly_then():
    world = World(OVERHEAT)
    hot(world)
    world.pass_time(11)
    assert world.done == [(10.0, "write", "pump.run", True)]
    assert world.told == [(10.0, "overheat", "unack_active")]
    (alarm,) = world.transitions
    assert alarm.text == "Boiler at 85.0"
    assert alarm.t_active - alarm.t_cond == 10_000
    assert {one.tag: one.value for one in alarm.inputs} == {"boiler.temperature": 85.0, "boiler.pressure": 4.0}


def test_it_ends_only_with_until():
    world = World(OVERHEAT)
    hot(world)
    world.pass_time(11)
    hot(world, 78.0)
    world.pass_time(5)
    hot(world, 74.0)
    assert world.done[1:] == [(16.0, "write", "pump.run", False)]
    assert world.told[1:] == [(16.0, "overheat", "unack_rtn")]


def test_bad_at_five_seconds_with_hold_does_not_fire_and_goes_on_where_it_was():
    world = World(OVERHEAT)
    hot(world)
    world.pass_time(5)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.pass_time(30)
    assert world.done == []
    world.read(boiler_temperature=85.0)
    world.pass_time(4.9)
    assert world.done == []
    world.pass_time(0.2)
    assert world.done == [(40.0, "write", "pump.run", True)]


def test_bad_at_five_seconds_with_reset_begins_anew():
    spec = RuleSpec("r", when="boiler.temperature > 80", for_s=10, on_bad="reset", start=(write("pump.run", True),))
    world = World(spec)
    world.read(boiler_temperature=85.0)
    world.pass_time(5)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.read(boiler_temperature=85.0)
    world.pass_time(9)
    assert world.done == []
    world.pass_time(1)
    assert world.done == [(15.0, "write", "pump.run", True)]


@pytest.mark.parametrize(("on_bad", "ends"), [("hold", 0), ("reset", 1)])
def test_active_and_bad(on_bad, ends):
    spec = RuleSpec("r", when="boiler.temperature > 80", on_bad=on_bad, end=(write("pump.run", False),))
    world = World(spec)
    world.read(boiler_temperature=85.0)
    world.read(Quality.BAD_SENSOR, boiler_temperature=None)
    world.pass_time(60)
    assert len(world.done) == ends


def test_uncertain_input_does_nothing_unless_the_rule_asks_for_it():
    stale = RuleSpec("s", when="not is_good(boiler.temperature)", start=(Step("log", text="stale"),))
    plain = RuleSpec("p", when="boiler.temperature > 80", start=(write("pump.run", True),))
    world = World(plain, stale)
    world.read(boiler_temperature=20.0)
    world.read(Quality.LAST_KNOWN, boiler_temperature=95.0)
    assert world.done == [(0.0, "log", "stale", None)]


def test_level_starts_at_once_edge_only_after_it_was_false():
    level = RuleSpec("level", when="boiler.temperature > 80", start=(Step("log", text="level"),))
    edge = RuleSpec("edge", when="boiler.temperature > 80", edge=True, start=(Step("log", text="edge"),))
    world = World(level, edge)
    world.read(boiler_temperature=85.0)
    assert [text for _, _, text, _ in world.done] == ["level"]
    world.read(boiler_temperature=20.0)
    world.read(boiler_temperature=85.0)
    assert [text for _, _, text, _ in world.done] == ["level", "level", "edge"]


def test_only_rules_that_name_a_changed_tag_run():
    world = World(
        RuleSpec("a", when="boiler.temperature > 80", start=(Step("log", text="a"),)),
        RuleSpec("b", when="pump.speed > 80", start=(Step("log", text="b"),)),
    )
    seen = []
    for node in world.engine.rules():
        evaluate = node.evaluate
        node.evaluate = lambda now, node=node, evaluate=evaluate: (seen.append(node.name), evaluate(now))
    world.read(boiler_temperature=20.0)
    world.read(boiler_temperature=20.0)
    world.read(pump_speed=5)
    assert seen == ["a", "b"]


def test_a_sequence_waits_and_an_end_takes_its_place():
    spec = RuleSpec(
        "r",
        when="pump.run",
        start=(Step("log", text="one"), delay(10), Step("log", text="two"), delay(10), Step("log", text="three")),
        end=(Step("log", text="end"),),
    )
    world = World(spec)
    world.read(pump_run=True)
    world.pass_time(15)
    world.read(pump_run=False)
    world.pass_time(60)
    assert [(at, text) for at, _, text, _ in world.done] == [(0.0, "one"), (10.0, "two"), (15.0, "end")]
    assert not [key for key in world.rows if key.startswith("sequence")]


def test_values_of_actions_may_be_expressions():
    step = write("pump.speed", None)
    step = Step("write", assign=(type(step.assign[0])("pump.speed", expression="boiler.temperature * 2"),))
    world = World(RuleSpec("r", when="boiler.temperature > 80", start=(step,)))
    world.read(boiler_temperature=85.0)
    assert world.done == [(0.0, "write", "pump.speed", 170.0)]


def test_an_action_whose_value_is_not_known_is_skipped_and_told():
    step = Step("write", assign=(type(write("x", 1).assign[0])("pump.speed", expression="boiler.pressure"),))
    world = World(RuleSpec("r", when="boiler.temperature > 80", start=(step,)))
    world.read(boiler_temperature=85.0)
    assert world.done == []
    assert [what for _, _, what in world.phases] == ["started", "skipped"]


def test_memory_tags_pass_from_rule_to_rule_in_one_event():
    world = World(
        RuleSpec("first", when="boiler.temperature > 80", start=(write("plant.mode", 3, "set"),)),
        RuleSpec("second", when="plant.mode == 3", start=(write("pump.run", True),)),
        more={"plant": [memory("mode")]},
    )
    world.read(boiler_temperature=85.0)
    assert world.done == [(0.0, "set", "plant.mode", 3), (0.0, "write", "pump.run", True)]
    assert world.published == [("plant.mode", 3, 0)]
    assert world.rows["memory/plant.mode"][0] == 3


def test_rules_in_a_circle_are_cut_at_depth_eight_and_nothing_else_suffers():
    world = World(
        RuleSpec("up", when="plant.mode == 0", start=(write("plant.mode", 1, "set"),)),
        RuleSpec("down", when="plant.mode == 1", start=(write("plant.mode", 0, "set"),)),
        RuleSpec("other", when="boiler.temperature > 80", start=(write("pump.run", True),)),
        more={"plant": [memory("mode")]},
    )
    world.read(plant_mode=0)
    cut = [event for event in world.events if event.what == "cut"]
    assert [event.rule for event in cut] == ["down", "up"]
    assert "down, up" in cut[0].text
    assert len(world.actions) == 9
    world.read(boiler_temperature=85.0)
    assert world.done[-1][1:] == ("write", "pump.run", True)


def test_a_rule_that_raises_three_times_stops_alone():
    world = World(
        RuleSpec("bad", when="boiler.temperature > 80", start=(Step("log", text="bad"),)),
        RuleSpec("good", when="boiler.temperature > 80", start=(Step("log", text="good"),)),
    )
    node = world.engine.graph.rule_nodes["bad"]

    def broken(*_args):
        raise RuntimeError("planted")

    node.on.run = broken
    for value in (20.0, 21.0, 22.0, 85.0):
        world.read(boiler_temperature=value)
    assert node.stopped
    assert [event.rule for event in world.events if event.what == "failed"] == ["bad"]
    assert [text for _, _, text, _ in world.done] == ["good"]


def test_a_rule_that_overruns_its_budget_three_times_stops_alone():
    heavy = RuleSpec("heavy", when="boiler.temperature > 80")
    good = RuleSpec("good", when="boiler.temperature > 80", start=(Step("log", text="good"),))
    world = World(heavy, good, budget_s=0.02)
    engine = world.engine
    engine._timed = True
    node = engine.graph.rule_nodes["heavy"]
    for cost_ms in (30, 1, 30, 1):
        engine._charge(node, cost_ms * 1_000_000)
    assert not node.stopped
    engine._charge(node, 30_000_000)
    assert node.stopped
    world.read(boiler_temperature=85.0)
    assert [text for _, _, text, _ in world.done] == ["good"]


def test_dry_run_tells_and_sets_nothing():
    world = World(
        RuleSpec("r", when="boiler.temperature > 80", dry_run=True, start=(write("plant.mode", 3, "set"),)),
        RuleSpec("s", when="plant.mode == 3", start=(write("pump.run", True),)),
        more={"plant": [memory("mode")]},
    )
    world.read(boiler_temperature=85.0)
    assert [(action.rule, action.dry_run) for action in world.actions] == [("r", True)]
    assert world.published == []


def test_every_interval_with_a_condition_runs_only_while_it_is_met():
    spec = RuleSpec("r", when="pump.run", every=Every(period_s=60), start=(Step("log", text="tick"),))
    world = World(spec)
    world.pass_time(130)
    assert world.done == []
    world.read(pump_run=True)
    world.pass_time(180)
    assert len(world.done) == 3


def test_windows_are_looked_at_while_time_passes():
    spec = RuleSpec("r", when="avg(boiler.temperature, 60s) > 80", start=(Step("log", text="hot"),))
    world = World(spec)
    world.read(boiler_temperature=0.0)
    world.pass_time(60)
    world.read(boiler_temperature=100.0)
    world.pass_time(47)
    assert world.done == []
    world.pass_time(3)
    assert [at for at, *_ in world.done] == [109.0]


def test_age_fires_by_time_alone_and_a_good_poll_renews_it():
    spec = RuleSpec("r", when="age(boiler.temperature) > 30", start=(Step("log", text="old"),))
    world = World(spec)
    world.read(boiler_temperature=1.0)
    world.pass_time(20)
    world.engine.polled("boiler", world.at)
    world.pass_time(29)
    assert world.done == []
    world.pass_time(3)
    assert len(world.done) == 1


def test_computed_tags_run_in_their_order_once_per_event():
    more = {
        "plant": [
            computed("third", "{plant.second} + 1"),
            computed("second", "{plant.first} + boiler.temperature"),
            computed("first", "boiler.temperature * 2"),
        ]
    }
    world = World(more=more)
    world.read(boiler_temperature=10.0)
    assert world.published[-3:] == [("plant.first", 20.0, 0), ("plant.second", 30.0, 0), ("plant.third", 31.0, 0)]


def test_a_computed_tag_has_the_worst_quality_of_its_inputs():
    world = World(more={"plant": [computed("sum", "boiler.temperature + boiler.pressure")]})
    world.read(boiler_temperature=1.0, boiler_pressure=2.0)
    world.read(Quality.STALE, boiler_pressure=2.0)
    world.read(Quality.BAD_SENSOR, boiler_pressure=None)
    assert [(value, quality) for _, value, quality in world.published] == [
        (3.0, 0), (3.0, int(Quality.STALE)), (None, int(Quality.BAD_SENSOR)),
    ]  # fmt: skip


def test_totals_count_hours_and_integrals():
    more = {
        "plant": [
            computed("starts", "pump.run", ValueType.UINT32, "counts"),
            computed("hours", "pump.run", how="hours"),
            computed("energy", "boiler.pressure", how="integral"),
        ]
    }
    world = World(more=more)
    world.read(boiler_pressure=3.0)
    for _ in range(2):
        world.read(pump_run=False)
        world.pass_time(600)
        world.read(pump_run=True)
        world.pass_time(1800)
    world.read(pump_run=False)
    world.read(boiler_pressure=0.0)
    columns = world.engine.columns
    values = {tag.path: columns.values[tag.slot] for tag in world.tags if tag.device == "plant"}
    assert values["starts"] == 2
    assert values["hours"] == pytest.approx(1.0)
    assert values["energy"] == pytest.approx(3.0 * 4800 / 3600)


def test_age_counts_from_when_the_value_was_last_good_whatever_was_reported():
    spec = RuleSpec("r", when="age(boiler.temperature) > 30", start=(Step("log", text="old"),))
    world = World(spec)
    world.read(boiler_temperature=1.0)
    for _ in range(10):
        world.pass_time(20)
        world.engine.polled("boiler", world.at)  # unchanged, so nothing was reported
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.pass_time(30)
    assert world.done == []
    world.pass_time(2)
    assert len(world.done) == 1


def test_a_tag_that_is_never_heard_is_old_from_the_start_on():
    world = World(RuleSpec("r", when="age(boiler.temperature) > 30", start=(Step("log", text="old"),)))
    world.pass_time(30)
    assert world.done == []
    world.pass_time(2)
    assert len(world.done) == 1


def test_a_computed_value_that_its_type_cannot_hold_is_bad_range():
    more = {
        "plant": [
            computed("small", "boiler.temperature * 10000", ValueType.INT16),
            computed("whole", "boiler.temperature / 4", ValueType.INT32),
        ]
    }
    world = World(more=more)
    world.read(boiler_temperature=20.0)
    assert world.published[-2:] == [("plant.small", None, int(Quality.BAD_RANGE)), ("plant.whole", 5, 0)]


def test_a_total_that_grows_is_told_every_ten_seconds():
    world = World(more={"plant": [computed("hours", "pump.run", how="hours")]})
    world.read(pump_run=True)
    world.published.clear()
    world.pass_time(60)
    assert len(world.published) == 6


def test_a_memory_tag_is_set_within_its_limits_and_interlock_only():
    limited = memory("limit", ValueType.FLOAT64)
    limits = WriteLimits(minimum=0, maximum=10, rate=(2, 60.0), interlock="{boiler.pressure} < 5")
    limited = structs.replace(limited, write=limits)
    step = Step("set", assign=(Assignment("plant.limit", expression="boiler.temperature"),))
    world = World(RuleSpec("r", when="pump.run", start=(step,)), more={"plant": [limited]})
    world.read(boiler_pressure=1.0)
    said = []
    for value, pressure in ((385.0, 1.0), (5.0, 9.0), (5.0, 1.0), (6.0, 1.0), (7.0, 1.0)):
        world.read(boiler_temperature=value, boiler_pressure=pressure)
        world.read(pump_run=False)
        world.read(pump_run=True)
        said += [event.text for event in world.events if event.what == "skipped"][len(said) :]
    assert [value for name, value, _ in world.published if name == "plant.limit"] == [5.0, 6.0]
    assert [text.partition(": ")[2] for text in said] == [
        "385 is above 10",
        "`{boiler.pressure} < 5` is false now",
        "more than 2 writes in 60 s",
    ]


def test_a_memory_tag_takes_no_number_that_its_type_cannot_hold():
    world = World(
        RuleSpec("r", when="pump.run", start=(write("plant.mode", 10**30, "set"),)), more={"plant": [memory("mode")]}
    )
    world.read(pump_run=True)
    assert world.published == []
    assert [event.what for event in world.events] == ["started", "skipped"]
