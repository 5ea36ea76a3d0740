"""Restarts and reloads: what goes on, what begins anew, and that nothing is done by values from before."""

import pytest

from gateway.model import Quality, ValueType
from gateway.rulebook import AlarmSpec, Every, RuleSpec, Step
from tests.unit.rules.engine_world import World, computed, delay, memory, write

HOT = RuleSpec(
    "hot", when="boiler.temperature > 80", for_s=10, start=(write("pump.run", True),), end=(write("pump.run", False),)
)
HIGH = AlarmSpec(
    "high", "boiler", on="{boiler.temperature} > 80", off="{boiler.temperature} < 75", device="boiler",
    tag="temperature", on_delay_s=5.0,
)  # fmt: skip


def test_killed_in_the_middle_of_a_delay_it_goes_on_with_what_was_left():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.pass_time(6)
    world.restart(down_s=2)
    world.pass_time(30)
    assert world.done == []  # nobody has read the value yet
    world.read(boiler_temperature=85.0)
    world.pass_time(3.9)
    assert world.done == []
    world.pass_time(0.2)
    assert [what for _, _, what, _ in world.done] == ["pump.run"]


def test_what_was_active_stays_so_and_ends_with_the_first_good_reading_that_says_so():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.pass_time(10)
    world.restart(down_s=60)
    world.pass_time(5)
    world.read(boiler_temperature=85.0)
    assert len(world.done) == 1
    world.read(boiler_temperature=20.0)
    assert world.done[-1][2:] == ("pump.run", False)


def test_a_start_with_a_dead_device_and_a_last_known_value_above_the_limit_writes_nothing():
    world = World(RuleSpec("r", when="boiler.temperature > 80", start=(write("pump.run", True),)))
    world.read(boiler_temperature=85.0)
    world.actions.clear()
    world.rows.clear()  # as if it had never been active
    world.restart(down_s=3600)
    world.pass_time(3600)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.pass_time(3600)
    assert world.actions == []


def test_killed_in_a_delayed_sequence_the_rest_comes_at_its_time():
    spec = RuleSpec("r", when="pump.run", start=(Step("log", text="one"), delay(30), Step("log", text="two")))
    world = World(spec)
    world.read(pump_run=True)
    world.pass_time(10)
    world.restart(down_s=5)
    world.pass_time(14.9)
    assert [text for _, _, text, _ in world.done] == ["one"]
    world.pass_time(0.2)
    assert [(at, text) for at, _, text, _ in world.done] == [(0.0, "one"), (30.0, "two")]


def test_what_was_due_while_it_was_down_comes_at_once_unless_it_is_too_late():
    spec = RuleSpec("r", when="pump.run", start=(Step("log", text="one"), delay(30), Step("log", text="two")))
    world = World(spec)
    world.read(pump_run=True)
    world.restart(down_s=60)
    world.pass_time(4)
    assert [text for _, _, text, _ in world.done] == ["one"]  # devices are read first
    world.pass_time(2)
    assert [text for _, _, text, _ in world.done] == ["one", "two"]
    world = World(spec)
    world.read(pump_run=True)
    world.restart(down_s=3600)
    world.pass_time(1)
    assert [text for _, _, text, _ in world.done] == ["one"]
    assert world.events[-1].what == "skipped"
    assert not [key for key in world.rows if key.startswith("sequence")]


def test_a_sequence_that_was_changed_is_not_taken_up_in_its_middle():
    world = World(RuleSpec("r", when="pump.run", start=(delay(30), Step("log", text="old"))))
    world.read(pump_run=True)
    world.book = type(world.book)(rules=(RuleSpec("r", when="pump.run", start=(delay(30), Step("log", text="new"))),))
    world.restart(down_s=5)
    world.pass_time(60)
    assert world.done == []


def test_a_shelved_alarm_stays_so_and_comes_back_at_its_end():
    world = World(alarms=(HIGH,))
    world.read(boiler_temperature=85.0)
    world.pass_time(6)
    world.engine.orders.order(
        lambda book, now: book.shelve("high@boiler", 60, "otto", "known", now), world.at, world.offset
    )
    world.pass_time(20)
    world.restart(down_s=10)
    assert world.engine.alarms.state("high@boiler") == "shelved"
    world.read(boiler_temperature=85.0)
    world.pass_time(29)
    assert world.engine.alarms.state("high@boiler") == "shelved"
    world.pass_time(2)
    assert world.told[-1] == (66.0, "high", "unack_active")


def test_windows_go_on_over_a_restart_with_a_gap():
    world = World(RuleSpec("r", when="sum(pump.speed, 60s) >= 6", start=(Step("log", text="six"),)))
    world.pass_time(60)
    for _ in range(5):
        world.read(pump_speed=1)
        world.pass_time(2)
    world.restart(down_s=5)
    world.read(pump_speed=1)
    assert [text for _, _, text, _ in world.done] == ["six"]


