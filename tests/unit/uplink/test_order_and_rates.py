"""Back-off, order, shares, windows, rates: logic on numbers alone."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mqttclient.address import parse_address, referred
from gateway.mqttclient.window import Window
from gateway.uplink.backoff import Reconnect
from gateway.uplink.memory import Memory, Sessions
from gateway.uplink.order import ALARM, BACKLOG, CLASSES, LIVE, Floor, Share, sequence
from gateway.uplink.rates import Lateness, TokenBucket


class Highest(Random):
    """Draws the upper end: shows the cap."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_fl_14_the_cap_is_5_s_for_10_minutes_and_then_grows_to_the_maximum() -> None:
    """FL-14."""
    reconnect = Reconnect(60.0, Highest())
    assert [reconnect.next_delay(float(now)) for now in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    late = [reconnect.next_delay(600.0 + now) for now in range(5)]
    assert late == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_fl_14_delays_are_spread_over_the_whole_range() -> None:
    delays = []
    for seed in range(400):
        reconnect = Reconnect(300.0, Random(seed), patient=True)
        for now in range(12):
            delay = reconnect.next_delay(float(now))
        delays.append(delay)
    assert min(delays) < 30.0
    assert max(delays) > 270.0


def test_fl_14_an_outage_is_over_only_after_60_s_connected() -> None:
    reconnect = Reconnect(60.0, Highest())
    for now in range(4):
        reconnect.next_delay(float(now))
    reconnect.connected(10.0)
    reconnect.lost(60.0)
    assert reconnect.next_delay(60.0) == 5.0
    reconnect.connected(70.0)
    reconnect.lost(130.0)
    assert reconnect.next_delay(130.0) == 1.0


def test_classes_are_strict_and_fifo_leaves_live_out() -> None:
    assert sequence(floor_due=False, fifo=False) == CLASSES
    assert sequence(floor_due=True, fifo=False)[:2] == (BACKLOG, ALARM)
    assert LIVE not in sequence(floor_due=False, fifo=True)


def test_fl_7_the_backlog_gets_a_tenth_of_the_bytes_whatever_else_waits() -> None:
    """FL-7, J19: with live data always waiting the backlog still ends."""
    floor, old, new = Floor(), 0, 0
    for _ in range(10_000):
        if floor.due(1000):
            old += 1000
            floor.sent(BACKLOG, 1000, backlog_waits=True)
        else:
            new += 700
            floor.sent(LIVE, 700, backlog_waits=True)
    assert old / (old + new) == pytest.approx(0.10, abs=0.01)


def test_fl_7_the_backlogs_share_doubles_per_round_trip_and_halves_while_live_is_late() -> None:
    share = Share()
    sizes = []
    for _ in range(4):
        sizes.append(share.limit(16))
        for _ in range(sizes[-1]):
            share.acked(16)
    assert sizes == [1, 2, 4, 8]
    share.adjust(10.0, 1.7)
    share.adjust(10.5, 1.7)
    assert share.limit(16) == 8
    share.adjust(11.0, 1.7)
    assert share.limit(16) == 4
    assert share.limit(1) == 1


def test_a_slot_of_the_window_is_left_for_what_is_urgent() -> None:
    share = Share()
    for _ in range(100):
        share.acked(16)
    assert share.limit(16) == 15


def test_a_token_bucket_is_obeyed_over_time() -> None:
    bucket, taken, now = TokenBucket(1000.0, 0.0), 0, 0.0
    while now < 100.0:
        delay = bucket.delay(now, 300)
        if delay:
            now += delay
        else:
            bucket.take(now, 300)
            taken += 300
    assert taken == pytest.approx(101_000, abs=600)


def test_an_urgent_message_goes_into_debt_that_others_wait_for() -> None:
    bucket = TokenBucket(100.0, 0.0)
    bucket.take(0.0, 500)
    assert bucket.delay(0.0, 100) == pytest.approx(5.0)


def test_lateness_is_the_99th_percentile_of_the_last_seconds() -> None:
    lateness = Lateness()
    for _ in range(99):
        lateness.add(0.0, 0.1)
    lateness.add(0.0, 3.0)
    assert lateness.p99(5.0) == 3.0
    assert lateness.p99(20.0) == 0.0


async def test_the_window_serves_waiters_first_and_survives_their_cancellation() -> None:
    window = Window(1)
    window.take()
    first, second = (asyncio.ensure_future(window.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    window.give()
    assert window.room == 0
    await first
    second.cancel()
    await asyncio.wait({second})
    window.give()
    assert (window.used, window.room) == (0, 1)
    with pytest.raises(RuntimeError):
        [window.take() for _ in range(2)]


async def test_session_numbers_never_come_twice_over_a_restart() -> None:
    memory = Memory(None)
    first = Sessions(memory)
    seen = [await first.next() for _ in range(20)]
    again = Sessions(memory)
    seen += [await again.next() for _ in range(20)]
    assert seen == sorted(set(seen))


def test_addresses_and_server_references() -> None:
    address = parse_address("mqtts://broker.example")
    assert (address.port, address.secure, str(address)) == (8883, True, "mqtts://broker.example:8883")
    assert parse_address("wss://broker.example/x").path == "/x"
    assert str(referred(address, "other.example:1884")) == "mqtts://other.example:1884"
    for wrong in ("http://x", "mqtt://", "mqtt://user:secret@host"):
        with pytest.raises(ValueError):
            parse_address(wrong)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 5)), min_size=1, max_size=700))
def test_lateness_is_the_99th_percentile_of_what_came_lately(steps: list[tuple[float, float]]) -> None:
    lateness, now = Lateness(), 0.0
    seen: list[tuple[float, float]] = []
    for wait, seconds in steps:
        now += wait
        lateness.add(now, seconds)
        seen = [*seen, (now, seconds)][-500:]
        recent = sorted(late for at, late in seen if at >= now - 10.0)
        assert lateness.p99(now) == recent[min(len(recent) - 1, int(len(recent) * 0.99))]
