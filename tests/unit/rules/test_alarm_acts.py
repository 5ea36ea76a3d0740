"""What people do to alarms, and what each transition says."""

from __future__ import annotations

import math

import pytest

from rules.alarms.refusal import AlarmRefused
from rules.values import Input
from tests.unit.rules.alarm_kit import DAY, HOUR, KEY, WALL, Desk, in_state, spec


def refused(code: int):
    return pytest.raises(AlarmRefused, check=lambda error: error.code == code)


def test_a_transition_carries_both_times_the_value_and_what_the_condition_looked_at() -> None:
    desk = Desk()
    seen = (Input("pump.pressure", 9.7, "good", WALL - 10),)
    desk.active(t_cond=WALL - 2000, t_active=WALL - 1, value=9.7, text="Pressure at 9.7 bar", inputs=seen)
    first = desk.last
    assert (first.t_cond, first.t_active, first.value, first.text) == (
        WALL - 2000,
        WALL - 1,
        9.7,
        "Pressure at 9.7 bar",
    )
    assert (first.inputs, first.n, first.when) == (seen, 1, desk.now)
    desk.pass_ms(500)
    desk.ack(comment="on my way")
    assert (desk.last.who, desk.last.comment, desk.last.t_cond, desk.last.inputs) == (
        "anna",
        "on my way",
        WALL - 2000,
        (),
    )
    desk.clear(value=9.1)
    assert (desk.last.state, desk.last.t_active, desk.last.value, desk.last.n) == ("normal", WALL - 1, 9.1, 3)
    assert desk.last.who == "", "nobody cleared it"
    desk.shelve()
    assert (desk.last.t_cond, desk.last.value, desk.last.text) == (0, None, "Pressure above 9.5 bar")


def test_times_that_are_not_given_are_now() -> None:
    desk = Desk()
    desk.active()
    assert (desk.last.t_cond, desk.last.t_active) == (WALL, WALL)


def test_saying_again_what_is_known_tells_nothing() -> None:
    desk = Desk()
    desk.clear()
    desk.active()
    desk.active(value=3)
    desk.suppress()
    desk.suppress()
    desk.unsuppress("design")
    assert [one.event for one in desk.told] == ["active", "suppress"]


def test_an_alarm_that_returned_to_normal_unseen_waits_for_its_ack_and_may_come_again() -> None:
    desk = in_state("unack_rtn")
    desk.pass_ms(10)
    desk.active(value=11)
    assert desk.events[-1] == ("active", "unack_rtn", "unack_active")
    assert desk.last.t_active == WALL + 10
    desk.clear()
    desk.ack()
    assert desk.events[-1] == ("ack", "unack_rtn", "normal")
    assert not desk.kept


def test_an_acknowledged_alarm_that_comes_again_must_be_acknowledged_again() -> None:
    desk = in_state("ack_latched", latched=True)
    desk.active()
    assert desk.state() == "unack_active"
    assert desk.book.rows(desk.now)[0]["who"] == ""


def test_reset_is_not_ack_and_is_refused_while_the_condition_is_active() -> None:
    desk = in_state("ack_active", latched=True)
    with refused(409):
        desk.reset()
    desk.clear()
    with refused(409):
        desk.ack()
    desk.reset()
    assert desk.events[-1] == ("reset", "ack_latched", "normal")


def test_ack_all_takes_what_waits_and_leaves_the_rest() -> None:
    desk = Desk(*(spec(f"a{i}") for i in range(5)))
    for i in range(4):
        desk.active(f"a{i}@pump")
    desk.clear("a1@pump")
    desk.ack("a2@pump")
    desk.shelve(key="a3@pump")
    assert desk.book.ack_all("bert", "all seen", desk.now) == ["a0@pump", "a1@pump"]
    assert {one.who for one in desk.told[-2:]} == {"bert"}
    assert desk.book.ack_all("bert", "", desk.now) == []
    desk.clear("a2@pump")
    desk.active("a2@pump")
    desk.active("a4@pump")
    assert desk.book.ack_all("bert", "", desk.now, ["a4@pump"]) == ["a4@pump"]
    with refused(400):
        desk.book.ack_all("", "", desk.now)
    with refused(404):
        desk.book.ack_all("bert", "", desk.now, ["a4@pump", "none@pump"])


