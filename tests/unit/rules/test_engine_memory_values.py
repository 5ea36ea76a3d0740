"""Memory tags that rules set hold values of their own type, whatever an expression gives."""

from __future__ import annotations

import pytest

from gateway.model import ValueType
from gateway.rulebook import Assignment, RuleSpec, Step
from tests.unit.rules.engine_world import World, memory


def world(kind: ValueType, expression: str) -> World:
    step = Step("set", assign=(Assignment("note.x", expression=expression),))
    return World(
        RuleSpec("calc", when="pump.run", start=(step,)),
        more={"note": [memory("x", kind, 0), memory("half", initial=0)]},
    )


@pytest.mark.parametrize(
    ("kind", "expression", "wanted"),
    [
        (ValueType.UINT16, "6 / 2", 3),
        (ValueType.UINT16, "boiler.temperature / 2", 43),
        (ValueType.FLOAT64, "3", 3.0),
        (ValueType.FLOAT32, "pump.speed", 7.0),
        (ValueType.BOOL, "pump.speed > 5", True),
    ],
)
def test_a_memory_takes_a_result_as_its_type_has_it(kind, expression, wanted):
    made = world(kind, expression)
    made.read(pump_speed=7, pump_run=False)
    made.read(boiler_temperature=85.4)
    made.read(pump_run=True)
    name, value, quality = made.published[-1]
    assert (name, value, quality) == ("note.x", wanted, 0)
    assert type(value) is type(wanted)
    assert made.rows["memory/note.x"][0] == wanted
    assert made.actions[-1].values == (("note.x", wanted),)
