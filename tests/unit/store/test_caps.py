"""FL-4: the byte cap holds, the least important goes first, and gap records add up to what was dropped."""

from __future__ import annotations

import random
from pathlib import Path

from gateway.health import Health
from gateway.model import Batch
from gateway.testing import ManualClock
from tests.unit.store.kit import batch, block, everything, numbers, opened

CAP = 2_000_000


async def test_fl_4_a_broker_away_for_long_never_makes_the_journal_larger_than_its_cap(tmp_path: Path) -> None:
    health = Health(ManualClock())
    store = opened(tmp_path, health=health, max_bytes=CAP)
    consumer = store.consumer("cloud")
    shared = block(store, 100)
    rng = random.Random(4)
    told = 0
    for i in range(120):
        for _ in range(40):
            store.append(batch(shared, [rng.random() for _ in range(100)], ts=i))
            told += 100
        if i % 10 == 0:
            store.append_entry("alarm", {"ts": i, "kind": "alarm", "id": f"a{i}"})
            store.append_entry("log", {"ts": i, "kind": "log", "text": "x" * 500})
        await store.commit()
        assert store.used_bytes <= CAP
        assert (tmp_path / "store" / "journal" / "data.mdb").stat().st_size <= CAP
    gaps = consumer.gaps()
    assert {gap.stream for gap in gaps} == {"telemetry"}
    (gap,) = gaps
    held = numbers(everything(consumer, limit=10_000))
    assert gap.first == 1
    assert gap.last == held[0] - 1
    assert held == list(range(held[0], told + 1))
    assert store.dropped == gap.n
    assert store.stats()["streams"]["telemetry"]["gaps"] == gap.n
    assert len([row for s in everything(consumer, "alarm") for row in s.rows]) == 12
    assert store.stats()["streams"]["log"]["oldest"] > store.stats()["streams"]["log"]["last"]  # log went first
    assert [issue.id for issue in health.open()] == ["store_dropped"]
    await store.close()


async def test_what_only_history_holds_goes_before_what_an_uplink_awaits(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=CAP)
    consumer = store.consumer("cloud")
    shared = block(store, 100)
    rng = random.Random(5)

    async def make(commits: int) -> None:
        for _ in range(commits):
            for _ in range(40):
                store.append(batch(shared, [rng.random() for _ in range(100)]))
            await store.commit()

    await make(10)
    first_live = consumer.mark("telemetry")[1] + 1
    await make(20)
    consumer.done("telemetry", consumer.epoch, first_live, consumer.mark("telemetry")[1])
    await make(25)
    assert list(consumer.gaps()) == []
    awaited = numbers(everything(consumer, limit=10_000))
    assert awaited[:40_000] == list(range(1, 40_001))
    await store.close()


async def test_alarms_are_dropped_only_when_nothing_else_is_left(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=CAP)
    consumer = store.consumer("cloud")
    rng = random.Random(6)
    store.append(batch(block(store, 100), [1.0] * 100))
    store.append_entry("event", {"ts": 1, "kind": "device"})
    for i in range(60):
        for j in range(30):
            store.append_entry("alarm", {"ts": i, "kind": "alarm", "id": str(j), "text": rng.randbytes(1000).hex()})
        await store.commit()
        assert store.used_bytes <= CAP
    gaps = {gap.stream: gap for gap in consumer.gaps()}
    assert set(gaps) == {"telemetry", "event", "alarm"}
    alarms = numbers(everything(consumer, "alarm"))
    assert (gaps["alarm"].first, gaps["alarm"].last) == (1, alarms[0] - 1)
    assert alarms[-1] == 1800
    await store.close()


async def test_j9_a_segment_stays_until_every_uplink_has_it(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock, min_age_s=1.0)
    a, b = store.consumer("a"), store.consumer("b")
    store.consumer("flat", required=False)
    store.append(batch(block(store, 2), [1, 2]))
    await store.commit()
    await clock.advance(10)
    a.done("telemetry", a.epoch, 1, 2)
    await store.commit()
    assert numbers(everything(b)) == [1, 2]
    b.done("telemetry", b.epoch, 1, 2)
    await store.commit()
    assert list(store.read_history("telemetry")) == []
    assert store.gap_view() == []
    await store.close()


async def test_unacknowledged_readings_older_than_the_longest_age_become_a_gap(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock, min_age_s=1.0, max_age_s=100.0)
    consumer = store.consumer("a")
    shared = block(store, 2)
    store.append(batch(shared, [1, 2], ts=77))
    await store.commit()
    await clock.advance(101)
    store.append(Batch(shared, [3, 4], 78, clock.mono()))
    await store.commit()
    (gap,) = consumer.gaps()
    assert (gap.first, gap.last, gap.why, gap.t0) == (1, 2, "age", 77)
    await store.close()
