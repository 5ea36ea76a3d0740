"""Report by exception: what passes, when, and with which time."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.driver import Columns
from gateway.model import Block, Quality, Report, Tag, TagSpec, ValueType
from gateway.report import ReportFilter

COMM = int(Quality.BAD_COMM)


def filter_of(*reports: Report) -> ReportFilter:
    tags = [
        Tag("d", f"t{i}", i, i, TagSpec(f"t{i}", ValueType.FLOAT64, None, report=report))
        for i, report in enumerate(reports)
    ]
    return ReportFilter(Block("d", tags))


def rows(selected, ts: int, count: int = 1):
    """(tag index, value, quality, ts) in the order of publishing."""
    found = []
    for columns in selected:
        index = columns.index if columns.index is not None else range(count)
        codes = columns.quality or [0] * len(columns.values)
        found += [
            (i, value, code, ts if columns.ts is None else columns.ts)
            for i, value, code in zip(index, columns.values, codes, strict=True)
        ]
    return found


def play(reports: list[Report], polls: list[tuple[float, list]]):
    """Feed polls of all-good values; time in seconds is both the boot clock and the stamp."""
    filter_ = filter_of(*reports)
    return [
        row for at, values in polls for row in rows(filter_.select(Columns(values), int(at), at), int(at), len(values))
    ]


ON_CHANGE = Report(on_change=True)


def test_a_block_of_plain_tags_passes_the_very_same_columns():
    columns = Columns([1.0, 2.0])
    filter_ = filter_of(Report(), Report())
    assert filter_.plain
    assert filter_.select(columns, 1, 1.0)[0] is columns


def test_an_unchanged_value_is_sent_once():
    assert play([ON_CHANGE], [(1, [5]), (2, [5]), (3, [5])]) == [(0, 5, 0, 1)]


def test_a_jump_after_silence_is_preceded_by_the_last_held_value_with_its_own_time():
    assert play([ON_CHANGE], [(1, [5]), (2, [5]), (3, [5]), (4, [9])]) == [(0, 5, 0, 1), (0, 5, 0, 3), (0, 9, 0, 4)]


def test_a_change_right_after_a_sent_value_needs_no_held_value():
    assert play([ON_CHANGE], [(1, [5]), (2, [6]), (3, [7])]) == [(0, 5, 0, 1), (0, 6, 0, 2), (0, 7, 0, 3)]


def test_a_deadband_is_measured_from_the_last_sent_value_so_that_slow_drift_is_not_lost():
    report = Report(deadband=1.0)
    polls = [(t, [t * 0.4]) for t in range(1, 8)]
    sent = [row[1] for row in play([report], polls)]
    assert sent[0] == 0.4
    assert all(abs(b - a) <= 1.0 + 0.4 for a, b in itertools.pairwise(sent))
    assert sent[-1] >= 1.6


def test_a_step_of_exactly_the_deadband_is_held():
    assert play([Report(deadband=1.0)], [(1, [5.0]), (2, [6.0])]) == [(0, 5.0, 0, 1)]


def test_a_heartbeat_breaks_the_silence_without_a_held_value():
    report = Report(on_change=True, heartbeat_s=10)
    assert play([report], [(0, [5]), (5, [5]), (10, [5]), (12, [5])]) == [(0, 5, 0, 0), (0, 5, 0, 10)]


def test_a_change_of_quality_passes_though_the_value_is_the_same():
    filter_ = filter_of(ON_CHANGE)
    filter_.select(Columns([5]), 1, 1.0)
    filter_.select(Columns([5]), 2, 2.0)
    bad = rows(filter_.select(Columns([5], [COMM]), 3, 3.0), 3)
    assert bad == [(0, 5, 0, 2), (0, 5, COMM, 3)]
    assert rows(filter_.select(Columns([5]), 4, 4.0), 4) == [(0, 5, 0, 4)]


def test_plain_tags_of_a_mixed_block_pass_at_every_poll():
    got = play([Report(), ON_CHANGE], [(1, [1, 5]), (2, [1, 5]), (3, [1, 6])])
    assert got == [(0, 1, 0, 1), (1, 5, 0, 1), (0, 1, 0, 2), (1, 5, 0, 2), (0, 1, 0, 3), (1, 6, 0, 3)]


def test_after_a_reset_everything_passes_and_what_was_held_is_handed_out():
    filter_ = filter_of(ON_CHANGE)
    filter_.select(Columns([5]), 1, 1.0)
    filter_.select(Columns([5]), 2, 2.0)
    assert rows(filter_.reset(), 0) == [(0, 5, 0, 2)]
    assert rows(filter_.select(Columns([5]), 9, 9.0), 9) == [(0, 5, 0, 9)]


def test_a_partial_answer_touches_its_own_tags_only():
    filter_ = filter_of(ON_CHANGE, ON_CHANGE)
    filter_.select(Columns([1, 2]), 1, 1.0)
    assert rows(filter_.select(Columns([3], None, [1]), 2, 2.0), 2) == [(1, 3, 0, 2)]
    assert rows(filter_.select(Columns([1, 2]), 3, 3.0), 3) == [(1, 2, 0, 3)]


def test_true_and_text_are_reported_when_they_differ_whatever_the_deadband():
    report = Report(deadband=5.0)
    assert [r[1] for r in play([report], [(1, [True]), (2, [False])])] == [True, False]
    assert [r[1] for r in play([report], [(1, ["a"]), (2, ["b"])])] == ["a", "b"]


@given(
    deadband=st.floats(0.1, 5),
    values=st.lists(st.integers(-10, 10).map(float), min_size=1, max_size=40),
    heartbeat=st.one_of(st.none(), st.integers(2, 9).map(float)),
)
def test_a_receiver_that_holds_the_last_value_is_never_further_off_than_the_deadband(deadband, values, heartbeat):
    report = Report(deadband=deadband, heartbeat_s=heartbeat)
    got = play([report], [(t, [value]) for t, value in enumerate(values)])
    times = [ts for *_, ts in got]
    assert times == sorted(times) and len(set(times)) == len(times)
    assert all(values[ts] == value for _, value, _, ts in got)
    last = None
    known = {ts: value for _, value, _, ts in got}
    for t, value in enumerate(values):
        last = known.get(t, last)
        assert abs(value - last) <= deadband
    if heartbeat is not None:
        assert all(b - a <= heartbeat for a, b in itertools.pairwise(times))


EVERY = Report(every_s=10.0)


def flush(filter_: ReportFilter, at: float):
    return rows(filter_.flush(at), int(at))


def test_a_report_interval_lets_one_report_through_the_last_value_at_its_end():
    filter_ = filter_of(EVERY)
    found = []
    for at in range(25):
        found += rows(filter_.select(Columns([at]), at, float(at)), at)
    assert found == [(0, 0, 0, 0), (0, 10, 0, 10), (0, 20, 0, 20)]
    assert filter_.due() == 30.0
    assert flush(filter_, 29.9) == []
    assert flush(filter_, 30.0) == [(0, 24, 0, 24)], "nothing newer came: the last value, with its own time"
    assert (filter_.due(), flush(filter_, 50.0)) == (None, [])


def test_an_unchanged_value_is_reported_once_an_interval_and_on_change_not_at_all():
    polls = [(at, [5, 5]) for at in range(31)]
    found = play([EVERY, Report(on_change=True, every_s=10.0)], polls)
    assert [(i, ts) for i, _, _, ts in found] == [(0, 0), (1, 0), (0, 10), (0, 20), (0, 30)]


def test_within_an_interval_changes_are_held_and_a_way_back_is_no_news():
    filter_ = filter_of(Report(on_change=True, every_s=10.0))
    for at, value in ((0, 1), (1, 2), (2, 3), (3, 1)):
        filter_.select(Columns([value]), at, float(at))
    assert (filter_.due(), flush(filter_, 10.0)) == (None, [])
    assert rows(filter_.select(Columns([2]), 11, 11.0), 11) == [(0, 2, 0, 11)], "and no held value before it"


def test_quality_changes_pass_at_once_within_an_interval():
    filter_ = filter_of(EVERY)
    found = rows(filter_.select(Columns([1]), 0, 0.0), 0)
    found += rows(filter_.select(Columns([None], [COMM]), 1, 1.0), 1)
    found += rows(filter_.select(Columns([2]), 2, 2.0), 2)
    assert found == [(0, 1, 0, 0), (0, None, COMM, 1), (0, 2, 0, 2)]


def test_neighbours_of_a_tag_with_an_interval_report_as_ever():
    found = play([EVERY, Report(), ON_CHANGE], [(at, [at, 7, 7]) for at in range(3)])
    assert found == [(0, 0, 0, 0), (1, 7, 0, 0), (2, 7, 0, 0), (1, 7, 0, 1), (1, 7, 0, 2)]


@given(
    values=st.lists(st.tuples(st.floats(0.1, 4.0), st.integers(0, 3)), max_size=40),
    on_change=st.booleans(),
)
def test_never_two_reports_in_an_interval_and_the_last_value_always_arrives(values, on_change):
    filter_ = filter_of(Report(on_change=on_change, every_s=10.0))
    at, sent = 0.0, []
    for pause, value in values:
        at += pause
        if (due := filter_.due()) is not None and due <= at:
            sent += [(due, row[1]) for row in rows(filter_.flush(due), 0)]
        sent += [(at, row[1]) for row in rows(filter_.select(Columns([value]), int(at * 1000), at), 0)]
    if (due := filter_.due()) is not None:
        sent += [(due, row[1]) for row in rows(filter_.flush(due), 0)]
    assert all(later - earlier >= 9.999 for (earlier, _), (later, _) in itertools.pairwise(sent))
    assert not values or sent[-1][1] == values[-1][1]
