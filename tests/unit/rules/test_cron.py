"""Cron lines: what they mean, over daylight saving and month ends, against a walk through every minute."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rulebook import ExpressionError
from rules.cron import Cron

MINUTE = 60_000
BERLIN = "Europe/Berlin"


def ms(text, zone="UTC", fold=0):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp() * 1000)


def runs(line, zone, start, end):
    cron, found, wall = Cron(line, zone), [], start
    while (wall := cron.next_after(wall)) < end:
        found.append(wall)
    return found


def utc(wall):
    return datetime.fromtimestamp(wall / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def listed(line, zone, start, end):
    return [utc(run) for run in runs(line, zone, ms(start), ms(end))]


def test_a_skipped_time_runs_once_right_after_the_gap():
    assert listed("30 2 * * *", BERLIN, "2026-03-28 00:00", "2026-03-31 00:00") == [
        "2026-03-28 01:30",
        "2026-03-29 01:00",  # 03:00 local
        "2026-03-30 00:30",
    ]


def test_a_doubled_time_runs_once():
    assert listed("30 2 * * *", BERLIN, "2026-10-24 00:00", "2026-10-27 00:00") == [
        "2026-10-24 00:30",
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


@pytest.mark.parametrize("start", ["2026-10-25 00:29", "2026-10-25 00:30", "2026-10-25 01:29", "2026-10-25 01:31"])
def test_a_doubled_time_runs_once_wherever_one_asks_from(start):
    after = [run for run in ("2026-10-25 00:30", "2026-10-26 01:30") if run > start]
    assert utc(Cron("30 2 * * *", BERLIN).next_after(ms(start))) == after[0]


def test_several_times_within_a_gap_run_once_together():
    found = listed("0,15,30,45 2,3 * * *", BERLIN, "2026-03-29 00:00", "2026-03-29 02:00")
    assert found == ["2026-03-29 01:00", "2026-03-29 01:15", "2026-03-29 01:30", "2026-03-29 01:45"]


def test_a_line_for_every_hour_has_neither_a_hole_nor_an_extra_run():
    for start, end in (("2026-03-28 12:00", "2026-03-29 12:00"), ("2026-10-24 12:00", "2026-10-25 12:00")):
        found = runs("*/20 * * * *", BERLIN, ms(start), ms(end))
        assert [later - run for run, later in itertools.pairwise(found)] == [20 * MINUTE] * 70


def test_a_midnight_that_is_skipped_runs_after_the_gap():
    assert listed("@daily", "Asia/Beirut", "2026-03-27 23:00", "2026-03-29 12:00") == ["2026-03-28 22:00"]


def test_a_day_that_a_zone_left_out_runs_when_it_is_over():
    found = listed("0 12 30 12 *", "Pacific/Apia", "2011-12-01 00:00", "2012-01-05 00:00")
    assert found == ["2011-12-30 10:00"]  # 31 December 00:00 local: the 30th never was


@pytest.mark.parametrize(
    ("line", "start", "wanted"),
    [
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00"),
        ("0 0 29 feb */6", "2096-03-01 00:00", "2116-02-29 00:00"),  # both: on a Saturday or Sunday
        ("0 0 31 * *", "2026-03-31 00:00", "2026-05-31 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:58", "2026-12-31 23:59"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
        ("0 0 30 2,3 *", "2026-01-01 00:00", "2026-03-30 00:00"),
        ("0 8 * * 7", "2026-11-26 00:00", "2026-11-29 08:00"),
        ("0 8 * * SUN", "2026-11-26 00:00", "2026-11-29 08:00"),
        ("0 8 * * sat-sun", "2026-11-28 09:00", "2026-11-29 08:00"),
        ("0 8 1 * mon", "2026-11-26 00:00", "2026-11-30 08:00"),  # either will do
        ("0 8 1 * mon", "2026-11-30 08:00", "2026-12-01 08:00"),
        ("0 8 */2 * mon", "2026-11-26 00:00", "2026-12-07 08:00"),  # a field with * : both
        ("0 0 * jan-mar/2 *", "2026-01-31 00:00", "2026-03-01 00:00"),
        ("10-50/20,5 6 * * *", "2026-01-01 06:10", "2026-01-01 06:30"),
        ("@hourly", "2026-01-01 06:00", "2026-01-01 07:00"),
        ("@yearly", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("  0   0\t1 * *  ", "2026-01-01 00:00", "2026-02-01 00:00"),
    ],
)
def test_a_line_means(line, start, wanted):
    assert utc(Cron(line).next_after(ms(start))) == wanted


def test_a_moment_between_two_minutes_is_followed_by_the_next_minute():
    assert Cron("* * * * *").next_after(ms("2026-01-01 00:00") + 1) == ms("2026-01-01 00:01")
    assert Cron("30 2 * * *").next_after(ms("2026-01-01 02:30") - 1) == ms("2026-01-01 02:30")


@pytest.mark.parametrize(
    ("line", "offset", "text", "hint"),
    [
        ("", 0, "five fields, not 0", "minute hour day month weekday"),
        ("30 2 * *", 8, "five fields, not 4", "30 2 * * mon-fri"),
        ("0 30 2 * * *", 11, "five fields, not 6", "minute hour"),
        ("60 2 * * *", 0, "60 is no minute: 0 to 59", ""),
        ("30 24 * * *", 3, "24 is no hour: 0 to 23", ""),
        ("30 2 0 * *", 5, "0 is no day: 1 to 31", ""),
        ("30 2 * 13 *", 7, "13 is no month: 1 to 12", ""),
        ("30 2 * * 8", 9, "8 is no weekday: 0 to 7", ""),
        ("30 2 * * monday", 9, "'monday' is no weekday", "sun to sat"),
        ("30 2 L * *", 5, "'L' is no day", "1 to 31"),
        ("30 2 ? * *", 5, "'?' is no day", "1 to 31"),
        ("5,,7 * * * *", 2, "'' is no minute", "0 to 59"),
        ("-5 * * * *", 0, "'' is no minute", "0 to 59"),
        ("1, * * * *", 2, "'' is no minute", "0 to 59"),
        ("*/0 * * * *", 2, "'0' is no step", "*/2"),
        ("*/ * * * *", 2, "'' is no step", "*/2"),
        ("*/90 * * * *", 2, "a step of 90", "0"),
        ("5/15 * * * *", 0, "a step follows a range", "5-59/15"),
        ("50-10 * * * *", 0, "runs backwards", "50-59,0-10"),
        ("0 0 * * fri-mon", 8, "runs backwards", "fri-6,0-mon"),
        ("0 0 31 2 *", 4, "no such day", "28-31"),
        ("0 0 31 feb,apr,jun *", 4, "no such day", "28-31"),
        ("0 0 30 2 */2", 4, "no such day", "28-31"),
        ("@reboot", 0, "'@reboot' is not known", "@daily"),
        ("@daily 5", 7, "stands alone", "@daily"),
        ("٣ * * * *", 0, "is no minute", "0 to 59"),
        ("1" * 5000 + " * * * *", 200, "at most 200 characters", ""),
        ("999999999999999999 * * * *", 0, "is no minute: 0 to 59", ""),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_at_its_place_with_a_hint(line, offset, text, hint):
    with pytest.raises(ExpressionError) as refused:
        Cron(line)
    assert text in str(refused.value)
    assert refused.value.offset == offset
    assert hint in refused.value.hint


@pytest.mark.parametrize("hint", ["50-59,0-10 * * * *", "5-59/15 * * * *", "0 0 * * fri-6,0-mon", "0 0 28-31 2 *"])
def test_the_hints_are_lines_themselves(hint):
    Cron(hint)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "europe\0berlin"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(ExpressionError, match="no time zone"):
        Cron("@daily", zone)


def test_where_the_calendar_ends_there_is_no_next_run():
    for line in ("* * * * *", "0 0 1 1 *"):
        with pytest.raises(OverflowError):
            Cron(line).next_after(ms("9999-12-31 23:59"))


@given(st.text(alphabet="0123456789*/-, @abcdefijlmnoprtuwy\t", max_size=30))
def test_any_text_is_a_line_or_refused(text):
    try:
        cron = Cron(text)
    except ExpressionError as refused:
        assert 0 <= refused.offset <= len(text)
    else:
        assert cron.next_after(0) > 0


def field(low, high, star="*"):
    """A field's text and the numbers it means."""
    every = set(range(low, high + 1))
    number = st.integers(low, high)
    some = st.lists(number, min_size=1, max_size=4).map(lambda each: (",".join(map(str, each)), set(each)))
    pair = st.tuples(number, number).map(sorted).map(lambda b: (f"{b[0]}-{b[1]}", set(range(b[0], b[1] + 1))))
    step = st.integers(2, 5).map(lambda n: (f"{star}/{n}", set(range(low, high + 1, n))))
    return st.one_of(st.just((star, every)), some, pair, step)


