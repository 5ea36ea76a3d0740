"""The consumer's proof: holes, gaps, duplicates, conflicts, late Wills."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proof import Ledger, Ranges

EPOCH = 1_794_000_000


def send(ledger: Ledger, kind: str, **body: Any) -> None:
    ledger.take(f"fp/1/acme/gw1/{kind}", json.dumps({"v": 1, "gateway": "gw1", **body}).encode())


def status(ledger: Ledger, last: int, session: int = 1, *, online: bool = True) -> None:
    streams = {"telemetry": {"oldest": 1, "last": last}}
    send(ledger, "status", online=online, session=session, epoch=EPOCH, streams=streams)


def batch(ledger: Ledger, seq: int, *values: float) -> None:
    entry = {"device": "pump", "ts": 5, "seq": seq, "values": {f"t{i}": value for i, value in enumerate(values)}}
    send(ledger, "up/telemetry", stream="telemetry", epoch=EPOCH, seq=seq, n=len(values), batches=[entry])


def gap(ledger: Ledger, first: int, last: int) -> None:
    send(
        ledger, "up/gap", stream="telemetry", epoch=EPOCH, why="size", t0=1, t1=2,
        **{"from": first, "to": last, "n": last - first + 1},
    )  # fmt: skip


def test_received_and_gaps_together_are_complete() -> None:
    ledger = Ledger()
    status(ledger, 9)
    gap(ledger, 1, 4)
    batch(ledger, 5, 1.0, 2.0)
    assert ledger.report()["streams"][0]["missing"] == [[7, 9]]
    batch(ledger, 7, 1.0, 2.0, 3.0)
    row = ledger.report()["streams"][0]
    assert (row["received"], row["in_gaps"], row["missing"]) == (5, 4, [])
    assert ledger.complete()


def test_a_duplicate_is_counted_and_a_changed_one_is_a_conflict() -> None:
    ledger = Ledger()
    status(ledger, 2)
    batch(ledger, 1, 1.0, 2.0)
    batch(ledger, 1, 1.0, 2.0)
    assert ledger.report()["streams"][0]["duplicates"] == 2
    assert ledger.complete()
    batch(ledger, 1, 1.0, 2.5)
    assert ledger.report()["streams"][0]["conflicts"] == [2]
    assert not ledger.complete()


def test_fl_15_a_late_will_of_an_earlier_session_changes_nothing() -> None:
    """FL-15, W17."""
    ledger = Ledger()
    status(ledger, 2, session=5)
    send(ledger, "status", online=False, session=4, epoch=EPOCH)
    assert ledger.statuses["gw1"]["online"] is True


@pytest.mark.parametrize(("codec", "proof"), [("flat", "none"), ("edgex", "puback")])
def test_a_codec_without_numbers_proves_nothing(codec: str, proof: str) -> None:
    ledger = Ledger()
    send(ledger, "status", online=True, session=1, epoch=EPOCH, codec=codec, proof=proof)
    assert ledger.report() == {"ok": False, "streams": [], "unproved": {"gw1": codec}}


def test_nothing_received_is_not_a_proof() -> None:
    assert not Ledger().report()["ok"]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), max_size=30))
def test_ranges_are_the_set_they_stand_for(pieces: list[tuple[int, int]]) -> None:
    """J10: sorted, disjoint, not adjacent."""
    ranges, numbers = Ranges(), set()
    for first, more in pieces:
        ranges.add(first, first + more)
        numbers.update(range(first, first + more + 1))
    assert len(ranges) == len(numbers)
    assert {n for a, b in ranges.missing(1, 80) for n in range(a, b + 1)} == set(range(1, 81)) - numbers
    listed = list(ranges)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(listed))
