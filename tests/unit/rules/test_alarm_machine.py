"""A book of alarms under anything that may happen to it, restarts included, against a simple oracle - which finds
defects that were put in.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from rules.alarms import machine
from rules.alarms.alarm import Alarm
from rules.alarms.book import AlarmBook
from rules.alarms.machine import LATCHED, TABLE, Beneath, Cell
from tests.support.scale import scaled
from tests.unit.rules.alarm_model import ACTS, KEYS, LONGEST_MS, Comparison

_STEPS = settings(max_examples=scaled(60, 5000), stateful_step_count=40, deadline=None)
_HUNT = 20_000


def test_a_book_does_what_the_oracle_says() -> None:
    run_state_machine_as_test(Comparison, settings=_STEPS)


def _cell(state: str, event: str, cell: Cell, table: dict = TABLE) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setitem(table, (state, event), cell)


def _forgets_the_condition(patch: pytest.MonkeyPatch) -> None:
    """An alarm that is taken back is normal, whatever its condition."""
    patch.setattr(Beneath, "state", property(lambda self: "suppressed" if self.suppressed else "normal"))


def _loses_the_latch(patch: pytest.MonkeyPatch) -> None:
    """Shelving is a way around the reset."""
    patch.setattr(machine, "keeps_latch", lambda _state, *, latched: False)


def _ends_with_the_first_reason(patch: pytest.MonkeyPatch) -> None:
    real = AlarmBook.suppress

    def suppress(self: AlarmBook, key: str, on: bool, reason: str, now) -> None:
        if not on and reason in self._alarms[key].reasons:
            self._alarms[key].reasons = (reason,)
        real(self, key, on, reason, now)

    patch.setattr(AlarmBook, "suppress", suppress)


def _begins_a_shelving_anew(patch: pytest.MonkeyPatch) -> None:
    """A restart gives a shelving its whole time once more."""
    real = Alarm.restore

    def restore(self: Alarm, row, now, shift: int) -> str:
        refused = real(self, row, now, shift)
        if self.state == "shelved":
            self.until_at = now.at + self.shelved_ms
        return refused

    patch.setattr(Alarm, "restore", restore)


def _keeps_no_row_of_what_is_underneath(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlarmBook, "_keep_row", lambda _self, _alarm: None)


def _makes_active(patch: pytest.MonkeyPatch) -> None:
    real = AlarmBook.input_quality

    def input_quality(self: AlarmBook, key: str, good: bool, now, quality: str = "bad") -> None:
        self._alarms[key].condition = True
        real(self, key, good, now, quality)

    patch.setattr(AlarmBook, "input_quality", input_quality)


DEFECTS = {
    "an ack of an active alarm ends it": _cell("unack_active", "ack", Cell("normal", told=True)),
    "an ack of one that is over is refused": _cell("unack_rtn", "ack", Cell(refused="it is over")),
    "an alarm that is over unseen is normal": _cell("unack_active", "clear", Cell("normal", told=True)),
    "an alarm that comes again unseen is not told": _cell("unack_rtn", "active", Cell()),
    "one that comes again stays acknowledged": _cell("ack_latched", "active", Cell("ack_active", told=True)),
    "a reset works while the condition is active": _cell("ack_active", "reset", Cell("normal", told=True)),
    "a reset acknowledges": _cell("unack_latched", "reset", Cell("normal", told=True)),
    "a latch is released by its end": _cell("ack_active", "clear", Cell("normal", told=True), LATCHED),
    "a suppression ends a shelving": _cell("shelved", "suppress", Cell("suppressed", told=True)),
    "an alarm out of service is announced": _cell("out_of_service", "active", Cell("unack_active", told=True)),
    "one that is active comes back as normal": _forgets_the_condition,
    "shelving releases a latch": _loses_the_latch,
    "a suppression ends with its first reason": _ends_with_the_first_reason,
    "a restart begins a shelving anew": _begins_a_shelving_anew,
    "what is underneath is not kept": _keeps_no_row_of_what_is_underneath,
    "a bad input makes an alarm active": _makes_active,
}


def hunt(seed: int, steps: int) -> None:
    """Long random life of the alarms, most of it in front of people: they do not stay away for long."""
    draw = random.Random(seed)
    compared = Comparison()
    compared.begin()
    for _ in range(steps):
        key = draw.choice(KEYS)
        what = draw.choices(("condition", "act", "suppress", "quality", "time", "restart"), (6, 8, 2, 1, 4, 1))[0]
        if what == "condition":
            compared.condition(key=key, active=draw.random() < 0.5)
        elif what == "act":
            act = draw.choices(ACTS, (6, 6, 1, 2, 1, 3))[0]
            compared.act(key=key, act=act, seconds=draw.randint(1, 100))
        elif what == "suppress":
            compared.suppress(key=key, reason=draw.choice(("design", "maintenance")), on=draw.random() < 0.3)
        elif what == "quality":
            compared.quality(key=key, good=draw.random() < 0.5)
        elif what == "time":
            compared.time(ms=draw.randint(1, LONGEST_MS))
        else:
            compared.restart(down_ms=draw.randint(0, 10_000), boot_at=draw.choice((None, draw.randint(0, 10**6))))
        compared.both_say_the_same()
        compared.the_journal_leads_there()


def test_a_long_life_is_as_the_oracle_says() -> None:
    hunt(7, scaled(10_000, 1_000_000))


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(defect: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        DEFECTS[defect](patch)
        with pytest.raises(AssertionError):
            hunt(7, _HUNT)
