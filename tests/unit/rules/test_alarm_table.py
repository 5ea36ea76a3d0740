"""FL-48: every cell of the transition table, on a book whose alarm was brought into the state by what people do.

The table below is written by hand from ISA-18.2 and the words of docs/reference/alarms.md.
"""

from __future__ import annotations

import pytest

from rules.alarms import machine
from rules.alarms.book import AlarmBook
from rules.alarms.refusal import AlarmRefused
from tests.unit.rules.alarm_kit import KEY, Desk, in_state

STATES = {
    "N": "normal",
    "UA": "unack_active",
    "AA": "ack_active",
    "UR": "unack_rtn",
    "UL": "unack_latched",
    "AL": "ack_latched",
    "SH": "shelved",
    "SU": "suppressed",
    "OS": "out_of_service",
}
# A state: it goes there and that is told. `!`: told, the state stays. `-`: nothing happens. `x`: refused.
# The alarms that are away were put away while normal, so that they come back as normal.
PLAIN = """
                N   UA  AA  UR  UL  AL  SH  SU  OS
active          UA  -   -   UA  UA  UA  -   -   -
clear           -   UR  N   -   -   -   -   -   -
ack             x   AA  x   N   AL  x   x   x   x
reset           x   x   x   x   x   N   x   x   x
shelve          SH  SH  SH  SH  SH  SH  !   SH  x
unshelve        x   x   x   x   x   x   N   x   x
suppress        SU  SU  SU  SU  SU  SU  -   -   -
unsuppress      -   -   -   -   -   -   -   N   -
out_of_service  OS  OS  OS  OS  OS  OS  OS  OS  x
in_service      x   x   x   x   x   x   x   x   N
bad             -   !   !   -   -   -   -   -   -
good            -   !   !   -   -   -   -   -   -
"""
LATCHED = PLAIN.replace("clear           -   UR  N ", "clear           -   UL  AL")
assert LATCHED != PLAIN


def cells(table: str, *, latched: bool) -> list[tuple[str, str, bool, str]]:
    head, *lines = table.strip("\n").splitlines()
    return [
        (STATES[column], event, latched, cell)
        for event, *row in map(str.split, lines)
        for column, cell in zip(head.split(), row, strict=True)
    ]


CELLS = [*cells(PLAIN, latched=False), *cells(LATCHED, latched=True)]


def happen(desk: Desk, event: str) -> None:
    """Let one event happen, with what must be before it so that it is one."""
    if event == "good":
        desk.bad()
        desk.told.clear()
    if event == "clear" and desk.state() in machine.AWAY:
        desk.active()
    if event == "unsuppress" and desk.state() in {"shelved", "out_of_service"}:
        desk.suppress()
    getattr(desk, event)()


@pytest.mark.parametrize(("state", "event", "latched", "cell"), CELLS)
def test_a_cell_of_the_table(state: str, event: str, latched: bool, cell: str) -> None:
    desk = in_state(state, latched=latched)
    desk.told.clear()
    if cell == "x":
        kept = dict(desk.kept)
        with pytest.raises(AlarmRefused) as refused:
            happen(desk, event)
        assert refused.value.code == 409
        assert str(refused.value).startswith(f"{KEY}: ")
        assert (desk.state(), desk.told, desk.kept) == (state, [], kept)
        return
    happen(desk, event)
    expected = STATES.get(cell, state)
    assert desk.state() == expected
    assert desk.events == ([] if cell == "-" else [(event, state, expected)])
    assert (KEY in desk.kept) == (expected != "normal")


def test_the_tables_above_are_whole() -> None:
    assert {(state, event) for state, event, latched, _ in CELLS if latched} == set(machine.TABLE)
    assert len(CELLS) == 2 * len(machine.STATES) * len(machine.EVENTS) == 216


def test_the_pure_table_says_the_same() -> None:
    for state, event, latched, cell in CELLS:
        step = machine.step(state, event, latched=latched)
        told = cell not in "-x"
        assert (step.state, step.told, bool(step.refused)) == (STATES.get(cell, state), told, cell == "x")


# Put away by each way and taken out again. Columns: nothing active; active; active, and it began while away; latched and
# active before, over while away; latched, began and was over while away.
BENEATH = """
                    normal  before  begins  over    passed
shelve              N       UA      UA      UL      N
suppress            N       UA      UA      UL      N
out_of_service      N       UA      UA      UL      N
"""
BACK = {"shelve": "unshelve", "suppress": "unsuppress", "out_of_service": "in_service"}
TALES = {
    "normal": ("AWAY",),
    "before": ("active", "ack", "AWAY"),
    "begins": ("AWAY", "active"),
    "over": ("active", "ack", "AWAY", "clear"),
    "passed": ("AWAY", "active", "clear"),
}


@pytest.mark.parametrize(("tale", "away", "cell"), [
    (column, event, cell)
    for event, *row in map(str.split, BENEATH.strip("\n").splitlines()[1:])
    for column, cell in zip(TALES, row, strict=True)
])  # fmt: skip
def test_what_is_underneath_says_where_an_alarm_comes_back(tale: str, away: str, cell: str) -> None:
    desk = in_state("normal", latched=True)
    for step in TALES[tale]:
        getattr(desk, away if step == "AWAY" else step)()
    count = len(desk.told)
    getattr(desk, BACK[away])()
    assert desk.state() == STATES[cell]
    assert [(one.event, one.state) for one in desk.told[count:]] == [(BACK[away], STATES[cell])]


def test_an_alarm_that_does_not_latch_and_was_over_while_away_is_normal() -> None:
    desk = in_state("unack_active")
    desk.shelve()
    desk.clear()
    desk.unshelve()
    assert desk.state() == "normal"


@pytest.mark.parametrize("state", ["unack_latched", "ack_latched"])
def test_putting_a_latched_alarm_away_is_no_way_around_its_reset(state: str) -> None:
    desk = in_state(state, latched=True)
    desk.shelve()
    desk.out_of_service()
    desk.in_service()
    assert desk.state() == "unack_latched"
    desk.ack()
    desk.reset()
    assert desk.state() == "normal"


def test_a_shelved_alarm_that_is_suppressed_meanwhile_comes_back_as_suppressed_and_the_other_way_round() -> None:
    desk = in_state("shelved")
    desk.suppress()
    assert desk.state() == "shelved"
    desk.unshelve()
    assert desk.state() == "suppressed"
    desk.shelve()
    assert desk.state() == "shelved"
    desk.unsuppress()
    assert desk.state() == "shelved"
    desk.unshelve()
    assert desk.state() == "normal"


def test_taking_out_of_service_ends_a_shelving_and_keeps_the_reasons() -> None:
    desk = in_state("shelved")
    desk.suppress()
    desk.out_of_service()
    assert desk.book.due is None
    desk.pass_ms(30 * 86_400_000)
    assert desk.state() == "out_of_service"
    desk.in_service()
    assert desk.state() == "suppressed"


def test_a_book_knows_only_its_own_alarms() -> None:
    desk = Desk()
    for act in (desk.ack, desk.reset, desk.shelve, desk.active, desk.suppress, desk.bad, desk.in_service, desk.state):
        with pytest.raises(AlarmRefused) as refused:
            act(key="other@pump")
        assert refused.value.code == 404
    assert "other@pump" not in desk.book
    assert KEY in desk.book
    assert len(AlarmBook((), desk._emit)) == 0
