"""What a bound expression gives: quality, faults, latches, and what it says of itself."""

from __future__ import annotations

import math

import msgpack
import pytest

from gateway.model import Quality
from tests.unit.rules.expression_kit import (
    BAD_COMM,
    GOOD,
    LAST_KNOWN,
    SLOTS,
    STALE,
    Known,
    bound,
    compiled,
    new_window,
    value,
)

OVERRIDE = int(Quality.LOCAL_OVERRIDE)
HOT = "temperature > 80 and pressure > 3.5"


def test_a_condition_over_good_values_is_true_or_false():
    assert value(HOT, temperature=81.0, pressure=4.0) is True
    assert value(HOT, temperature=81.0, pressure=3.0) is False


@pytest.mark.parametrize("quality", [code for code in Quality if code >= Quality.UNCERTAIN], ids=lambda code: code.text)
@pytest.mark.parametrize("tag", ["temperature", "pressure"])
def test_a_condition_never_looks_at_a_value_that_is_not_good(quality, tag):
    assert value(HOT, temperature=81.0, pressure=4.0, qualities={tag: int(quality)}) is None


def test_an_input_that_would_not_decide_makes_it_unknown_all_the_same():
    assert value(HOT, temperature=1.0, pressure=4.0, qualities={"pressure": BAD_COMM}) is None
    assert value("level if burner else mode", level=1, mode=2, burner=True, qualities={"mode": BAD_COMM}) is None


def test_a_value_given_by_hand_is_good():
    assert value(HOT, temperature=81.0, pressure=4.0, qualities={"pressure": OVERRIDE}) is True


@pytest.mark.parametrize(
    ("quality", "conditions", "computed"),
    [(GOOD, 7, 7), (OVERRIDE, 7, 7), (STALE, None, 7), (LAST_KNOWN, None, 7), (BAD_COMM, None, None)],
)
def test_what_counts_as_no_value_is_said_when_it_is_bound(quality, conditions, computed):
    given = {"level": 5, "mode": 2, "qualities": {"level": quality}}
    assert value("level + mode", keep=64, **given) == conditions
    assert value("level + mode", keep=128, **given) == computed


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("level > 1 and burner", ("boiler.level", "boiler.burner")),
        ("is_good(level) and burner", ("boiler.burner",)),
        ("quality(level) == 'good'", ()),
        ("age(level) > 5", ()),
        ("count(level, 5m) > 5", ()),
        ("level > 1 and is_good(level)", ("boiler.level",)),
        *((f"{name}(level, 5m) > 1", ("boiler.level",)) for name in ("avg", "min", "max", "sum", "stddev", "first")),
        ("last(level, 5m) > 1", ("boiler.level",)),
        ("rate(level) > 1", ("boiler.level",)),
        ("rate(level, 10s) > 1", ("boiler.level",)),
        ("prev(level) > 1", ("boiler.level",)),
        ("changed(level)", ("boiler.level",)),
        ("hysteresis(level, 1, 2)", ("boiler.level",)),
    ],
)
def test_some_functions_need_no_good_value(text, needs):
    program = compiled(text)
    assert program.needs == needs
    limp = Known({"level": BAD_COMM}, level=5, burner=True)
    if "boiler.level" in needs:
        assert limp.run(program.bind(SLOTS, new_window, keep=64)) is None
    else:
        assert limp.run(program.bind(SLOTS, new_window, keep=64)) is not None


def test_is_good_is_about_good_also_where_uncertain_values_count():
    assert value("is_good(level)", keep=128, qualities={"level": STALE}) is False
    assert value("is_good(level)", keep=128, qualities={"level": OVERRIDE}) is True


@pytest.mark.parametrize(
    "text",
    [
        "1 / level > 0",
        "level // mode > 0",
        "level % mode > 0",
        "sqrt(mode - 1) > 0",
        "round(temperature * 1e308 * 10) > 0",
        "scale(level, mode, level, 0, 1) > 0",
        "clamp(level, 1, mode) > 0",
        "hysteresis(temperature, 1, mode)",
        "hysteresis(1 / level, 1, 2)",
    ],
)
def test_a_calculation_without_a_result_is_no_value(text):
    assert value(text, level=0, mode=0, temperature=2.0) is None


@pytest.mark.parametrize("text", ["temperature * 1e308 * 10", "temperature * 1e308 * 10 - temperature * 1e308 * 10"])
def test_infinity_and_nan_are_no_values(text):
    assert math.isinf(2.0 * 1e308 * 10)
    assert value(text, temperature=2.0) is None


def test_a_whole_number_beyond_64_bits_is_no_value():
    assert value("level * 9223372036854775807 + level", level=1) == 2**63
    assert value("level * 9223372036854775807", level=3) is None
    assert value("-9223372036854775808 - level", level=1) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "burner",
            "not burner",
            "burner or level > 1",
            "burner == true",
            "burner != true",
            "true if burner else false",
        ),
        *("status == 'a'", "status != 'a'", "status in ('a', 'b')", "status not in ('a', 'b')", "status"),
        *("mode == 1", "mode != 1", "mode not in (1, 2)", "mode > 1", "raw != echo", "burner if level > 1 else burner"),
    ],
)
def test_a_good_tag_without_a_value_makes_nothing_true(text):
    assert value(text, level=5) is None


