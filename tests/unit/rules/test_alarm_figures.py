"""First-out, chattering, and the figures that say whether people can follow their alarms."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rules.alarms.flood import Figures
from rules.values import Instant
from tests.unit.rules.alarm_kit import DAY, HOUR, KEY, WALL, Desk, in_state, spec

MINUTE = 60_000


def trips() -> Desk:
    return Desk(*(spec(id_, group="trip") for id_ in "abc"), spec("other"))


def first_outs(desk: Desk) -> list[str]:
    return [one.spec.id for one in desk.told if one.first_out]


def test_only_the_first_alarm_of_a_group_is_first_out_until_the_whole_group_is_normal() -> None:
    desk = trips()
    desk.active("other@pump")
    desk.active("b@pump")
    desk.active("a@pump")
    desk.clear("b@pump")
    desk.active("b@pump")
    desk.ack("b@pump")
    assert first_outs(desk) == ["b"]
    assert {row["id"]: row["first_out"] for row in desk.book.rows(desk.now)} == {"a": False, "b": True, "other": False}
    desk.clear("b@pump")
    desk.active("c@pump")
    assert first_outs(desk) == ["b"], "a still stands"
    for key in ("a@pump", "c@pump"):
        desk.clear(key)
        desk.ack(key)
    desk.active("c@pump")
    assert first_outs(desk) == ["b", "c"]


def test_an_alarm_that_is_put_away_hides_no_first_out() -> None:
    desk = trips()
    desk.active("a@pump")
    desk.shelve(key="a@pump")
    desk.active("b@pump")
    assert first_outs(desk) == ["a", "b"]
    desk.unshelve("a@pump")
    assert first_outs(desk) == ["a", "b"]


def test_who_was_first_out_is_known_after_a_restart_and_nobody_else_becomes_it() -> None:
    desk = trips()
    desk.active("a@pump")
    desk.restart()
    desk.active("b@pump")
    assert first_outs(desk) == ["a"]
    assert [row["first_out"] for row in desk.book.rows(desk.now) if row["id"] == "a"] == [True]


def test_an_alarm_that_moves_to_another_group_stands_there() -> None:
    desk = trips()
    desk.active("a@pump")
    desk.book.reload(
        [spec("a", group="line"), *(spec(id_, group="trip") for id_ in "bc"), spec("d", group="line")], desk.now
    )
    desk.active("b@pump")
    desk.active("d@pump")
    assert first_outs(desk) == ["a", "b"]


def toggle(desk: Desk, times: int, every_ms: int) -> None:
    for _ in range(times):
        if desk.state() == "unack_active":
            desk.clear()
        else:
            desk.active()
        desk.pass_ms(every_ms)


def test_the_sixth_transition_in_60_s_and_those_after_it_are_chattering() -> None:
    desk = Desk()
    toggle(desk, 8, 11_000)
    assert [one.chattering for one in desk.told] == [False] * 5 + [True] * 3
    assert desk.book.stats(desk.now)["chattering"] == [KEY]


def test_five_in_60_s_are_not() -> None:
    desk = Desk()
    toggle(desk, 30, 12_000)
    assert not any(one.chattering for one in desk.told)


def test_chattering_lasts_until_there_was_nothing_for_60_s() -> None:
    desk = Desk()
    toggle(desk, 6, 1000)
    desk.pass_ms(58_999)
    assert desk.book.stats(desk.now)["chattering"] == [KEY]
    toggle(desk, 1, 0)
    assert desk.last.chattering, "59.999 s after the last"
    desk.pass_ms(60_000)
    assert desk.book.stats(desk.now)["chattering"] == []
    assert not desk.book.rows(desk.now)[0]["chattering"]
    toggle(desk, 1, 0)
    assert not desk.last.chattering


def flood_of(n: int, every_ms: int = 1000) -> Desk:
    desk = Desk(*(spec(f"a{i:02}") for i in range(n)))
    desk.book.advance(desk.now)
    for i in range(n):
        desk.active(f"a{i:02}@pump")
        desk.pass_ms(every_ms)
    return desk


def test_a_flood_begins_with_the_eleventh_alarm_in_ten_minutes_and_ends_below_five() -> None:
    desk = flood_of(10)
    assert desk.book.stats(desk.now)["flood"] is None
    desk = flood_of(12)
    stats = desk.book.stats(desk.now)
    assert stats["flood"] == {"begin": WALL + 10_000, "alarms": 12}
    assert stats["per_10_min"]["now"] == 12
    desk.pass_ms(594_999)  # the first seven are ten minutes old, five are left
    assert desk.book.stats(desk.now)["flood"] is not None
    desk.pass_ms(DAY - HOUR)
    stats = desk.book.stats(desk.now)
    assert stats["flood"] is None
    assert stats["floods"] == [{"begin": WALL + 10_000, "end": WALL + 607_000, "alarms": 12}]
    assert (stats["per_10_min"]["now"], stats["per_10_min"]["peak"]) == (0, 12)


def test_an_alarm_that_comes_back_to_people_counts_and_one_that_is_away_does_not() -> None:
    desk = Desk()
    desk.shelve()
    desk.active()
    assert desk.book.stats(desk.now)["alarms"] == 0
    desk.unshelve()
    assert desk.book.stats(desk.now)["alarms"] == 1


def test_top_talkers_are_named_with_their_share() -> None:
    desk = Desk(spec("much"), spec("some"))
    for key, n in (("much@pump", 3), ("some@pump", 1)):
        for _ in range(n):
            desk.active(key)
            desk.clear(key)
    assert desk.book.stats(desk.now)["top"] == [
        {"key": "much@pump", "count": 3, "share": 75.0},
        {"key": "some@pump", "count": 1, "share": 25.0},
    ]


def test_standing_and_stale_alarms_are_told_also_after_a_reboot() -> None:
    desk = Desk(spec("old"), spec("new"), spec("away"))
    desk.active("old@pump")
    desk.ack("old@pump")
    desk.active("away@pump")
    desk.shelve(7 * 86400, "away@pump")
    desk.pass_ms(DAY)
    desk.active("new@pump")
    assert desk.book.stats(desk.now)["stale"] == []
    desk.restart(1, boot_at=3)
    stats = desk.book.stats(desk.now)
    assert (stats["standing"], stats["stale"], stats["unacked"]) == (2, ["old@pump"], 1)
    assert stats["states"] == {"unack_active": 1, "ack_active": 1, "shelved": 1}


def test_the_average_is_over_the_time_that_was_watched_at_most_a_day() -> None:
    desk = in_state("normal")
    desk.book.advance(desk.now)
    for _ in range(6):
        desk.active()
        desk.clear()
    desk.pass_ms(30 * MINUTE)
    stats = desk.book.stats(desk.now)
    assert (stats["per_10_min"]["average"], stats["since"]) == (2.0, WALL)
    desk.pass_ms(2 * DAY)
    stats = desk.book.stats(desk.now)
    assert (stats["alarms"], stats["top"], stats["per_10_min"]) == (0, [], {"now": 0, "peak": 0, "average": 0.0})
    assert desk.wall - DAY <= stats["since"] <= desk.wall - DAY + 10 * MINUTE


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 8)), max_size=60))
def test_figures_equal_a_plain_count(steps: list[tuple[int, int]]) -> None:
    figures, at, times, peak, on = Figures(), 5000, [], 0, False
    figures.move(Instant(at, WALL))
    for seconds, n in steps:
        for _ in range(seconds):  # each second by itself, to see a flood end at its second
            at += 1000
            on = on and len([one for one in times if one > at - 600_000]) >= 5
        for i in range(n):
            figures.announced(f"a{i}", Instant(at, WALL + at))
            times.append(at)
            recent = len([one for one in times if one > at - 600_000])
            peak = max(peak, recent)
            on = on or recent > 10
        view = figures.view(Instant(at, WALL + at))
        assert view["per_10_min"]["now"] == recent
        assert view["per_10_min"]["peak"] == peak
        assert (view["flood"] is not None) == on
    counts = Counter[str]()
    for _, n in steps:
        counts.update(f"a{i}" for i in range(n))
    assert {one["key"]: one["count"] for one in figures.view(Instant(at, WALL + at))["top"]} == counts
