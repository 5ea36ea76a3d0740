"""What people read of an alarm: since when it is active, its text without values, marks that are over."""

from __future__ import annotations

import pytest

from rules.alarms.alarm import without_values
from tests.unit.rules.alarm_kit import KEY, Desk, spec

TEXT = "Temperature {temperature:.1f} degC, valve {{x}} {b.c}"


def row(desk: Desk) -> dict:
    return desk.book.rows(desk.now, every=True)[0]


def test_an_active_alarm_counts_from_when_it_became_active_whatever_its_input_does() -> None:
    desk = Desk()
    began = desk.wall
    desk.active()
    for happens in (desk.bad, desk.good, desk.ack, desk.bad):
        desk.pass_ms(60_000)
        happens()
        assert row(desk)["since"] == began
    desk.pass_ms(60_000)
    desk.clear()
    assert row(desk)["since"] == began + 300_000


def test_an_alarm_that_is_put_away_counts_from_then() -> None:
    desk = Desk()
    desk.active()
    desk.pass_ms(60_000)
    desk.shelve()
    assert row(desk)["since"] == desk.wall


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Too hot", "Too hot"),
        ("", ""),
        (TEXT, "Temperature \u2026 degC, valve {x} \u2026"),
        ("{{}} {a} }}", "{} \u2026 }"),
    ],
)
def test_a_template_without_values(template: str, text: str) -> None:
    assert without_values(template) == text


def test_values_stand_in_the_text_only_while_there_are_some() -> None:
    desk = Desk(spec(text=TEXT))
    assert row(desk)["text"] == without_values(TEXT)
    desk.shelve()
    assert desk.last.text == without_values(TEXT)
    desk.unshelve()
    desk.active(text="Temperature 81.0 degC")
    assert row(desk)["text"] == "Temperature 81.0 degC"
    desk.ack()
    desk.clear()
    assert row(desk)["text"] == without_values(TEXT)


@pytest.mark.parametrize(("quality", "mark"), [("good", ""), ("good/local-override", "good/local-override")])
def test_a_clear_by_a_good_value_ends_the_mark_of_a_bad_input(quality: str, mark: str) -> None:
    desk = Desk()
    desk.active()
    desk.bad()
    desk.clear(value=1.0, quality=quality)
    assert (desk.last.event, desk.last.quality) == ("clear", mark)


@pytest.mark.parametrize("quality", ["bad/comm", "uncertain/last-known", ""])
def test_a_clear_by_any_other_value_keeps_the_mark(quality: str) -> None:
    desk = Desk()
    desk.active()
    desk.bad()
    desk.clear(quality=quality)
    assert desk.last.quality == "bad/comm"


def test_what_people_do_and_what_an_input_does_is_no_chattering() -> None:
    desk = Desk(spec(latched=True))
    for _ in range(2):
        desk.active()
        desk.bad()
        desk.good()
        desk.ack()
        desk.clear()
        desk.reset()
        desk.pass_ms(1000)
    assert not any(one.chattering for one in desk.told)
    assert desk.book.stats(desk.now)["chattering"] == []
    desk.active()
    desk.clear()
    assert desk.last.chattering
    desk.ack()
    assert desk.last.chattering, "it is, while it does not get quiet"
    assert desk.book.stats(desk.now)["chattering"] == [KEY]