def test_a_value_of_another_type_than_the_tag_has_is_no_value():
    assert value("temperature > 80", temperature="hot") is None
    assert value("temperature + 1", temperature="hot") is None
    assert value("level", level="5") is None
    assert value("status", status=5) is None
    assert value("level", level=math.nan) is None


def test_a_constant_that_no_float_holds_is_compared_exactly():
    assert value("temperature == 9007199254740993", temperature=9007199254740992.0) is False
    assert value("temperature == 9007199254740992", temperature=9007199254740992.0) is True


def test_a_side_that_does_not_count_is_not_calculated():
    assert value("level != 0 and 1 / level > 0.1", level=0) is False
    assert value("level == 0 or 1 / level > 0.1", level=0) is True
    assert value("0 if level == 0 else 1 / level", level=0) == 0


def test_a_result_has_the_type_that_was_said():
    assert value("burner if level > 1 else level", burner=True, level=5) == 1
    assert value("burner if level > 1 else level", burner=True, level=5) is not True
    assert value("-burner", burner=True) == -1
    assert value("burner + burner + 1", burner=True) == 3
    assert value("burner and level > 1", burner=True, level=5) is True
    assert value("'on' if burner else 'off'", burner=False) == "off"
    assert value("status", status="ready") == "ready"


def test_a_latch_is_true_above_high_until_below_low():
    latch = bound("hysteresis(temperature, 75, 80)")
    seen = [Known(temperature=x).run(latch) for x in (70.0, 78.0, 80.0, 80.1, 78.0, 75.0, 74.9, 79.0)]
    assert seen == [False, False, False, True, True, True, False, False]


def test_a_latch_stands_still_while_its_input_is_not_good():
    latch = bound("hysteresis(temperature, 75, 80)")
    assert Known(temperature=81.0).run(latch) is True
    assert Known({"temperature": BAD_COMM}, temperature=0.0).run(latch) is None
    assert Known(temperature=78.0).run(latch) is True


def test_a_latch_sees_values_also_where_and_would_not_look():
    latch = bound("burner and hysteresis(temperature, 75, 80)")
    assert Known(burner=False, temperature=81.0).run(latch) is False
    assert Known(burner=True, temperature=78.0).run(latch) is True


def test_a_latch_without_a_value_matters_only_where_it_is_asked():
    text = "level != 0 and hysteresis(10 / level, 1, 2)"
    assert value(text, level=0) is False
    assert value(text, level=1) is True


def test_latches_are_kept_and_restored():
    text = (
        "hysteresis(temperature, 75, 80) or hysteresis(pressure, 3, 4) or hysteresis(hysteresis(level, 1, 2) + 0, 0, 1)"
    )
    before = bound(text)
    assert Known(temperature=81.0, pressure=1.0, level=3).run(before) is True
    assert before.state() == [True, False, True, False]
    kept = msgpack.unpackb(msgpack.packb(before.state()))
    after = bound("hysteresis(temperature, 75, 80) or hysteresis(pressure, 3, 4) or hysteresis(level, 1, 2) and burner")
    after.restore(kept)
    assert after.state() == [False, False, False], "a state of another expression is left alone"
    after = bound(text)
    after.restore(kept)
    assert Known(temperature=78.0, pressure=1.0, level=0).run(after) is True


@pytest.mark.parametrize("state", [None, 5, "ab", {}, [], [True], [True, False, True]])
def test_a_state_that_does_not_fit_is_left_alone(state):
    latch = bound("hysteresis(temperature, 75, 80) or hysteresis(level, 1, 2)")
    latch.restore(state)
    assert latch.state() == [False, False]


def test_two_that_are_bound_from_one_program_share_no_latch():
    program = compiled("hysteresis(temperature, 75, 80)")
    one, other = (program.bind(SLOTS, lambda _spec: None, keep=64) for _ in range(2))
    assert Known(temperature=81.0).run(one) is True
    assert Known(temperature=78.0).run(other) is False


def test_slots_are_given_when_it_is_bound():
    program = compiled("pump.speed > boiler.level and is_good(burner)")
    slots = {"pump.speed": 12, "boiler.level": 2, "boiler.burner": 0}
    at = program.bind(slots, lambda _spec: None, keep=64)
    assert (at.slots, at.needs, at.windows) == ([12, 2, 0], [12, 2], [])
    assert at.run([None, None, 5] + [None] * 9 + [6], [0] * 13, Known(), 0) is True


@pytest.mark.parametrize(
    ("text", "has_age", "on_every_reading"),
    [
        ("level > 1", False, False),
        ("hysteresis(level, 1, 2)", False, False),
        ("quality(level) == 'good'", False, False),
        ("age(level) > 5", True, False),
        ("rate(level) > 5", False, True),
        ("prev(level) > 5", False, True),
        ("changed(level)", False, True),
        ("avg(level, 5m) > age(level)", True, True),
    ],
)
def test_an_expression_says_when_it_has_to_run(text, has_age, on_every_reading):
    program = compiled(text)
    assert (program.has_age, program.on_every_reading) == (has_age, on_every_reading)


def test_a_generated_function_has_no_builtins():
    names = bound("max(abs(level), sqrt(level)) > 1 and status == '__import__'").run.__globals__
    assert names["__builtins__"] == {}
    assert set(names) == {"__builtins__", "FAULTS", "max", "abs", "sqrt", "K0"}
