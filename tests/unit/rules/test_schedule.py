"""When rules that go by the clock run: periods, multiples on the site's clock, cron, and what was missed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rulebook import Every, ExpressionError
from gateway.scheduler import next_multiple
from rules.schedule import Schedule

HOUR = 3_600_000
DAY = 24 * HOUR
BERLIN = "Europe/Berlin"


def ms(text, zone="UTC"):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


NOON = ms("2026-06-01 12:00")
NIGHTLY = Every(cron="30 2 * * *", zone=BERLIN)
CATCHING_UP = Every(cron="30 2 * * *", zone=BERLIN, missed="once")


def test_a_plain_period_begins_now_and_then_keeps_its_grid():
    schedule = Schedule(Every(period_s=10))
    assert schedule.next(NOON, None) == NOON + 10_000
    assert schedule.next(NOON + 10_000, NOON + 10_000) == NOON + 20_000
    assert schedule.next(NOON + 13_000, NOON + 10_000) == NOON + 20_000
    assert schedule.next(NOON + 47_000, NOON + 10_000) == NOON + 50_000


def test_what_was_missed_is_left_out():
    assert Schedule(NIGHTLY).next(NOON, NOON - 5 * DAY) == ms("2026-06-02 02:30", BERLIN)
    assert Schedule(Every(period_s=3600, align=True)).next(NOON + 1, NOON - DAY) == NOON + HOUR


@pytest.mark.parametrize(
    "every", [CATCHING_UP, Every(period_s=60, missed="once"), Every(period_s=60, align=True, missed="once")]
)
def test_what_was_missed_is_made_up_for_with_one_run(every):
    schedule = Schedule(every)
    now = schedule.next(NOON - 5 * DAY, None) + 3 * DAY + 1
    assert schedule.next(now, now - 3 * DAY) == now
    following = schedule.next(now, now)
    assert following > now
    assert schedule.next(following, following) > following


def test_nothing_is_made_up_for_when_nothing_was_missed():
    last = ms("2026-06-01 02:30", BERLIN)
    assert Schedule(CATCHING_UP).next(NOON, last) == ms("2026-06-02 02:30", BERLIN)
    assert Schedule(CATCHING_UP).next(NOON, None) == ms("2026-06-02 02:30", BERLIN)


def test_a_run_that_is_due_right_now_was_missed_by_nobody():
    due = ms("2026-06-02 02:30", BERLIN)
    assert Schedule(CATCHING_UP).next(due, due - DAY) == due
    assert Schedule(CATCHING_UP).next(due - 1, due - DAY) == due


@pytest.mark.parametrize("every", [NIGHTLY, CATCHING_UP, Every(period_s=24 * 3600, align=True, zone=BERLIN)])
def test_a_clock_set_back_a_little_runs_nothing_twice(every):
    schedule = Schedule(every)
    last = schedule.next(NOON, None)
    following = schedule.next(last, last)
    assert schedule.next(last - HOUR, last) == following


@pytest.mark.parametrize("every", [NIGHTLY, CATCHING_UP, Every(period_s=24 * 3600, align=True, zone=BERLIN)])
def test_a_clock_set_back_by_more_than_a_period_was_wrong_before(every):
    schedule = Schedule(every)
    assert schedule.next(NOON, NOON + 400 * DAY) == schedule.next(NOON, None)


def test_a_plain_period_goes_on_when_its_clock_was_set_back():
    assert Schedule(Every(period_s=60)).next(NOON, NOON + 400 * DAY) == NOON + 60_000


@pytest.mark.parametrize("every", [NIGHTLY, CATCHING_UP])
@pytest.mark.parametrize("night", ["2026-03-29", "2026-10-25"])
def test_a_nightly_run_comes_once_in_each_night_of_daylight_saving(every, night):
    schedule, start = Schedule(every), ms(f"{night} 00:00", BERLIN)
    found, last = [], None
    for wall in range(start, start + 8 * HOUR, 60_000):
        if last is None:
            last = wall
            due = schedule.next(wall, last)
        while due <= wall:
            found.append(due)
            due = schedule.next(wall, due)
    wanted = "2026-03-29 03:00" if "03" in night else f"{night} 02:30"
    assert found == [ms(wanted, BERLIN)]


def test_multiples_are_those_of_the_sites_clock():
    shift = Schedule(Every(period_s=8 * 3600, align=True, zone=BERLIN))
    assert shift.next(ms("2026-06-01 05:00", BERLIN), None) == ms("2026-06-01 08:00", BERLIN)
    india = Schedule(Every(period_s=3600, align=True, zone="Asia/Kolkata"))
    assert india.next(ms("2026-06-01 05:00", "Asia/Kolkata"), None) == ms("2026-06-01 06:00", "Asia/Kolkata")


def test_a_multiple_that_is_skipped_runs_at_the_end_of_the_gap():
    period = 135 * 60  # 02:15 is a multiple on this day
    assert ms("2026-03-29 02:15") % (period * 1000) == 0
    schedule = Schedule(Every(period_s=period, align=True, zone=BERLIN))
    assert schedule.next(ms("2026-03-29 01:30", BERLIN), None) == ms("2026-03-29 03:00", BERLIN)


@given(
    st.sampled_from([0.25, 1, 10, 60, 900, 1800, 3600, 7200, 6 * 3600, 86_400]),
    st.sampled_from(["UTC", BERLIN, "Asia/Kolkata", "America/New_York", "Australia/Adelaide"]),
    st.integers(ms("2026-01-01 00:00") // 1000, ms("2027-12-31 00:00") // 1000)
    | st.integers(ms("2026-03-28 20:00") // 1000, ms("2026-03-29 05:00") // 1000)
    | st.integers(ms("2026-10-24 20:00") // 1000, ms("2026-10-25 05:00") // 1000),
)
def test_aligned_runs_are_where_aligned_groups_are_polled(period, zone, second):
    every = Every(period_s=period, align=True, zone=zone)
    polled = next_multiple(second * 1000, period, ZoneInfo(zone))
    assert Schedule(every).next(second * 1000, None) == polled


def test_an_unknown_zone_or_a_bad_line_is_refused():
    with pytest.raises(KeyError):
        Schedule(Every(period_s=60, align=True, zone="Mars/Olympus"))
    with pytest.raises(ExpressionError):
        Schedule(Every(cron="61 * * * *"))
