"""FL-48: alarms over a restart in each state, over a reload, and rows that are of no use."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.alarms.machine import STATES
from tests.unit.rules.alarm_kit import DAY, HOUR, KEY, WALL, Desk, in_state, spec


@pytest.mark.parametrize("boot_at", [None, 5000])
@pytest.mark.parametrize("state", STATES)
def test_an_alarm_is_after_a_restart_what_it_was(state: str, boot_at: int | None) -> None:
    desk = in_state(state)
    before = desk.book.rows(desk.now)
    told = len(desk.told)
    assert desk.restart(boot_at=boot_at) == []
    assert desk.state() == state
    assert desk.book.rows(desk.now) == before
    assert len(desk.told) == told


def test_value_text_names_and_marks_come_back() -> None:
    desk = Desk(spec(group="trip"))
    desk.active(value=b"\x00\xff", text="Pressure at 9.7 bar", t_cond=WALL - 5)
    desk.bad()
    desk.ack(comment="seen")
    before = desk.book.rows(desk.now)
    desk.restart()
    assert desk.book.rows(desk.now) == before
    assert before[0]["first_out"]
    desk.good()
    assert (desk.last.event, desk.last.value, desk.last.n) == ("good", b"\x00\xff", 4)


def test_what_changed_underneath_is_kept_too() -> None:
    desk = in_state("shelved")
    desk.active(value=7, t_cond=WALL - 3)
    desk.suppress("design")
    desk.suppress("maintenance")
    desk.unsuppress("design")
    desk.restart()
    desk.unshelve()
    assert desk.state() == "suppressed"
    desk.unsuppress("maintenance")
    assert (desk.last.state, desk.last.value, desk.last.t_cond) == ("unack_active", 7, WALL - 3)


def test_a_shelving_goes_on_over_a_restart_and_a_reboot() -> None:
    desk = in_state("shelved")
    desk.pass_ms(HOUR // 4)
    desk.restart(HOUR // 4)
    assert desk.book.due == desk.at + HOUR // 2
    desk.restart(HOUR // 4, boot_at=7)
    assert desk.book.due == 7 + HOUR // 4
    desk.pass_ms(HOUR // 4 - 1)
    assert desk.state() == "shelved"
    desk.pass_ms(1)
    assert desk.state() == "normal"


def test_a_shelving_that_ended_while_nothing_ran_ends_at_the_start() -> None:
    desk = in_state("shelved")
    desk.active()
    desk.restart(3 * DAY, boot_at=100)
    last = desk.last
    assert (last.event, last.state, last.when) == ("unshelve", "unack_active", desk.now)


def test_a_clock_that_was_set_back_before_a_restart_does_not_lengthen_a_shelving() -> None:
    desk = in_state("shelved")
    desk.pass_ms(HOUR // 2)
    desk.step_clock(-DAY)
    desk.restart()
    assert desk.book.rows(desk.now)[0]["left"] == HOUR // 2


def test_a_clock_that_was_set_back_over_a_reboot_gives_a_shelving_at_most_its_length() -> None:
    desk = in_state("shelved")
    desk.pass_ms(HOUR // 2)
    desk.step_clock(-DAY)
    desk.restart(boot_at=DAY * 100)  # the shift is by the boot clock as if nothing had happened to the wall clock
    assert desk.book.rows(desk.now)[0]["left"] <= HOUR


@given(st.lists(st.tuples(st.sampled_from(["pass", "step", "restart"]), st.integers(0, 2 * HOUR)), max_size=12))
def test_no_setting_of_the_clock_and_no_restart_makes_a_shelving_longer(tale: list[tuple[str, int]]) -> None:
    desk = in_state("shelved")
    real = 0
    for what, ms in tale:
        if what == "pass":
            desk.pass_ms(ms)
            real += ms
        elif what == "step":
            desk.step_clock(ms - HOUR)
        else:
            desk.restart(ms)
            real += ms
        if desk.state() == "shelved":
            assert desk.book.due is not None
            assert desk.book.due - desk.at <= HOUR - real


DAMAGED: list[Any] = [
    None,
    17,
    [],
    "row",
    {},
    {"state": "unack_active", "condition": True},
    {"v": 1, "state": "glowing"},
    {"v": 1, "state": "unack_active"},
    {"v": 1, "state": "normal", "condition": True},
    {"v": 1, "state": "unack_rtn", "reasons": ["design"]},
    {"v": 1, "state": "unack_rtn", "latch": True},
    {"v": 1, "state": "shelved"},
    {"v": 1, "state": "shelved", "until": WALL, "shelved_ms": 8 * DAY},
    {"v": 1, "state": "shelved", "until": "soon", "shelved_ms": 1},
    {"v": 1, "state": "suppressed"},
    {"v": 1, "state": "out_of_service", "until": WALL},
    {"v": 1, "state": "unack_rtn", "value": [1]},
    {"v": 1, "state": "unack_rtn", "n": 1.5},
    {"v": 1, "state": "unack_rtn", "who": "x" * 65},
    {"v": 1, "state": "unack_rtn", "colour": "red"},
]


@pytest.mark.parametrize("row", DAMAGED)
def test_a_damaged_row_is_ignored_and_that_is_said(row: Any) -> None:
    desk = Desk()
    assert desk.book.restore(KEY, row, desk.now, 0)
    assert (desk.state(), desk.told, desk.book.due) == ("normal", [], None)
    desk.active()
    assert (desk.state(), desk.last.n) == ("unack_active", 1)


def test_a_row_of_another_version_or_of_no_alarm_is_ignored_and_that_is_said() -> None:
    desk = in_state("ack_active")
    row = msgpack.unpackb(desk.kept[KEY])
    fresh = Desk()
    assert "unknown version 2" in fresh.book.restore(KEY, {**row, "v": 2}, fresh.now, 0)
    assert "no such alarm" in fresh.book.restore("gone@pump", row, fresh.now, 0)
    assert fresh.book.restore(KEY, row, fresh.now, 0) == ""
    assert fresh.state() == "ack_active"


_JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
                  st.lists(st.text(max_size=3), max_size=2))  # fmt: skip


@given(st.sampled_from(STATES), st.data())
def test_no_row_whatever_raises(state: str, data: st.DataObject) -> None:
    desk = in_state(state)
    row = msgpack.unpackb(desk.kept.get(KEY, msgpack.packb({"v": 1})))
    for name in data.draw(st.lists(st.sampled_from([*row, "until_at", "quality", "t_active"]), max_size=3)):
        row[name] = data.draw(_JUNK)
    fresh = Desk()
    if fresh.book.restore(KEY, row, fresh.now, 0):
        assert fresh.state() == "normal"
    fresh.book.advance(fresh.now)
    fresh.book.rows(fresh.now)
    fresh.book.stats(fresh.now)


def test_a_reload_keeps_the_state_of_what_stays_and_closes_what_is_gone() -> None:
    desk = Desk(spec("stays"), spec("goes"), spec("idle"))
    desk.active("stays@pump")
    desk.active("goes@pump")
    desk.shelve(key="goes@pump")
    desk.book.reload([spec("stays", priority="urgent", text="New words"), spec("new")], desk.now)
    last = desk.last
    assert (last.spec.id, last.event, last.old, last.state) == ("goes", "clear", "shelved", "normal")
    assert last.comment == "no longer configured"
    assert set(desk.kept) == {"stays@pump"}
    assert desk.state("stays@pump") == "unack_active"
    assert desk.state("new@pump") == "normal"
    assert ("goes@pump" in desk.book, "idle@pump" in desk.book, desk.book.due) == (False, False, None)
    assert desk.book.rows(desk.now)[0]["priority"] == "urgent"


def test_an_alarm_that_no_longer_latches_still_ends_by_the_table() -> None:
    desk = in_state("unack_latched", latched=True)
    desk.book.reload([spec(latched=False)], desk.now)
    desk.ack()
    desk.reset()
    assert desk.state() == "normal"


@pytest.mark.parametrize("by", ["reload", "restart"])
def test_a_suppression_by_design_that_is_no_longer_configured_ends(by: str) -> None:
    desk = Desk(spec(suppress="not {running}"))
    desk.suppress("design")
    desk.specs = (spec(),)
    if by == "reload":
        desk.book.reload(desk.specs, desk.now)
    else:
        desk.restart()
    assert desk.events[-1] == ("unsuppress", "suppressed", "normal")


def test_after_a_reboot_the_times_that_are_kept_are_of_the_new_boot() -> None:
    desk = Desk(spec())
    desk.pass_ms(1000)
    desk.shelve(3600)
    desk.restart(1000, boot_at=50)  # the boot clock began anew, far below the end of the shelving
    desk.restart(1000)
    assert desk.state() == "shelved"
    desk.pass_ms(3_597_000)
    assert desk.state() == "shelved"
    desk.pass_ms(1000)
    assert desk.state() == "normal"


@pytest.mark.parametrize("apart", [-1, 0, 1])
def test_the_end_that_people_were_told_does_not_move_by_the_rounding_of_two_clocks(apart: int) -> None:
    desk = in_state("shelved")
    promised, due = WALL + HOUR, desk.book.due
    assert due is not None
    desk.pass_ms(HOUR // 2)
    desk.wall += apart
    desk.restart()
    assert desk.book.due is not None
    assert desk.book.due <= due
    desk.pass_ms(HOUR)
    assert (desk.last.event, desk.last.when.wall) == ("unshelve", promised)


def test_a_clock_that_was_set_moves_the_end_that_people_are_told() -> None:
    desk = in_state("shelved")
    desk.wall -= 5000
    desk.pass_ms(HOUR)
    assert (desk.last.event, desk.last.when.wall) == ("unshelve", WALL + HOUR - 5000)