@pytest.mark.parametrize("who", ["", "x" * 65, "an\nna", "an\x1b[31mna"])
def test_who_acts_is_named_in_at_most_64_characters(who: str) -> None:
    desk = in_state("unack_active")
    with refused(400):
        desk.ack(who=who)
    assert desk.state() == "unack_active"


def test_a_comment_has_at_most_500_characters() -> None:
    desk = in_state("unack_active")
    with refused(400):
        desk.ack(comment="x" * 501)
    desk.ack(who="x" * 64, comment="x" * 500)
    assert desk.state() == "ack_active"


@pytest.mark.parametrize("seconds", [0, -1, 7 * 86400 + 0.1, math.inf, math.nan])
def test_an_alarm_is_shelved_for_more_than_nothing_and_at_most_seven_days(seconds: float) -> None:
    desk = Desk()
    with refused(400):
        desk.shelve(seconds)
    desk.shelve(7 * 86400)
    assert desk.last.until == WALL + 7 * DAY


def test_a_shelving_ends_by_itself_at_its_own_time() -> None:
    desk = in_state("shelved")
    desk.pass_ms(HOUR - 1)
    assert desk.state() == "shelved"
    assert desk.book.due == desk.at + 1
    desk.pass_ms(5000)
    last = desk.last
    assert (last.event, last.state, last.who, last.until) == ("unshelve", "normal", "", 0)
    assert last.when == (1_000_000 + HOUR, WALL + HOUR), "not when somebody looked"
    assert desk.book.due is None


def test_a_shelving_whose_time_is_up_ends_before_what_comes_later_counts() -> None:
    desk = in_state("shelved")
    desk.at += HOUR + 5
    desk.wall += HOUR + 5
    desk.active()
    assert desk.events[-2:] == [("unshelve", "shelved", "normal"), ("active", "normal", "unack_active")]


def test_shelving_again_sets_another_end_and_of_several_the_nearest_is_due() -> None:
    desk = Desk(spec("a"), spec("b"))
    desk.shelve(100, "a@pump")
    desk.shelve(50, "b@pump")
    assert desk.book.due == desk.at + 50_000
    desk.shelve(200, "b@pump")
    assert desk.book.due == desk.at + 100_000
    assert desk.last.until == WALL + 200_000
    desk.unshelve("a@pump")
    assert desk.book.due == desk.at + 200_000
    desk.pass_ms(10**6)
    assert desk.events[-1] == ("unshelve", "shelved", "normal")
    assert desk.last.spec.id == "b"


def test_an_urgent_alarm_may_be_shelved_too() -> None:
    desk = Desk(spec(priority="urgent"))
    desk.active()
    desk.shelve()
    assert desk.state() == "shelved"


