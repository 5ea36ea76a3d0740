"""Counters as totals that never fall."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.counters import Counters
from gateway.driver import Columns
from gateway.model import Block, Quality, Tag, TagSpec, Transform, ValueType
from gateway.testing import ManualClock


class Rows(dict):
    def put(self, key, value):
        self[key] = value

    def delete(self, key):
        self.pop(key, None)


def block(wrap=65536, **transform):
    spec = TagSpec("n", ValueType.UINT16, None, transform=Transform(**transform), wrap=wrap)
    other = TagSpec("t", ValueType.UINT16, None)
    return Block("meter", [Tag("meter", "t", 0, 0, other), Tag("meter", "n", 1, 1, spec)])


def totals(counters, of, counts):
    return [counters.apply(of, Columns([7, count])).values[1] for count in counts]


def test_a_wrap_goes_on_and_a_reset_begins_again_without_a_fall():
    counters, of = Counters(Rows(), ManualClock()), block()
    assert totals(counters, of, [65000, 65535, 4, 100]) == [65000, 65535, 65540, 65636]
    assert totals(counters, of, [20, 30]) == [65656, 65666], "a fall by less than half is a device that began again"


def test_scaled_counters_stay_exact():
    counters, of = Counters(Rows(), ManualClock()), block(scale=0.1)
    assert totals(counters, of, [6553.5, 0.4]) == [6553.5, 6554.0]


def test_bad_values_pass_and_change_nothing():
    counters, of = Counters(Rows(), ManualClock()), block()
    totals(counters, of, [65530])
    bad = Columns([7, None], [0, int(Quality.BAD_SENSOR)])
    assert counters.apply(of, bad).values == [7, None]
    assert totals(counters, of, [2]) == [65538]


def test_a_kill_between_two_readings_costs_nothing():
    rows, clock, of = Rows(), ManualClock(), block()
    totals(Counters(rows, clock), of, [65000, 65400])
    assert totals(Counters(rows, clock), of, [50]) == [65586], "wrapped while nobody looked"


def test_what_is_kept_is_written_seldom():
    rows, clock, of = Rows(), ManualClock(), block()
    counters = Counters(rows, clock)
    totals(counters, of, [1, 2, 3])
    assert rows["counter:meter.n"]["last"] == 1
    asyncio.run(clock.advance(61))
    totals(counters, of, [4])
    assert rows["counter:meter.n"]["last"] == 4


@given(steps=st.lists(st.integers(0, 30_000), max_size=60), restarts=st.sets(st.integers(0, 60)))
def test_totals_are_what_was_counted(steps, restarts):
    rows, clock, of, true = Rows(), ManualClock(), block(), 0
    counters = Counters(rows, clock)
    for number, step in enumerate(steps):
        true += step
        if number in restarts and number:
            asyncio.run(clock.advance(61))
            totals(counters, of, [(true - step) % 65536])
            counters = Counters(rows, clock)
        assert totals(counters, of, [true % 65536]) == [true]


def test_a_total_may_be_a_number_that_would_be_no_count():
    counters, of = Counters(Rows(), ManualClock()), block(invalid=(65535,))
    assert totals(counters, of, [100, 0, 65435]) == [100, 100, 65535]


def test_a_count_that_is_only_a_part_of_its_register_goes_on_beyond_it():
    counters, of = Counters(Rows(), ManualClock()), block(wrap=4096, mask=0x0FFF)
    assert totals(counters, of, [4000, 4095, 4]) == [4000, 4095, 4100]
