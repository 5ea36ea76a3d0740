"""A window that does not know its whole width yet says nothing: after a start, a restart, a change of the rules."""

from __future__ import annotations

import pytest

from rules.values import NoValue
from rules.windows import WindowSpec, make_window
from tests.unit.rules.window_oracle import FIGURES, figures, instant

SIZE = 60_000
SLIDING = WindowSpec("a.b", size_ms=SIZE)
TUMBLING = WindowSpec("a.b", size_ms=SIZE, hop_ms=SIZE)
HOPPING = WindowSpec("a.b", size_ms=SIZE, hop_ms=20_000)
NOTHING = dict.fromkeys(FIGURES)


def test_a_sliding_window_has_no_figure_at_all_until_it_was_watched_for_its_whole_size():
    window = make_window(SLIDING, 1000)
    window.add(1015, 95.0, True, instant(1015))
    for at in (1015, 30_000, 1000 + SIZE - 1):
        window.move(instant(at))
        assert figures(window) == NOTHING
    window.move(instant(1000 + SIZE))
    assert (window.avg(), window.max(), window.first(), window.count()) == (95.0, 95.0, 95.0, 1)


def test_one_that_hears_nothing_knows_after_its_size_that_there_was_nothing():
    window = make_window(SLIDING, 0)
    window.move(instant(SIZE - 1))
    with pytest.raises(NoValue):
        window.count()
    window.move(instant(SIZE))
    assert window.count() == 0


def test_it_is_not_settled_before_it_is_full():
    window = make_window(SLIDING, 0)
    assert not window.settled
    window.move(instant(SIZE - 1))
    assert not window.settled
    window.move(instant(SIZE))
    assert window.settled


@pytest.mark.parametrize(("spec", "first"), [(TUMBLING, 2 * SIZE), (HOPPING, SIZE + 20_000)])
def test_a_hop_has_figures_only_when_all_of_it_was_watched(spec, first):
    window = make_window(spec, 10)
    window.add(20, 5, True, instant(20))
    while window.due < first:
        window.move(instant(window.due))
        assert figures(window) == NOTHING
        assert not window.settled
    assert window.due == first
    window.move(instant(first))
    assert (window.avg(), window.count()) == (5.0, 0)
    assert window.settled


def test_a_hop_that_was_watched_from_its_very_begin_on_has_figures():
    window = make_window(TUMBLING, SIZE)
    window.add(SIZE + 10_000, 5, True, instant(SIZE + 10_000))
    window.move(instant(2 * SIZE))
    assert (window.avg(), window.count()) == (5.0, 1)


def test_a_window_of_samples_only_counts_until_it_has_all_of_them():
    window = make_window(WindowSpec("a.b", samples=3), 0)
    for at in (1, 2):
        window.add(at, 5, True, instant(at))
        assert figures(window) == {**NOTHING, "count": at}
    window.add(3, None, False, instant(3))
    assert figures(window) == {**NOTHING, "count": 2}
    window.add(4, 8, True, instant(4))
    assert (window.count(), window.avg(), window.first(), window.last(), window.rate()) == (3, 6.0, 5, 8, 1000.0)


def test_readings_from_a_journal_make_it_full_at_once_and_a_long_absence_empties_it():
    window = make_window(SLIDING, SIZE)
    for at in (0, 30_000):
        window.add(at, 5, True, instant(at))
    window.watched_since(0)
    window.add(SIZE, 5, True, instant(SIZE))
    assert window.avg() == 5.0
    window.watched_since(10 * SIZE)
    window.add(10 * SIZE + 5, 7, True, instant(10 * SIZE + 5))
    assert figures(window) == NOTHING
    assert not window.settled


@pytest.mark.parametrize("spec", [SLIDING, TUMBLING, HOPPING])
def test_since_when_it_is_watched_outlives_a_restart_on_another_clock(spec):
    window = make_window(spec, 1000)
    window.add(2000, 5, True, instant(2000))
    fresh = make_window(spec, -400_000)
    fresh.restore(window.state(), -500_000)
    assert fresh.since == 1000 - 500_000
    assert figures(fresh) == NOTHING


def test_a_hop_that_nobody_watched_takes_the_result_of_the_one_before_away():
    window = make_window(TUMBLING, 0)
    window.add(10, 5, True, instant(10))
    window.move(instant(SIZE))
    assert window.avg() == 5.0
    window.watched_since(5 * SIZE + 1)
    window.move(instant(5 * SIZE + 1))
    assert figures(window) == NOTHING
    assert not window.settled
