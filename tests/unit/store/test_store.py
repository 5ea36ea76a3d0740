"""Producer, consumers, aliases, tables and values of one store that lives a normal life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.health import Health
from gateway.journal import Gap
from gateway.store import Store
from gateway.store.recovery import choose_epoch
from gateway.testing import ManualClock
from tests.unit.store.kit import RELEASE_MS, batch, block, everything, numbers, opened


async def test_a_batch_is_acknowledged_to_its_producer_only_after_the_commit(tmp_path: Path) -> None:
    store = opened(tmp_path)
    told: list[int] = []
    store.append(batch(block(store, 2), [1.0, 2.0]), lambda: told.append(store.state.next["telemetry"]))
    assert told == []
    await store.commit()
    assert told == [3]
    await store.close()


async def test_numbers_go_on_after_a_restart_and_two_uplinks_have_cursors_of_their_own(tmp_path: Path) -> None:
    store = opened(tmp_path)
    a, b = store.consumer("a"), store.consumer("b")
    shared = block(store, 3)
    store.append(batch(shared, [1, 2, 3]))
    await store.commit()
    (segment,) = everything(a)
    a.done("telemetry", segment.epoch, segment.first, segment.last)
    assert everything(a) == []
    assert numbers(everything(b)) == [1, 2, 3]
    await store.close()

    store = opened(tmp_path)
    a, b = store.consumer("a"), store.consumer("b")
    store.append(batch(block(store, 3), [4, 5, 6]))
    await store.commit()
    assert numbers(everything(a)) == [4, 5, 6]
    assert numbers(everything(b)) == [1, 2, 3, 4, 5, 6]
    assert a.backlog().readings == 3
    assert b.backlog().readings == 6
    await store.close()


async def test_a_work_that_raises_is_undone_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def good(tx: Any) -> int:
        tx.put("command", "c-1", {"code": 200})
        return int(tx.append("event", {"ts": 1, "kind": "audit"}))

    def bad(tx: Any) -> None:
        tx.put("command", "c-1", {"code": 500})
        tx.append("event", {"ts": 1, "kind": "never"})
        raise ValueError("no")

    first, failed, second = store.submit(good), store.submit(bad), store.submit(good)
    await store.commit()
    assert (first.result(), second.result()) == (1, 2)
    with pytest.raises(ValueError, match="no"):
        failed.result()
    assert store.table("command").get("c-1") == {"code": 200}
    (segment,) = everything(store.consumer("a"), "event")
    assert [row["kind"] for row in segment.rows] == ["audit", "audit"]
    await store.close()


async def test_an_entry_is_frozen_when_it_is_handed_over_and_gets_its_number(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = {"ts": 5, "kind": "alarm", "id": "hi"}
    store.append_entry("alarm", entry)
    entry["id"] = "changed later"
    await store.commit()
    assert entry["seq"] == 1
    (segment,) = everything(store.consumer("a"), "alarm")
    assert segment.rows == [{"seq": 1, "ts": 5, "kind": "alarm", "id": "hi"}]
    with pytest.raises(StoreError):
        store.append_entry("alarm", {"ts": 5, "kind": object()})
    await store.close()


async def test_live_first_leaves_a_hole_that_is_offered_later(tmp_path: Path) -> None:
    store = opened(tmp_path)
    consumer = store.consumer("a")
    shared = block(store, 2)
    for i in range(3):
        store.append(batch(shared, [i, i]))
        await store.commit()
    mark = consumer.mark("telemetry")
    live = consumer.next_segment("telemetry", (mark[0], 4))
    assert live is not None
    assert (live.first, live.last) == (5, 6)
    consumer.done("telemetry", live.epoch, 5, 6)
    assert consumer.holes("telemetry") == 1
    assert numbers(everything(consumer)) == [1, 2, 3, 4]
    consumer.done("telemetry", live.epoch, 1, 4)
    assert consumer.holes("telemetry") == 0
    await store.close()


async def test_a_new_uplink_starts_where_it_is_told(tmp_path: Path) -> None:
    store = opened(tmp_path)
    shared = block(store, 2)
    store.append(batch(shared, [1, 2]))
    await store.commit()
    late, early = store.consumer("late", start="next"), store.consumer("early", start="oldest")
    store.append(batch(shared, [3, 4]))
    await store.commit()
    assert numbers(everything(late)) == [3, 4]
    assert numbers(everything(early)) == [1, 2, 3, 4]
    await store.close()


async def test_a_dead_letter_is_given_up_with_a_gap_and_the_stream_goes_on(tmp_path: Path) -> None:
    store = opened(tmp_path)
    consumer = store.consumer("a")
    shared = block(store, 2)
    for i in range(2):
        store.append(batch(shared, [i, i]))
        await store.commit()
    consumer.refuse("telemetry", consumer.epoch, 1, 2, "refused", 0x99)
    assert numbers(everything(consumer)) == [3, 4]
    await store.commit()
    (gap,) = consumer.gaps()
    assert (gap.first, gap.last, gap.n, gap.why) == (1, 2, 2, "refused")
    await store.close()


async def test_j8_an_older_shorter_gap_record_removes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    consumer = store.consumer("a")
    shared = block(store, 2)
    for i in range(3):
        store.append(batch(shared, [i, i]))
    await store.commit()
    consumer.refuse("telemetry", consumer.epoch, 1, 2, "refused")
    await store.commit()
    (old,) = consumer.gaps()
    consumer.refuse("telemetry", consumer.epoch, 3, 4, "refused")
    await store.commit()
    consumer.gap_done(old)
    await store.commit()
    (grown,) = consumer.gaps()
    assert (grown.first, grown.last) == (1, 4)
    consumer.gap_done(grown)
    assert list(consumer.gaps()) == []
    await store.commit()
    await store.close()
    store = opened(tmp_path)
    assert list(store.consumer("a").gaps()) == []
    await store.close()


async def test_an_alias_is_kept_for_ever_and_never_reused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    consumer = store.consumer("a")
    assert store.bind_aliases([("d", "x"), ("d", "y")]) == [1, 2]
    assert store.dict_no == 1
    store.append(batch(block(store, 1, "other"), [1.0]))
    await store.commit()
    assert await store.bind_aliases_async([("d", "y"), ("d", "z")]) == [2, 4]
    assert store.dict_no == 3
    aliases = consumer.aliases()
    assert aliases[3].live is False  # its reading still waits
    consumer.done("telemetry", consumer.epoch, 1, 1)
    await store.commit()
    assert sorted(consumer.aliases()) == [2, 4]
    await store.close()
    store = opened(tmp_path)
    assert store.bind_aliases([("d", "x"), ("d", "new")]) == [1, 5]
    await store.close()


async def test_small_tables_and_last_values_survive_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    memory = store.memory("line1")
    memory.put("plan", {"gap": 10})
    memory.put("gone", 1)
    memory.delete("gone")
    await store.checkpoint({("d", "x"): (1.5, 1000, 0), ("d", "y"): (None, 1001, 129)})
    running = asyncio.create_task(store.run())
    await store.consumer("a").set_state("session", 412)
    running.cancel()
    await asyncio.wait((running,))
    await store.close()
    store = opened(tmp_path)
    assert store.memory("line1").items() == {"plan": {"gap": 10}}
    assert store.last_values() == {("d", "x"): (1.5, 1000, 0), ("d", "y"): (None, 1001, 129)}
    assert store.consumer("a").state("session") == 412
    await store.close()


async def test_two_processes_cannot_open_one_store(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(StoreError, match="in use by process"):
        opened(tmp_path)
    await store.close()


async def test_what_the_buffer_cannot_hold_is_one_gap_record_with_an_exact_count(tmp_path: Path) -> None:
    store = opened(tmp_path, buffer_readings=10)
    consumer = store.consumer("a")
    shared = block(store, 4)
    for i in range(5):
        store.append(batch(shared, [i] * 4, ts=1000 + i))
    await store.commit()
    (gap,) = consumer.gaps()
    assert (gap.first, gap.last, gap.n, gap.why, gap.t0, gap.t1) == (9, 20, 12, "full", 1002, 1004)
    assert numbers(everything(consumer)) == list(range(1, 9))
    await store.close()


async def test_the_cursor_of_a_removed_uplink_holds_until_it_is_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock, min_age_s=10.0)
    consumer = store.consumer("cloud")
    shared = block(store, 1)
    store.append(batch(shared, [1]))
    await store.commit()
    await store.close()
    store = opened(tmp_path, clock, min_age_s=10.0)
    assert store.consumers() == ["cloud"]
    await clock.advance(60)
    store.append_entry("event", {"ts": 1, "kind": "x"})
    await store.commit()
    assert store.stats()["streams"]["telemetry"]["oldest"] == 1
    assert await store.forget("cloud")
    store.append_entry("event", {"ts": 1, "kind": "x"})
    await store.commit()
    assert store.stats()["streams"]["telemetry"]["oldest"] == 2
    assert consumer.name not in store.consumers()
    await store.close()


async def test_history_keeps_delivered_readings_for_its_time_and_shows_them(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock, min_age_s=3600.0)
    consumer = store.consumer("cloud")
    shared = block(store, 2)
    store.append(batch(shared, [1.5, None], ts=5000, quality=[0, 129]))
    await store.commit()
    consumer.done("telemetry", consumer.epoch, 1, 2)
    await store.commit()
    assert [s.n for s in store.read_history("telemetry", 4000)] == [2]
    assert [s.n for s in store.read_history("telemetry", 6000)] == []
    expected = {"seq": 1, "ts": 5000, "device": "dev", "values": {"t0": 1.5, "t1": None}, "quality": {"t1": "bad/comm"}}
    assert store.entries_view("telemetry") == [expected]
    await clock.advance(3601)
    store.append_entry("event", {"ts": 1, "kind": "x"})
    await store.commit()
    assert store.entries_view("telemetry") == []
    assert store.gap_view() == []
    await store.close()


async def test_fl_50_a_wall_clock_that_steps_by_a_year_loses_and_reorders_nothing(tmp_path: Path) -> None:
    clock = ManualClock(wall_ms=0, synced=False)
    store = opened(tmp_path, clock, max_age_s=86_400.0, min_age_s=3600.0)
    assert store.state.epoch >= RELEASE_MS // 1000  # a clock that boots in 1970 gives no small epoch
    consumer = store.consumer("cloud")
    shared = block(store, 1)
    for i, step in enumerate((0, 31_536_000, -63_072_000, 1_800_000_000)):
        clock.step_wall(step)
        clock.set_synced(i == 3)
        store.observe_clock()
        store.append(batch(shared, [i], ts=clock.wall_ms()))
        await store.commit()
    segments = everything(consumer)
    assert numbers(segments) == [1, 2, 3, 4]
    assert [value for s in segments for value in s.values] == [0, 1, 2, 3]
    assert [s.clock for s in segments] == ["u", "u", "u", "s"]
    events = [row for s in everything(consumer, "event") for row in s.rows]
    assert [(e["kind"], e["from"], e["to"]) for e in events] == [
        ("clock", "u", "u"),
        ("clock", "u", "u"),
        ("clock", "u", "s"),
    ]
    await clock.advance(86_401)  # age counts on the boot clock
    store.append_entry("event", {"ts": 1, "kind": "x"})
    await store.commit()
    (gap,) = [gap for gap in consumer.gaps() if gap.stream == "telemetry"]
    assert (gap.first, gap.last, gap.why) == (1, 4, "age")
    await store.close()


async def test_readings_before_a_clock_step_keep_the_old_stamp_though_they_share_a_commit(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    consumer = store.consumer("cloud")
    shared = block(store, 1)
    store.append(batch(shared, [1]))
    clock.step_wall(100)
    store.observe_clock()
    store.append(batch(shared, [2]))
    await store.commit()
    before, after = everything(consumer)
    assert after.offset - before.offset == 100_000
    await store.close()


def test_an_epoch_never_goes_down() -> None:
    assert choose_epoch(1_900_000_000, 1_800_000_000_000, 0) == 1_900_000_001
    assert choose_epoch(5, 1_800_000_000_000, 0) == 1_800_000_000
    assert choose_epoch(0, 0, RELEASE_MS) >= RELEASE_MS // 1000


async def test_waiters_end_when_the_store_closes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    waiter = asyncio.create_task(store.wait_commit(10))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreError):
        await waiter
    with pytest.raises(StoreError):
        await store.submit(lambda _tx: None)


async def test_a_gap_record_without_numbers_can_be_acknowledged(tmp_path: Path) -> None:
    health = Health(ManualClock())
    store: Store = opened(tmp_path, health=health)
    consumer = store.consumer("a")
    record = Gap("telemetry", 7, None, None, None, 0, 5, "store")
    await store._change(lambda attempt: attempt.set_gaps(("a", "telemetry", 7), (record,)))
    await store.close()
    store = opened(tmp_path)
    consumer = store.consumer("a")
    assert list(consumer.gaps()) == [record]
    consumer.gap_done(record)
    await store.close()
    store = opened(tmp_path)
    assert list(store.consumer("a").gaps()) == []
    await store.close()


async def test_a_channel_that_begins_anew_knows_what_was_put_a_moment_ago(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.memory("line1").put("plan", {"gap": 10})
    assert store.memory("line1").get("plan") == {"gap": 10}, "no commit has come between"
    assert store.memory("line2").get("plan") is None
    store.abandon()
