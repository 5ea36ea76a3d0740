"""Hopping windows and the wall clock: each reading counts in one hop, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.values import NoValue
from rules.windows import WindowSpec
from tests.unit.rules.window_oracle import instant, watched

HOP = 60_000
TUMBLING = WindowSpec("a.b", size_ms=HOP, hop_ms=HOP)
STEPS = st.sampled_from([0, 1, -1, 400, 30_000, -30_000, 59_000, 3_600_000, -86_400_000, 10**12])


def close(window, at, offset, closed):
    """Advance to `at`, stopping at each hop that is due, as the engine does; keep the counts of all that closed."""
    while window.due is not None and window.due <= at:
        due = window.due
        window.move(instant(due, offset))
        if window.due == due:
            return
        closed.append((due, window.count()))


def test_a_hop_closes_on_the_multiple_of_the_wall_clock_plus_the_lateness():
    window = watched(WindowSpec("a.b", size_ms=HOP, hop_ms=HOP, lateness_ms=2000))
    window.move(instant(10_000, offset=25_000))
    assert window.due == 35_000 + 2000
    window.add(34_999, 5, True, instant(36_000, 25_000))
    window.add(35_000, 7, True, instant(36_500, 25_000))
    window.add(34_998, 3, True, instant(36_999, 25_000))
    window.move(instant(37_000, 25_000))
    assert (window.count(), window.sum(), window.last(), window.late) == (2, 8.0, 5, 0)


def test_before_its_first_hop_has_closed_a_window_has_no_figures():
    window = watched(TUMBLING)
    window.add(10, 5, True, instant(10))
    for figure in (window.avg, window.count, window.last):
        with pytest.raises(NoValue):
            figure()


@given(st.lists(st.tuples(st.integers(0, 20_000), STEPS), min_size=1, max_size=150))
def test_each_reading_counts_in_exactly_one_tumbling_hop_over_any_clock_steps(stream):
    window, at, offset, closed = watched(TUMBLING), 0, 0, []
    window.move(instant(at, offset))
    for silence, step in stream:
        at += silence
        close(window, at, offset, closed)
        offset += step
        window.move(instant(at, offset))
        assert at < window.due <= at + 1.5 * HOP
        window.add(at, 1, True, instant(at, offset))
        if window._closed > (closed[-1][0] if closed else 0):
            closed.append((window._closed, window.count()))
    close(window, at + 2 * HOP, offset, closed)
    assert sum(count for _, count in closed) + window.late == len(stream)
    boundaries = [boundary for boundary, _ in closed]
    assert boundaries == sorted(set(boundaries))


def test_jitter_of_the_clock_closes_no_hop_twice():
    window, closed = watched(TUMBLING), []
    for at in range(0, 600_000, 100):
        close(window, at, (at // 100) % 3 - 1, closed)
        window.add(at, 1, True, instant(at, (at // 100) % 3 - 1))
        if window._closed > (closed[-1][0] if closed else 0):
            closed.append((window._closed, window.count()))
    assert len([count for _, count in closed]) == 9
    assert all(count in {599, 600, 601} for _, count in closed)


def test_a_clock_set_back_and_forth_by_whole_hops_changes_nothing():
    window = watched(TUMBLING)
    window.move(instant(1000))
    due = window.due
    window.move(instant(2000, 3_600_000))
    window.move(instant(3000, -3_600_000))
    assert window.due == due


def test_where_the_new_boundary_has_passed_the_hop_ends_after_its_newest_reading():
    window = watched(TUMBLING)
    for at in (0, 10_000, 50_000):
        window.add(at, 1, True, instant(at))
    window.move(instant(55_000, 20_000))  # the boundary would have been at 40,000
    assert window.count() == 3
    assert window.due == 100_000
