"""What each function gives."""

from __future__ import annotations

import pytest

from gateway.model import Quality
from rules.windows import WindowSpec
from tests.unit.rules.expression_kit import BAD_COMM, SLOTS, Known, bound, compiled, moment, new_window, value

LEVEL = SLOTS["boiler.level"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("abs(0 - level)", 7),
        ("abs(level)", 7),
        ("min(level, 3)", 3),
        ("min(level, 9, temperature)", 2.5),
        ("max(level, 3, burner)", 7),
        ("max(burner, false)", 1),
        ("round(temperature)", 2),
        ("round(0.5 + 3)", 4),
        ("round(temperature * 1.111, 2)", 2.78),
        ("sqrt(level + 2)", 3.0),
        ("clamp(level, 0, 5)", 5),
        ("clamp(level, 8, 9)", 8),
        ("clamp(level, 5, 9)", 7),
        ("scale(level, 0, 10, 4, 20)", 15.2),
        ("scale(level, 10, 0, 0, 100)", 30.0),
        ("scale(level, 0, 1, 0, 100)", 700.0),
        ("level // 2", 3),
        ("-level // 2", -4),
        ("level % 4", 3),
        ("-level % 4", 1),
        ("2 + 3 * level", 23),
        ("(2 + 3) * level", 35),
        ("level - 2 - 1", 4),
        ("level - (2 - 1)", 6),
        ("100 / 10 / level", 100 / 10 / 7),
        ("0x10 + 1e1 + .5", 26.5),
        ("1 if burner else 2 if level > 5 else 3", 1),
        ("3 if not burner else 2 if level < 5 else 1", 1),
        ("1 < temperature < level <= 7", True),
        ("1 < temperature > level", False),
        ("not level == 7", False),
        ("not burner or level == 7 and temperature > 2", True),
        ("level in (1, 7)", True),
        ("level in [-7, 7.0]", True),
        ("level not in (1, 7)", False),
        ("not level in (1, 2)", True),
        ("burner in (1, 2)", True),
        ("status in ('run', 'idle')", True),
        ("'id' in status", True),
        ("'ID' in status", False),
        ("status not in recipe", False),
        ("status == \"idle\" and status != 'run'", True),
        ("burner == 1 and burner + 1 == 2", True),
        ("raw == raw and raw != echo", True),
        ("True and true", True),
        ("status if burner else 'off'", "idle"),
    ],
)
def test_calculation_and_comparison(text, result):
    found = value(
        text, level=7, temperature=2.5, burner=True, status="idle", recipe="idle or not", raw=b"\x01", echo=b"\x02"
    )
    assert found == pytest.approx(result) if isinstance(result, float) else found == result
    assert type(found) is type(result)


def test_quality_is_told_as_on_the_wire():
    for code in Quality:
        assert value("quality(level)", qualities={"level": int(code)}) == code.text
    assert value("quality(level) == 'bad/comm'", qualities={"level": BAD_COMM}) is True
    assert value("'bad' in quality(level)", qualities={"level": BAD_COMM}) is True
    assert [value("quality(level)", qualities={"level": code}) for code in (50, 100, 200)] == [
        "good",
        "uncertain",
        "bad",
    ]


def test_age_is_in_seconds_since_the_value_was_known():
    plant = Known({"level": BAD_COMM})
    plant.polled_at[LEVEL] = 1_000
    assert plant.run(bound("age(level)"), at=3_500) == 2.5
    assert plant.run(bound("age(level) > 2"), at=3_000) is False


def test_changed_is_about_the_event_that_is_worked_on():
    plant = Known(level=1)
    assert plant.run(bound("changed(level)")) is False
    plant.changed = {LEVEL}
    assert plant.run(bound("changed(level) and level == 1")) is True


def test_prev_is_the_value_before_or_none():
    plant = Known(level=5)
    assert plant.run(bound("prev(level)")) is None
    plant.previous[LEVEL] = 3
    assert plant.run(bound("level - prev(level)")) == 2


def test_rate_is_per_second_between_the_last_two_readings():
    plant = Known(level=15)
    assert plant.run(bound("rate(level)")) is None, "there is no time between them"
    plant.arrived[LEVEL], plant.before_at[LEVEL] = 3_000, 1_000
    assert plant.run(bound("rate(level)")) is None, "there was no value"
    plant.previous[LEVEL] = 10
    assert plant.run(bound("rate(level)")) == 2.5
    plant.previous[LEVEL] = "text"
    assert plant.run(bound("rate(level)")) is None


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("avg(level, 5m)", WindowSpec("boiler.level", size_ms=300_000)),
        ("avg(level, 90s)", WindowSpec("boiler.level", size_ms=90_000)),
        ("avg(level, 1.5s)", WindowSpec("boiler.level", size_ms=1500)),
        ("avg(level, 500ms)", WindowSpec("boiler.level", size_ms=500)),
        ("avg(level, 2min)", WindowSpec("boiler.level", size_ms=120_000)),
        ("avg(level, 1d)", WindowSpec("boiler.level", size_ms=86_400_000)),
        ("avg(level, 10 samples)", WindowSpec("boiler.level", samples=10)),
        ("avg(level, 1 sample)", WindowSpec("boiler.level", samples=1)),
        ("max(level, 1h, 5m)", WindowSpec("boiler.level", size_ms=3_600_000, hop_ms=300_000)),
        ("min(level, 5m, 5m)", WindowSpec("boiler.level", size_ms=300_000, hop_ms=300_000)),
        ("min({level}, 5m)", WindowSpec("boiler.level", size_ms=300_000)),
        ("min((pump.speed), 5m)", WindowSpec("pump.speed", size_ms=300_000)),
        ("rate(level, 10s)", WindowSpec("boiler.level", size_ms=10_000)),
    ],
)
def test_a_window_is_what_was_written(text, spec):
    assert compiled(text).windows == (spec,)


def test_equal_windows_are_one():
    assert len(compiled("max(level, 5m) - min(level, 5m) > avg(level, 5m) + avg(level, 1m)").windows) == 2


@pytest.mark.parametrize(
    ("name", "result"),
    [
        *(("avg", 3), ("min", 1), ("max", 6), ("sum", 9), ("count", 3), ("first", 1), ("last", 6)),
        ("stddev", pytest.approx(14**0.5 / 3**0.5, rel=1e-9)),
    ],
)
def test_each_figure_comes_from_the_window(name, result):
    at_work = bound(f"{name}(level, 3 samples)")
    for at, reading in enumerate((100, 1, 2, 6)):
        at_work.windows[0].add(at, reading, True, moment(at))
    assert Known(level=6).run(at_work, at=3) == result


def test_a_rate_over_a_time_comes_from_the_window():
    at_work = bound("rate(level, 10s)")
    for at in (1_000, 3_000):
        at_work.windows[0].add(at, at // 100, True, moment(at))
    assert Known(level=30).run(at_work, at=3_000) == 10.0


@pytest.mark.parametrize("name", ["avg", "min", "max", "stddev", "first", "last"])
def test_an_empty_window_has_no_value(name):
    assert Known(level=1).run(bound(f"{name}(level, 3 samples) > 0")) is None


def test_windows_are_bound_in_the_order_of_the_text():
    asked = []

    def window(spec):
        asked.append(spec)
        return new_window(spec)

    at_work = bound("last(level, 1m) > last(pump.speed, 2m)", windows=window)
    assert [spec.tag for spec in asked] == ["boiler.level", "pump.speed"]
    for each, reading in zip(at_work.windows, (5, 4), strict=True):
        each.add(0, reading, True, moment(0))
    assert Known().run(at_work) is True
