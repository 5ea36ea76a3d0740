"""Acknowledgements: in order, after the disk, and a commit asked for when the broker waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt.ledger import Ledger
from gateway.mqttclient.connection import Inbound


def message(number: int, qos: int = 1) -> Inbound:
    return Inbound("t", b"", retain=False, qos=qos, ticket=number)


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_whatever_order_they_are_done_in_they_are_acknowledged_as_they_came(order, early):
    confirmed: list[int] = []
    ledger = Ledger(lambda m: confirmed.append(m.ticket), lambda: None, 100)
    done = [ledger.arrived(message(number)) for number in range(12)]
    finished = set()
    for number in order:
        done[number]()
        finished.add(number)
        assert confirmed == list(range(len(confirmed)))
        assert set(confirmed) <= finished
    assert confirmed == list(range(12))
    assert ledger.waiting == 0


def test_qos_0_is_counted_and_never_acknowledged():
    confirmed: list[int] = []
    ledger = Ledger(lambda m: confirmed.append(m.ticket), lambda: None, 100)
    done = [ledger.arrived(message(n, qos=0)) for n in range(3)]
    assert ledger.unwritten == 3
    for each in done:
        each()
    assert ledger.unwritten == 0
    assert confirmed == []


def test_a_commit_is_asked_for_once_when_half_of_the_window_is_used():
    asked: list[int] = []
    ledger = Ledger(lambda m: None, lambda: asked.append(ledger.waiting), 20)
    done = [ledger.arrived(message(n)) for n in range(15)]
    assert asked == [10]
    for each in done:
        each()
    for n in range(10):
        ledger.arrived(message(n))
    assert asked == [10, 10]


def test_the_brokers_own_limit_is_learned_and_forgotten_when_it_was_none():
    asked: list[int] = []
    ledger = Ledger(lambda m: None, lambda: asked.append(ledger.waiting), 1000)

    def burst(size: int) -> None:
        done = [ledger.arrived(message(n)) for n in range(size)]
        for each in reversed(done):  # the first one done last: all at once
            each()

    for size in (20, 20, 20):
        burst(size)
    assert ledger.limit == 20
    burst(20)
    assert asked == [20]
    burst(33)
    assert ledger.limit == 0