def test_memory_tags_have_what_was_set_last_and_the_initial_value_before():
    more = {"plant": [memory("mode"), memory("limit", initial=7)]}
    world = World(RuleSpec("r", when="boiler.temperature > 80", start=(write("plant.mode", 3, "set"),)), more=more)
    world.read(boiler_temperature=85.0)
    world.published.clear()
    world.restart()
    assert world.published == [("plant.mode", 3, 0), ("plant.limit", 7, 0)]


def test_totals_stand_still_while_nobody_watches():
    world = World(more={"plant": [computed("hours", "pump.run", how="hours")]})
    world.read(pump_run=True)
    world.pass_time(1800)
    world.restart(down_s=7200)
    world.read(pump_run=True)
    world.pass_time(1800)
    world.read(pump_run=False)
    slot = next(tag.slot for tag in world.tags if tag.path == "hours")
    assert world.engine.columns.values[slot] == pytest.approx(1.0)


def test_a_run_by_the_clock_that_was_missed_is_left_out_or_made_up_for():
    for missed, runs in (("skip", 0), ("once", 1)):
        every = Every(period_s=600, align=True, missed=missed)
        world = World(RuleSpec("r", every=every, start=(Step("log", text="tick"),)))
        world.pass_time(600)
        assert len(world.done) == 1
        world.restart(down_s=3000)
        world.pass_time(0.1)
        assert len(world.done) - 1 == runs


def test_a_reload_keeps_windows_delays_and_sequences_of_unchanged_rules():
    other = RuleSpec("other", when="pump.speed > 5", start=(Step("log", text="other"),))
    window = RuleSpec("w", when="sum(pump.speed, 2 samples) >= 3", start=(Step("log", text="sum"),))
    slow = RuleSpec("s", when="pump.run", start=(delay(20), Step("log", text="late")))
    world = World(HOT, window, slow)
    world.read(boiler_temperature=85.0)
    world.read(pump_speed=1)
    world.read(pump_run=True)
    world.pass_time(6)
    world.reload(HOT, window, slow, other)
    world.read(pump_speed=2)
    assert [text for _, _, text, _ in world.done] == ["sum"]
    world.pass_time(4)
    assert (10.0, "write", "pump.run", True) in world.done
    world.pass_time(11)
    assert (20.0, "log", "late", None) in world.done


def test_a_changed_rule_keeps_that_it_is_active_and_ends_by_its_new_words():
    world = World(HOT)
    world.read(boiler_temperature=85.0)
    world.pass_time(10)
    changed = RuleSpec("hot", when="boiler.temperature > 90", end=(write("pump.run", False),))
    world.reload(changed)
    assert world.done[-1][2:] == ("pump.run", False)


def test_a_rule_that_is_gone_does_nothing_more():
    spec = RuleSpec("r", when="pump.run", start=(delay(20), Step("log", text="late")), for_s=0)
    waiting = RuleSpec("q", when="pump.run", for_s=30, start=(Step("log", text="waited"),))
    every = RuleSpec("e", every=Every(period_s=10), start=(Step("log", text="tick"),))
    world = World(spec, waiting, every)
    world.read(pump_run=True)
    world.pass_time(5)
    world.reload()
    world.pass_time(100)
    assert world.done == []
    assert world.rows == {}
    assert world.engine.due is None


def test_an_alarm_that_is_gone_is_closed_and_one_with_another_limit_goes_on():
    world = World(alarms=(HIGH,))
    world.read(boiler_temperature=85.0)
    world.pass_time(6)
    lower = AlarmSpec("high", "boiler", on="{boiler.temperature} > 60", device="boiler", tag="temperature")
    world.reload(alarms=(lower,))
    assert world.engine.alarms.state("high@boiler") == "unack_active"
    world.read(boiler_temperature=50.0)
    assert world.told[-1][2] == "unack_rtn"
    world.reload()
    assert world.told[-1][2] == "normal"


def test_what_does_not_compile_is_left_out_alone_and_told():
    world = World(HOT)
    world.reload(HOT, RuleSpec("bad", when="no.such > 5"))
    assert [(event.rule, event.what) for event in world.events] == [("bad", "failed")]
    world.read(boiler_temperature=85.0)
    world.pass_time(11)
    assert len(world.done) == 1


def test_a_computed_tag_that_does_not_compile_is_bad_config():
    world = World(more={"plant": [computed("lost", "no.such * 2"), computed("fine", "boiler.temperature * 2")]})
    assert world.published[0] == ("plant.lost", None, int(Quality.BAD_CONFIG))
    world.read(boiler_temperature=1.0)
    assert world.published[-1] == ("plant.fine", 2.0, 0)


def test_rows_and_snapshots_of_another_form_are_left_alone():
    from rules import keeping

    world = World(HOT, more={"plant": [computed("starts", "pump.run", ValueType.UINT32, "counts")]})
    good = keeping.snapshot(world.engine)
    for broken in ({}, {"v": 99}, {**good, "columns": {"boiler.temperature": [1]}}, {**good, "latches": 7}):
        assert keeping.restore(world.engine, broken, 0) is False
    world.rows["rule/hot"] = {"v": 1, "p": "nonsense"}
    world.rows["sequence/hot"] = "x"
    world.rows["memory/plant.none"] = 5
    world.alarm_rows["gone@nowhere"] = {"v": 1}
    world.restart()
    assert "sequence/hot" not in world.rows
    assert "gone@nowhere" not in world.alarm_rows