LINES = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
NIGHTS = [
    (BERLIN, "2026-03-29 01:00"),
    (BERLIN, "2026-10-25 01:00"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),  # half an hour
    ("Australia/Lord_Howe", "2026-10-03 15:30"),
    ("America/St_Johns", "2010-11-07 02:31"),  # from one minute past midnight into the day before
    ("America/Havana", "2026-11-01 05:00"),
    ("Asia/Beirut", "2026-03-28 22:00"),
    ("Asia/Kathmandu", "2026-03-28 22:00"),
    ("UTC", "2028-02-28 23:00"),
]


def walk(fields, zone, start, minutes):
    """All runs of so many minutes: each minute is looked at, local times that were skipped included."""
    (m, h, (day_text, days), months, (weekday_text, weekdays)) = fields
    either = not day_text.startswith("*") and not weekday_text.startswith("*")
    every_hour = len(h[1]) == 24

    def matches(local):
        by_day, by_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        day = (by_day or by_weekday) if either else (by_day and by_weekday)
        return day and local.minute in m[1] and local.hour in h[1] and local.month in months[1]

    seen, found, before = set(), [], None
    for n in range(-26 * 60, minutes):
        wall = start + n * MINUTE
        local = datetime.fromtimestamp(wall / 1000, ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        shown = [local]
        if before is not None and not every_hour:
            shown += [before + timedelta(minutes=k) for k in range(1, (local - before) // timedelta(minutes=1))]
        if any(matches(each) and (every_hour or each not in seen) for each in shown) and n >= 0:
            found.append(wall)
        seen.update(shown)
        before = local
    return found


@settings(max_examples=60)
@given(LINES, st.sampled_from(NIGHTS), st.integers(0, 20 * 60))
def test_the_runs_are_those_of_a_walk_through_every_minute(fields, night, lead):
    zone, moment = night
    start, minutes = ms(moment) - lead * MINUTE, 30 * 60
    line = " ".join(text for text, _ in fields)
    try:
        found = runs(line, zone, start - 1, start + minutes * MINUTE)
    except ExpressionError:
        assert walk(fields, zone, start, minutes) == []
    else:
        assert found == walk(fields, zone, start, minutes)