def test_a_clock_that_is_set_neither_lengthens_nor_shortens_a_shelving() -> None:
    desk = in_state("shelved")
    desk.step_clock(-DAY)
    desk.pass_ms(HOUR // 2)
    row = desk.book.rows(desk.now)[0]
    assert (row["left"], row["until"]) == (HOUR // 2, desk.wall + HOUR // 2)
    desk.step_clock(3 * DAY)
    assert desk.state() == "shelved"
    desk.pass_ms(HOUR // 2)
    assert desk.state() == "normal"


def test_an_alarm_that_comes_back_active_is_announced_with_its_own_times() -> None:
    desk = in_state("shelved")
    desk.pass_ms(1000)
    seen = (Input("pump.pressure", 10.0, "good", WALL),)
    desk.active(t_cond=WALL + 500, value=10.0, text="Pressure at 10 bar", inputs=seen)
    desk.pass_ms(HOUR)
    last = desk.last
    assert (last.event, last.state, last.t_cond, last.t_active) == ("unshelve", "unack_active", WALL + 500, WALL + 1000)
    assert (last.value, last.text, last.inputs) == (10.0, "Pressure at 10 bar", seen)


def test_suppression_ends_with_its_last_reason() -> None:
    desk = in_state("ack_active")
    desk.suppress("design")
    desk.suppress("maintenance")
    assert desk.book.rows(desk.now)[0]["reasons"] == ["design", "maintenance"]
    desk.unsuppress("design")
    assert desk.state() == "suppressed"
    assert desk.last.comment == "design"
    desk.unsuppress("maintenance")
    assert desk.events[-1] == ("unsuppress", "suppressed", "unack_active")
    assert desk.last.comment == "maintenance"


def test_out_of_service_has_no_end() -> None:
    desk = in_state("out_of_service")
    desk.pass_ms(1000 * DAY)
    assert desk.state() == "out_of_service"
    assert desk.book.rows(desk.now)[0]["who"] == "anna"


def test_an_input_that_goes_bad_marks_an_active_alarm_once_each_way() -> None:
    desk = in_state("unack_active")
    desk.bad()
    desk.book.input_quality(KEY, False, desk.now, "bad/stale")
    desk.ack()
    assert [(one.event, one.state, one.quality) for one in desk.told[1:]] == [
        ("bad", "unack_active", "bad/comm"),
        ("ack", "ack_active", "bad/comm"),
    ]
    desk.good()
    desk.good()
    desk.clear()
    assert [(one.event, one.state, one.quality) for one in desk.told[3:]] == [
        ("good", "ack_active", ""),
        ("clear", "normal", ""),
    ]


def test_an_alarm_that_ends_while_its_input_is_bad_says_so_and_is_not_good_afterwards() -> None:
    desk = in_state("unack_active")
    desk.bad()
    desk.clear()
    assert (desk.last.event, desk.last.quality) == ("clear", "bad/comm")
    desk.good()
    desk.active(quality="good")
    assert [one.event for one in desk.told] == ["active", "bad", "clear", "active"]
    assert desk.last.quality == ""


def test_an_input_that_went_bad_while_the_alarm_was_away_is_told_when_it_comes_back() -> None:
    desk = in_state("unack_active")
    desk.shelve()
    desk.bad()
    assert desk.last.event == "shelve"
    desk.unshelve()
    assert (desk.last.state, desk.last.quality) == ("unack_active", "bad/comm")
    desk.good()
    assert desk.last.event == "good"


def test_an_alarm_that_is_active_because_its_input_is_bad_says_so() -> None:
    desk = Desk()
    desk.active(quality="bad/stale")
    assert (desk.last.state, desk.last.quality) == ("unack_active", "bad/stale")
    desk.good()
    assert desk.last.event == "active"


def test_people_may_name_an_alarm_by_its_id_when_only_one_entity_has_it() -> None:
    desk = Desk(spec("hi", "pump"), spec("lo", "pump"), spec("lo", "tank"))
    assert desk.book.resolve("hi") == "hi@pump"
    assert desk.book.resolve("lo@tank") == "lo@tank"
    with refused(400):
        desk.book.resolve("lo")
    with refused(404):
        desk.book.resolve("none")


def test_the_list_has_first_what_waits_then_by_priority_then_the_newest() -> None:
    desk = Desk(
        *(spec(id_, priority=priority) for id_, priority in zip("abcde", ["low", "urgent", "high", "high", "low"]))
    )
    for id_ in "abcd":
        desk.active(f"{id_}@pump")
        desk.pass_ms(10)
    desk.ack("b@pump")
    rows = desk.book.rows(desk.now)
    assert [row["id"] for row in rows] == ["d", "c", "a", "b"]
    assert [row["key"] for row in desk.book.rows(desk.now, every=True)][-1] == "e@pump"
    assert (rows[3]["who"], rows[3]["state"], rows[3]["condition"]) == ("anna", "ack_active", True)
