"""The hours in which a job may begin."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.jobs.window import parse_window
from gateway.jobs.work import JobRefused

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "now", "wait"),
    [
        ("02:00-04:00", "2027-03-01T02:00:00+01:00", 0),
        ("02:00-04:00", "2027-03-01T03:59:59+01:00", 0),
        ("02:00-04:00", "2027-03-01T04:00:00+01:00", 22 * 3600),
        ("02:00-04:00", "2027-03-01T00:30:00+01:00", 5400),
        ("22:00-06:00", "2027-03-01T23:00:00+01:00", 0),
        ("22:00-06:00", "2027-03-01T05:59:59+01:00", 0),
        ("22:00-06:00", "2027-03-01T06:00:00+01:00", 16 * 3600),
        ("22:00-00:00", "2027-03-01T23:59:59+01:00", 0),
        # the night in which the clock goes forward has 23 hours, the one in which it goes back 25
        ("04:00-05:00", "2027-03-28T00:00:00+01:00", 3 * 3600),
        ("04:00-05:00", "2027-10-31T00:00:00+02:00", 5 * 3600),
    ],
)
def test_a_window_opens_by_the_clock_of_its_zone(text: str, now: str, wait: float) -> None:
    assert parse_window(text).wait_s(at(now), BERLIN) == wait
    assert parse_window("00:00-23:59").wait_s(at("2027-03-01T12:00:00+00:00"), UTC) == 0


@pytest.mark.parametrize(
    "text", ["", "2:00-4:00", "02:00", "02:00-24:00", "02:00-04:60", "02:00-02:00", 5, None, "٠2:00-04:00"]
)
def test_what_is_no_window_is_refused_by_name(text: object) -> None:
    with pytest.raises(JobRefused, match=r"doc\.window") as refused:
        parse_window(text)
    assert refused.value.code == 400
