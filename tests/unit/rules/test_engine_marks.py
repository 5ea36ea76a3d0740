"""An alarm that is active while its input is bad stays active and is marked: alarms with a limit, and those of rules."""

from __future__ import annotations

import pytest

from gateway.model import Quality
from gateway.rulebook import AlarmSpec, RuleSpec
from tests.unit.rules.engine_world import World, write

HOT = "boiler.temperature > 80"
OWN = AlarmSpec("hot", "boiler", on=HOT, device="boiler", tag="temperature")
OF_RULE = AlarmSpec("hot", "gateway", rule="hot")
ALARMS = {
    "of a limit": lambda: World(alarms=[OWN]),
    "of a rule": lambda: World(RuleSpec("hot", when=HOT, alarm=OF_RULE, start=(write("pump.run", True),))),
}


def marks(world: World) -> list[tuple[str, str, str]]:
    return [(one.event, one.state, one.quality) for one in world.transitions]


@pytest.mark.parametrize("kind", ALARMS)
def test_an_active_alarm_with_a_bad_input_is_marked_once_and_again_when_it_is_good(kind):
    world = ALARMS[kind]()
    world.read(boiler_temperature=85.0)
    world.pass_time(1)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.read(Quality.BAD_RANGE, boiler_temperature=None)
    world.pass_time(1)
    world.read(boiler_temperature=86.0)
    world.read(boiler_temperature=70.0)
    assert marks(world) == [
        ("active", "unack_active", ""),
        ("bad", "unack_active", Quality.BAD_COMM.text),
        ("good", "unack_active", ""),
        ("clear", "unack_rtn", ""),
    ]
    assert len(world.actions) == (kind == "of a rule")


@pytest.mark.parametrize("kind", ALARMS)
def test_an_alarm_that_is_not_active_is_not_marked(kind):
    world = ALARMS[kind]()
    world.read(boiler_temperature=70.0)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    world.read(boiler_temperature=70.0)
    assert marks(world) == []


def test_a_rule_that_ends_with_a_bad_input_is_not_marked():
    world = World(RuleSpec("hot", when=HOT, on_bad="reset", alarm=OF_RULE))
    world.read(boiler_temperature=85.0)
    world.read(Quality.BAD_COMM, boiler_temperature=None)
    assert [event for event, _, _ in marks(world)] == ["active", "clear"]
