"""The condition machine alone: every phase, every delay, good and bad inputs; and a slow oracle on random lives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.condition import Condition, Phase, Step
from rules.values import Instant

WALL = 1_000_000


def at(ms):
    return Instant(ms, WALL + ms)


def test_it_starts_at_once_without_a_delay():
    condition = Condition(0)
    assert condition.see(True, False, at(5)) is Step.STARTED
    assert condition.t_cond == WALL + 5
    assert condition.see(True, False, at(6)) is Step.NOTHING
    assert condition.see(False, True, at(7)) is Step.ENDED


def test_a_delay_ends_by_time_alone():
    condition = Condition(1000)
    assert condition.see(True, False, at(0)) is Step.NOTHING
    assert condition.due == 1000
    assert condition.expire(at(999)) is Step.NOTHING
    assert condition.expire(at(1000)) is Step.STARTED


def test_an_off_delay_is_taken_back_by_the_condition():
    condition = Condition(0, 1000)
    condition.see(True, False, at(0))
    assert condition.see(False, True, at(10)) is Step.NOTHING
    assert condition.phase is Phase.ENDING
    assert condition.is_active
    assert condition.see(True, False, at(500)) is Step.NOTHING
    assert condition.due is None
    condition.see(False, True, at(600))
    assert condition.expire(at(1600)) is Step.ENDED


@pytest.mark.parametrize(("hold", "due"), [(True, 20_000), (False, None)])
def test_a_bad_input_stops_the_clock_or_begins_anew(hold, due):
    condition = Condition(10_000, hold=hold)
    condition.see(True, False, at(0))
    condition.see(None, None, at(4_000))
    assert condition.due is None
    condition.see(True, False, at(14_000))
    assert condition.due == (due if hold else 24_000)


def test_after_until_a_condition_that_is_still_true_waits_until_it_was_false():
    condition = Condition(0)
    condition.see(True, False, at(0))
    assert condition.see(True, True, at(1)) is Step.ENDED
    assert condition.see(True, True, at(2)) is Step.NOTHING
    condition.see(False, True, at(3))
    assert condition.see(True, False, at(4)) is Step.STARTED


def test_reset_ends_an_active_one_and_lets_it_start_again():
    condition = Condition(0, hold=False)
    condition.see(True, False, at(0))
    assert condition.see(None, None, at(1)) is Step.ENDED
    assert condition.see(True, False, at(2)) is Step.STARTED


def test_rows_carry_it_over_a_restart():
    condition = Condition(10_000)
    condition.see(True, False, at(0))
    row = condition.row()
    again = Condition(10_000)
    assert again.restore(row, 6_000, 0)
    assert again.due is None  # nobody has looked yet
    again.see(True, False, at(50_000))
    assert again.due == 54_000
    assert Condition(10_000).row() is None
    assert not again.restore({"v": 2}, 0, 0)
    assert not again.restore(None, 0, 0)
    other_boot = Condition(10_000)
    assert other_boot.restore(row, 1_006_000, 1_000_000)
    other_boot.see(True, False, at(2_000_000))
    assert other_boot.due == 2_004_000


class Oracle:
    """Says from the whole past what the phase must be: slow, and written another way."""

    def __init__(self, on_ms, off_ms, *, hold):
        self.on_ms, self.off_ms, self.hold = on_ms, off_ms, hold
        self.active = False
        self.good_ms = 0
        self.last = 0
        self.counting = False

    def see(self, on, now):
        """`on` True, False or None: opposite is its end."""
        wanted = self.off_ms if self.active else self.on_ms
        target = on is False if self.active else on is True
        if self.counting:
            self.good_ms += now - self.last
        self.last = now
        if self.counting and self.good_ms >= wanted:
            self._flip()
            return self.see(on, now)
        if on is None:
            self.counting = False
            if not self.hold:
                self.good_ms = 0
                if self.active:
                    self.active = False
            return self.active
        if not target:
            self.counting, self.good_ms = False, 0
            return self.active
        self.counting = True
        if self.good_ms >= wanted:
            self._flip()
            return self.see(on, now)
        return self.active

    def _flip(self):
        self.active = not self.active
        self.counting, self.good_ms = False, 0


@settings(max_examples=300)
@given(
    on_ms=st.sampled_from([0, 300, 1000]),
    off_ms=st.sampled_from([0, 400]),
    hold=st.booleans(),
    life=st.lists(st.tuples(st.sampled_from([True, True, False, None]), st.integers(0, 700)), max_size=60),
)
def test_random_lives_agree_with_the_oracle(on_ms, off_ms, hold, life):
    condition, oracle = Condition(on_ms, off_ms, hold=hold), Oracle(on_ms, off_ms, hold=hold)
    now, last = 0, None
    for on, pause in life:
        end = now + pause
        while condition.due is not None and condition.due <= end:
            now = condition.due
            condition.see(last, None if last is None else not last, at(now))
            oracle.see(last, now)
        now = end
        condition.see(on, None if on is None else not on, at(now))
        last = on
        assert condition.is_active == oracle.see(on, now)
