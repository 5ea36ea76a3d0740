"""Deadlines: no drift, no bursts, aligned groups exact. FL-49."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model import Schedule
from gateway.scheduler import Timetable, next_multiple


@example(0.05, [1.0])  # (1.0 - 0.05) / 0.05 is a little less than 19
@given(st.floats(0.01, 100.0), st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40))
def test_fl_49_every_poll_lies_on_the_grid_or_after_it_and_all_grid_points_are_accounted_for(
    period: float, pauses: list[float]
) -> None:
    """FL-49: polls + missed = grid points passed, whatever the pauses are."""
    table: Timetable[str] = Timetable()
    table.add("a", Schedule(period), 0.0)
    now, polls = 0.0, 0
    for pause in pauses:
        polls += len(table.take(now, now * 1000))
        now += pause
    polls += len(table.take(now, now * 1000))
    due = table.next_due()
    assert due is not None
    assert now < due <= now + period * (1 + 1e-9)
    assert polls + table.missed("a") == round(due / period)


def test_no_drift_over_ten_minutes_of_jittery_serving() -> None:
    table: Timetable[str] = Timetable()
    table.add("a", Schedule(0.1), 0.0)
    for n in range(6000):
        assert table.take(n * 0.1 + 0.03, 0.0) == ["a"]
    assert table.missed("a") == 0
    assert abs((table.next_due() or 0.0) - 600.0) < 1e-6


def test_keys_come_in_the_order_of_their_deadlines() -> None:
    table: Timetable[str] = Timetable()
    for name, period in (("slow", 5.0), ("fast", 1.0), ("middle", 2.0)):
        table.add(name, Schedule(period), 0.0)
    assert table.take(0.0, 0.0) == ["slow", "fast", "middle"]
    assert table.take(6.0, 6000.0) == ["fast", "middle", "slow"]


def wall(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


def test_an_aligned_group_polls_at_once_and_then_on_the_quarter_hours_of_the_wall_clock() -> None:
    table: Timetable[str] = Timetable("Europe/Berlin")
    start = wall("2026-11-22T10:07:13")
    table.add("energy", Schedule(900.0, align=True), 50.0)
    assert table.take(50.0, start) == ["energy"]
    due = table.next_due()
    assert due is not None
    assert start + (due - 50.0) * 1000 == wall("2026-11-22T10:15:00")
    assert table.take(due + 0.2, wall("2026-11-22T10:15:00") + 200) == ["energy"]
    later = table.next_due()
    assert later is not None
    assert abs(later - due - 900.0) < 1e-6
    assert table.missed("energy") == 0


def test_a_step_of_the_wall_clock_moves_aligned_deadlines_and_no_others() -> None:
    table: Timetable[str] = Timetable("UTC")
    start = wall("2026-11-22T10:07:00")
    table.add("energy", Schedule(900.0, align=True), 0.0)
    table.add("plain", Schedule(10.0), 0.0)
    table.take(0.0, start)
    stepped = wall("2025-11-22T10:13:00")  # a year back, and 6 minutes on
    assert table.take(10.0, stepped) == ["plain"]
    assert table.take(20.0, stepped + 10_000) == ["plain"]
    dues = [table.due("energy"), table.due("plain")]
    assert dues == [10.0 + 120.0, 30.0]


def test_local_times_that_are_skipped_or_doubled() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = wall("2026-03-29T00:30:00")  # 01:30 local, clocks go from 02:00 to 03:00 at 01:00 UTC
    assert next_multiple(spring, 3600.0, berlin) == wall("2026-03-29T01:00:00")
    assert next_multiple(wall("2026-03-28T23:30:00"), 86400.0, berlin) == wall("2026-03-29T22:00:00")
    autumn = wall("2026-10-25T00:50:00")  # 02:50 local, clocks go from 03:00 back to 02:00 at 01:00 UTC
    assert next_multiple(autumn, 900.0, berlin) == wall("2026-10-25T01:00:00")
    assert next_multiple(wall("2026-10-25T00:00:00"), 86400.0, berlin) == wall("2026-10-25T23:00:00")


@given(st.integers(0, 4_000_000_000_000), st.sampled_from([1.0, 60.0, 900.0, 3600.0, 86400.0]))
def test_the_next_multiple_is_in_the_future_and_within_a_period_and_a_change_of_the_clock(
    now: int, period: float
) -> None:
    result = next_multiple(now, period, ZoneInfo("Europe/Berlin"))
    assert now < result <= now + (period + 3600.0) * 1000


def test_another_interval_counts_from_now() -> None:
    table: Timetable[str] = Timetable()
    table.add("a", Schedule(60.0), 0.0)
    table.take(0.0, 0.0)
    table.override("a", 1.0, 10.0)
    assert table.next_due() == 11.0
    table.take(11.0, 0.0)
    assert table.next_due() == 12.0
    table.remove("a")
    assert table.next_due() is None


def served_slots(
    start: str, end: str, every_s: float, zone: str = "Europe/Berlin", behind_ms: float = 0.0
) -> list[float]:
    """UTC ms at which an aligned group is served between two moments, on a clock that is `behind_ms` late now and then."""
    table: Timetable[str] = Timetable(zone)
    begin, stop = wall(start), wall(end)
    table.add("energy", Schedule(every_s, align=True), 0.0)
    table.take(0.0, begin)  # the poll at the start lies off the grid
    served = []
    while (due := table.next_due()) is not None and begin + due * 1000.0 < stop:
        late = behind_ms * (len(served) % 3)
        if table.take(due, begin + due * 1000.0 - late):
            served.append(round((begin + due * 1000.0) / 1000.0) * 1000.0)
    return served


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("2026-03-28T23:00:00", "2026-03-29T22:00:00", 23), ("2026-10-24T22:00:00", "2026-10-25T23:00:00", 25)],
)
@pytest.mark.parametrize("behind_ms", [0.0, 1.0, 120.0])
def test_quarter_hours_over_a_daylight_saving_night_come_exactly_once_each(start, end, hours, behind_ms) -> None:
    """The local day has 23 or 25 hours; every quarter of an hour of it is read once, none twice."""
    begin = wall(start)
    wanted = [begin + n * 900_000.0 for n in range(1, hours * 4)]
    slots = served_slots(start, end, 900.0, behind_ms=behind_ms)
    assert slots == wanted


def test_a_daily_reading_and_one_of_two_hours_come_once_a_local_time() -> None:
    nights = ("2026-10-23T22:30:00", "2026-10-27T00:00:00")
    assert [ms - wall("2026-10-24T22:00:00") for ms in served_slots(*nights, 86400.0)] == [
        0.0,
        25 * 3600e3,
        49 * 3600e3,
    ]
    autumn = served_slots("2026-10-24T22:00:01", "2026-10-25T06:00:00", 7200.0)
    assert [ms - wall("2026-10-25T00:00:00") for ms in autumn] == [0.0, 3 * 3600e3, 5 * 3600e3], (
        "02:00 came twice, ran once"
    )
    spring = served_slots("2026-03-28T23:00:01", "2026-03-29T05:00:00", 7200.0)
    assert [ms - wall("2026-03-29T01:00:00") for ms in spring] == [0.0, 1 * 3600e3, 3 * 3600e3], (
        "02:00 did not exist, ran at 03:00"
    )


@pytest.mark.parametrize("back_s", [0.2, 30.0, 600.0])
def test_a_clock_that_is_set_back_by_less_than_a_period_shows_no_slot_twice(back_s) -> None:
    table: Timetable[str] = Timetable("UTC")
    begin = wall("2026-11-22T10:00:00")
    table.add("energy", Schedule(900.0, align=True), 0.0)
    table.take(0.0, begin)
    assert table.take(900.0, begin + 900e3) == ["energy"]
    back = begin + 901e3 - back_s * 1000.0
    assert table.take(901.0, back) == []
    due = table.next_due()
    assert due is not None and abs(back + (due - 901.0) * 1000.0 - begin - 1800e3) < 500.0, "10:30, not 10:15 again"


def test_a_clock_that_is_set_forward_over_slots_serves_one_of_them() -> None:
    table: Timetable[str] = Timetable("UTC")
    begin = wall("2026-11-22T10:00:00")
    table.add("energy", Schedule(900.0, align=True), 0.0)
    table.take(0.0, begin)
    assert table.take(10.0, begin + 3600e3 * 5 + 10e3) == ["energy"]
    assert table.take(11.0, begin + 3600e3 * 5 + 11e3) == []


def test_a_reading_out_of_turn_takes_no_slot_away() -> None:
    table: Timetable[str] = Timetable("UTC")
    begin = wall("2026-11-22T10:00:00")
    table.add("energy", Schedule(900.0, align=True), 0.0)
    table.take(0.0, begin)
    table.at_once("energy", 420.0)  # the device is back at 10:07
    assert table.take(420.0, begin + 420e3) == ["energy"]
    due = table.next_due()
    assert due is not None and begin + due * 1000.0 == wall("2026-11-22T10:15:00")
    assert table.missed("energy") == 0
