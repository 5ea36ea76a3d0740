"""What years, floods and odd values do to a window: nothing lasting."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from rules.values import NoValue
from rules.windows import WindowSpec, make_window
from rules.windows.track import MAX_READINGS
from tests.unit.rules.window_oracle import figures, instant, watched

DAY = 24 * 3600 * 1000


def fill(window, readings):
    for at, value in readings:
        window.add(at, value, True, instant(at))


def test_a_million_ms_of_hard_numbers_leaves_no_drift():
    chance = random.Random(5)
    window = watched(WindowSpec("a.b", size_ms=200))
    hard = [0.1, -0.3, 1e16, 1e-9, 3, 1e300, -1e300, 7.7e15, True]
    readings = [(at, chance.choice(hard)) for at in range(0, 300_000, 10)]
    fill(window, readings[:1])
    figures(window)  # from now on all of them are kept up
    fill(window, readings[1:])
    fresh = watched(WindowSpec("a.b", size_ms=200))
    fill(fresh, readings[-40:])
    assert figures(window) == figures(fresh)


def test_a_very_large_number_that_has_gone_leaves_nothing_behind():
    window = watched(WindowSpec("a.b", size_ms=100))
    fill(window, [(0, 1e308), (1, 0.1), (50, 0.3)])
    assert window.avg() > 1e305
    fill(window, [(150, 0.3)])
    assert window.avg() == window.min() == window.max() == 0.3
    assert window.stddev() == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, 10**400])
def test_what_is_no_number_is_a_gap_and_poisons_nothing(value):
    window = watched(WindowSpec("a.b", size_ms=100))
    fill(window, [(0, 5), (20, value), (40, 7), (50, 7)])
    assert (window.count(), window.min(), window.max(), window.last()) == (3, 5, 7, 7)
    assert window.avg() == float(Fraction(5 * 20 + 7 * 10, 30))


def test_a_sum_that_no_float_can_hold_is_no_value_until_it_can():
    window = watched(WindowSpec("a.b", size_ms=100))
    fill(window, [(0, 1.7e308), (1, 1.7e308)])
    with pytest.raises(NoValue):
        window.sum()
    assert window.avg() == 1.7e308
    fill(window, [(150, 2.0)])
    assert window.sum() == 2.0


def test_a_flood_of_readings_stays_within_memory_and_close_to_the_truth():
    size = 60_000
    window = watched(WindowSpec("a.b", size_ms=size))
    most = 0
    for at in range(150_000):
        window.add(at, at % 1000, True, instant(at))
        most = max(most, len(window._track))
    assert most < MAX_READINGS
    assert window.count() == pytest.approx(size, rel=1e-3)
    assert window.avg() == pytest.approx(499.5, rel=1e-3)
    assert window.sum() == pytest.approx(size * 499.5, rel=1e-3)
    assert window.stddev() == pytest.approx(math.sqrt((1000**2 - 1) / 12), rel=1e-3)
    assert (window.min(), window.max(), window.last()) == (0, 999, 149_999 % 1000)
    assert window.rate() == pytest.approx(999 / 60, rel=1e-3)


def test_merged_readings_that_are_all_inside_count_exactly():
    readings = [(at * 1000, (at * 7919) % 1009 / 10) for at in range(40_000)]
    window = watched(WindowSpec("a.b", size_ms=DAY))
    fill(window, readings)
    assert len(window._track) < MAX_READINGS
    values = [Fraction(value) for _, value in readings]
    assert window.sum() == float(sum(values))
    assert window.avg() == float(sum(values[:-1]) / len(values[:-1]))
    assert window.count() == len(readings)
    assert (window.min(), window.max()) == (0.0, 100.8)
    assert (window.first(), window.last()) == (0.0, readings[-1][1])


def test_a_burst_in_one_millisecond_stays_within_memory():
    window = watched(WindowSpec("a.b", size_ms=1000))
    fill(window, [(5, n) for n in range(50_000)])
    assert len(window._track) < MAX_READINGS
    assert (window.count(), window.min(), window.max(), window.last()) == (50_000, 0, 49_999, 49_999)


def test_a_late_reading_that_belongs_among_merged_ones_is_left_out_and_counted():
    window = watched(WindowSpec("a.b", size_ms=DAY, lateness_ms=DAY))
    fill(window, [(at * 1000, 1) for at in range(30_000)])
    before = window.count()
    window.add(3500, 100, True, instant(30_000_000))
    assert (window.late, window.count(), window.max()) == (1, before, 1)
    window.add(29_998_500, 100, True, instant(30_000_000))
    assert (window.late, window.count(), window.max()) == (1, before + 1, 100)


def test_a_window_with_merged_readings_goes_on_after_a_restart():
    window = watched(WindowSpec("a.b", size_ms=DAY))
    fill(window, [(at * 1000, at % 17 / 3) for at in range(30_000)])
    fresh = watched(WindowSpec("a.b", size_ms=DAY))
    fresh.restore(window.state(), -5000)
    assert figures(fresh) == figures(window)
    for at in range(30_000, 110_000, 500):
        window.add(at * 1000, at, True, instant(at * 1000))
        fresh.add(at * 1000 - 5000, at, True, instant(at * 1000 - 5000))
    assert figures(fresh) == figures(window)


def test_readings_that_wait_for_a_boundary_are_bounded_too():
    window = watched(WindowSpec("a.b", size_ms=1000, hop_ms=1000, lateness_ms=3_600_000))
    counts = []
    for at in range(100_000):
        window.add(at, 1, True, instant(at))
        if not counts or window._closed > counts[-1][0]:
            counts.append((window._closed, len(window._ahead)))
    assert max(waiting for _, waiting in counts) < MAX_READINGS
    assert window.count() == 1000
    assert window.sum() == 1000.0


def test_a_long_silence_costs_one_hop_not_one_for_each_that_passed():
    window = watched(WindowSpec("a.b", size_ms=1000, hop_ms=10))
    window.add(5, 3.0, True, instant(5))
    window.move(instant(10**13))
    assert window.due == 10**13 + 10
    assert (window.avg(), window.count(), window.settled) == (3.0, 0, True)


@pytest.mark.parametrize(
    "spec",
    [
        WindowSpec("a.b"),
        WindowSpec("a.b", size_ms=DAY + 1),
        WindowSpec("a.b", samples=10_001),
        WindowSpec("a.b", size_ms=10, samples=10),
        WindowSpec("a.b", size_ms=10, hop_ms=11),
        WindowSpec("a.b", samples=10, hop_ms=5),
        WindowSpec("a.b", size_ms=10, lateness_ms=-1),
    ],
)
def test_a_spec_that_makes_no_window_is_refused(spec):
    with pytest.raises(ValueError):
        make_window(spec, 0)
