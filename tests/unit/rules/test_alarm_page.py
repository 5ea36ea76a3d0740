"""docs/reference/alarms.md has the tables that the code works by, and every word and field of alarms.

A table that differs is printed by `python -c "from rules.alarms.printed import *; print(transition_table())"`.
"""

from __future__ import annotations

import re
from pathlib import Path

from gateway.rulebook import PRIORITIES
from rules.alarms.entry import ChatterGroup, entry_of
from rules.alarms.machine import EVENTS, STATES
from rules.alarms.printed import catalogue_table, transition_table
from tests.unit.rules.alarm_kit import Desk, spec

PAGE = (Path(__file__).parents[3] / "docs/reference/alarms.md").read_text(encoding="utf-8")


def between(mark: str) -> str:
    return PAGE.split(f"<!-- {mark} -->\n")[1].split(f"<!-- end of {mark} -->")[0]


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    return [
        word for line in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", line)
    ]


def test_the_transition_table_is_the_code_s() -> None:
    assert between("table") == transition_table()
    assert first_column(between("table")) == list(EVENTS)


def test_the_catalogue_is_the_code_s() -> None:
    assert between("catalogue") == catalogue_table()


def test_every_state_and_priority_is_explained_and_no_other() -> None:
    assert first_column(section("States")) == list(STATES)
    assert first_column(section("Priorities")) == list(PRIORITIES)


def test_every_field_of_an_entry_is_explained_and_no_other() -> None:
    desk, group, fields = Desk(spec("a", action="Act", group="g", entity="line", device="pump")), ChatterGroup(), set()
    for _ in range(4):
        for change in (desk.active, desk.bad, desk.shelve, desk.unshelve, desk.clear):
            change(key="a@line", **({"value": 1} if change == desk.active else {}))
            group.take(desk.last)
            fields |= set(entry_of(desk.last))
    (folded,) = group.flush()
    assert fields | set(folded) == set(first_column(section("The journal entry")))