def test_what_was_only_dry_is_done_when_it_counts():
    dry = RuleSpec("r", when="boiler.temperature > 80", dry_run=True, start=(write("pump.run", True),))
    world = World(dry)
    world.read(boiler_temperature=85.0)
    assert [action.dry_run for action in world.actions] == [True]
    world.reload(RuleSpec("r", when="boiler.temperature > 80", start=(write("pump.run", True),)))
    assert [action.dry_run for action in world.actions] == [True, False]


def test_an_active_rule_that_is_taken_out_has_ended():
    world = World(RuleSpec("r", when="boiler.temperature > 80", end=(write("pump.run", False),)))
    world.read(boiler_temperature=85.0)
    world.reload()
    assert [(event.what, event.text) for event in world.events][-1] == ("ended", "no longer configured")
    assert world.done == []


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_clock_that_is_set_before_a_kill_changes_no_delay_and_no_sequence(step_s):
    hot = RuleSpec("hot", when="boiler.temperature > 80", for_s=1800, start=(Step("log", text="hot"),))
    fill = RuleSpec("fill", when="pump.run", start=(Step("log", text="open"), delay(20), Step("log", text="close")))
    world = World(hot, fill)
    world.read(boiler_temperature=85.0)
    world.read(pump_run=True)
    world.pass_time(3)
    world.offset += step_s * 1000
    world.read(boiler_temperature=86.0)
    world.pass_time(7)
    world.restart(down_s=2)
    world.pass_time(7.9)
    assert [text for _, _, text, _ in world.done] == ["open"]
    world.pass_time(0.2)
    assert [text for _, _, text, _ in world.done] == ["open", "close"]
    world.read(boiler_temperature=85.0)
    world.pass_time(1789)
    assert [text for _, _, text, _ in world.done] == ["open", "close"]
    world.pass_time(1.1)
    assert [text for _, _, text, _ in world.done] == ["open", "close", "hot"]


def test_a_suppression_by_design_ends_when_its_reason_is_gone_after_a_restart():
    alarm = AlarmSpec("flow", "pump", on="{pump.speed} > 5", suppress="{pump.run}", device="pump", tag="speed")
    world = World(alarms=(alarm,))
    world.read(pump_run=True, pump_speed=9)
    assert world.engine.alarms.state("flow@pump") == "suppressed"
    world.restart()
    world.read(pump_run=False, pump_speed=9)
    assert world.engine.alarms.state("flow@pump") == "unack_active"


def test_maintenance_that_ended_while_it_was_down_suppresses_nothing_more():
    world = World(alarms=(HIGH,))
    world.engine.orders.maintenance("boiler", world.at, world.offset, on=True)
    world.read(boiler_temperature=85.0)
    world.pass_time(6)
    assert world.engine.alarms.state("high@boiler") == "suppressed"
    world.restart(maintained={"boiler"})
    assert world.engine.alarms.state("high@boiler") == "suppressed"
    world.restart()
    assert world.engine.alarms.state("high@boiler") == "unack_active"


def test_an_alarm_that_is_new_is_suppressed_when_people_work_on_its_device():
    world = World()
    world.engine.orders.maintenance("boiler", world.at, world.offset, on=True)
    world.read(boiler_temperature=85.0)
    world.reload(alarms=(HIGH,))
    world.pass_time(6)
    assert world.engine.alarms.state("high@boiler") == "suppressed"


def test_an_alarm_that_is_new_at_an_active_rule_is_active():
    plain = RuleSpec("r", when="boiler.temperature > 80")
    world = World(plain)
    world.read(boiler_temperature=85.0)
    world.reload(RuleSpec("r", when="boiler.temperature > 80", alarm=AlarmSpec("r", "gateway", rule="r")))
    assert world.engine.alarms.state("r@gateway") == "unack_active"


def test_a_run_that_was_missed_before_the_first_one_ever_is_made_up_for():
    every = Every(period_s=3600, align=True, missed="once")
    world = World(RuleSpec("r", every=every, start=(Step("log", text="tick"),)))
    world.pass_time(1)
    world.restart(down_s=7200)
    world.pass_time(0.1)
    assert len(world.done) == 1


def test_one_mad_reading_does_not_spoil_an_integral_for_ever():
    world = World(more={"plant": [computed("energy", "boiler.pressure", how="integral")]})
    for value in (1.0, 1e308, 1.0, 0.0):
        world.read(boiler_pressure=value)
        world.pass_time(3600)
    slot = next(tag.slot for tag in world.tags if tag.path == "energy")
    assert world.engine.columns.values[slot] == pytest.approx(2.0)


def test_a_chain_of_thousands_of_computed_tags_is_put_in_order():
    chain = [computed(f"t{n}", f"{{plant.t{n + 1}}} + 1") for n in range(3000)]
    world = World(more={"plant": [*chain, computed("t3000", "boiler.temperature")]})
    world.read(boiler_temperature=1.0)
    assert world.published[-1] == ("plant.t0", 3001.0, 0)
