"""The audit chain in a real store: over restarts, kills, retention, a new store, and whatever is done to its file."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import ROOT, Audit, entry_hash
from gateway.errors import StoreFull
from gateway.journal import Level
from gateway.logs import FloodFilter
from gateway.runtime.trail import Trail, Wanted
from gateway.store.dropped import MAX_RANGES, merged
from gateway.testing import ManualClock
from tests.unit.store.audited import Row, filled, made, tampered, values, verified
from tests.unit.store.kit import batch, block, everything, opened

KILLS = int(os.environ.get("FIELDPOST_KILLS", "3"))


async def test_entries_are_chained_as_they_go_out(tmp_path: Path) -> None:
    store = opened(tmp_path)
    consumer = store.consumer("cloud", streams=("event",))
    await made(store, 1, 3)
    sent = [row for segment in everything(consumer, "event") for row in segment.rows if row["kind"] == "audit"]
    assert [row["prev"] for row in sent] == [ROOT, sent[0]["hash"], sent[1]["hash"]]
    assert [entry_hash(row) for row in sent] == [row["hash"] for row in sent]
    await store.close()


async def test_the_chain_goes_on_over_restarts(tmp_path: Path) -> None:
    for start in (1, 4, 7):
        store = opened(tmp_path)
        await made(store, start, 3)
        await store.close()
    found = await verified(tmp_path)
    assert (found.ok, found.entries, found.gaps) == (True, 9, ())


async def test_entries_are_listed_newest_last_by_time_person_and_device(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    audit = Audit(clock, store)
    for number, (who, device) in enumerate([("anna", "pump"), ("ben", "pump"), ("anna", "fan"), ("anna", "pump")]):
        audit.record(who, "local", "write", device=device, new=number)
        await clock.advance(60)
        await store.commit()
    start = clock.wall_ms() - 240_000
    assert await values(store) == [0, 1, 2, 3]
    assert await values(store, limit=2) == [2, 3]
    assert await values(store, who="anna") == [0, 2, 3]
    assert await values(store, device="pump", who="anna", limit=1) == [3]
    assert await values(store, since_ms=start + 61_000) == [2, 3]
    assert {row["epoch"] for row in await Trail(store).rows(Wanted())} == {store.state.epoch}
    await store.close()


def _other_value(rows: list[Row]) -> list[Row]:
    return [{**row, "new": 99} if row["kind"] == "audit" else row for row in rows]


def _other_value_and_hash(rows: list[Row]) -> list[Row]:
    changed = _other_value(rows)
    return [{**row, "hash": entry_hash(row)} if row["kind"] == "audit" else row for row in changed]


def _without(rows: list[Row]) -> list[Row]:
    return [{"ts": 1, "kind": "device", "device": "pump"} if row["kind"] == "audit" else row for row in rows]


def _swapped(rows: list[Row]) -> list[Row]:
    return rows[::-1]


@pytest.mark.parametrize("first", [1, 5, 11])
@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (_other_value, {"changed"}),
        (_other_value_and_hash, {"changed", "missing"}),
        (_without, {"missing"}),
        (_swapped, {"changed"}),
        (None, {"missing"}),
    ],
)
async def test_whatever_is_done_to_an_entry_of_the_file_is_found(
    tmp_path: Path, first: int, change: Any, kinds: set[str]
) -> None:
    """The first, one in the middle, the last; `None` takes the whole segment away."""
    epoch = await filled(tmp_path)
    assert (await verified(tmp_path)).ok
    with tampered(tmp_path) as file:
        if change is None:
            file.remove(epoch, first)
        else:
            file.rewrite(epoch, first, change)
    found = await verified(tmp_path)
    assert found.fault is not None
    assert found.fault.kind in kinds
    assert first - 2 <= found.fault.seq <= first + 2


async def test_a_removed_end_mark_is_found(tmp_path: Path) -> None:
    epoch = await filled(tmp_path)
    with tampered(tmp_path) as file:
        assert file.tx.delete(f"row\0audit\0{epoch}".encode())
    found = await verified(tmp_path)
    assert found.fault is not None
    assert found.fault.kind == "missing"


async def test_what_retention_drops_is_named_and_the_rest_is_verified(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock, max_age_s=7200.0, min_age_s=3600.0)
    await made(store, 1, 3, clock)
    await clock.advance(3500)
    await made(store, 4, 3, clock)
    await clock.advance(200)
    await made(store, 7, 1, clock)
    found = await Trail(store).verify()
    assert found.ok
    assert [(hole.first, hole.last, hole.why) for hole in found.gaps] == [(1, 6, "age")]
    assert found.entries == 4
    assert await values(store) == [4, 5, 6, 7]
    await store.close()
    epoch = store.state.epoch
    with tampered(tmp_path) as file:
        file.remove(epoch, 7)  # the next one after what was dropped
    clock = ManualClock(wall_ms=clock.wall_ms(), mono=clock.mono())
    store = opened(tmp_path, clock, max_age_s=7200.0, min_age_s=3600.0)
    found = await Trail(store).verify()
    assert found.fault is not None
    assert found.fault.kind == "missing"
    await store.close()


async def test_a_journal_at_its_cap_drops_events_last_and_names_them(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=1_000_000)
    audit, rng = Audit(ManualClock(), store), random.Random(3)
    for number in range(200):
        for _ in range(40):
            text = rng.randbytes(128).hex()
            audit.record("anna", "local", "write", device="pump", tag="level", old=text, new=number)
        await store.commit()
    found = await Trail(store).verify()
    assert found.ok
    assert [hole.why for hole in found.gaps] == ["size"]
    assert found.gaps[0].first == 1
    assert found.heads[0].seq == 8000
    await store.close()


async def test_an_unreadable_segment_is_named_as_damage(tmp_path: Path) -> None:
    epoch = await filled(tmp_path)
    with tampered(tmp_path) as file:
        key = epoch.to_bytes(8, "big") + (5).to_bytes(8, "big")
        raw = bytearray(file.tx.get(key, db=file._events))
        raw[-3] ^= 0xFF
        file.tx.put(key, bytes(raw), db=file._events)
    for _ in range(2):  # while it is found, and after it was dropped
        found = await verified(tmp_path)
        assert found.ok
        assert [(hole.first, hole.last, hole.why) for hole in found.gaps] == [(5, 6, "disk")]


async def test_a_new_store_and_a_restored_one_begin_a_chain_of_their_own(tmp_path: Path) -> None:
    first = await filled(tmp_path)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    store = opened(tmp_path)
    await made(store, 7, 1)
    await store.close()
    shutil.rmtree(tmp_path / "store")
    shutil.move(tmp_path / "copy", tmp_path / "store")
    store = opened(tmp_path)
    assert store.state.epoch > first
    await made(store, 1, 2)
    rows = await Trail(store).rows(Wanted(limit=2))
    assert [(row["epoch"], row["prev"]) for row in rows] == [
        (store.state.epoch, ROOT),
        (store.state.epoch, rows[0]["hash"]),
    ]
    found = await Trail(store).verify()
    assert (found.ok, found.entries) == (True, 8)
    assert [head.epoch for head in found.heads] == [first, store.state.epoch]
    await store.close()
    shutil.rmtree(tmp_path / "store")
    store = opened(tmp_path)
    await made(store, 1, 1)
    assert [row["prev"] for row in await Trail(store).rows(Wanted())] == [ROOT]
    assert (await Trail(store).verify()).ok
    await store.close()


async def test_a_check_follows_what_is_written_while_it_runs(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await made(store, 1, 20)
    trail = Trail(store)
    taken: list[int] = []
    walk = trail._entries

    async def slowly(chain: Any) -> Any:
        async for entry in walk(chain):
            yield entry
            if len(taken) < 5:
                taken.append(1)
                await made(store, 100 + len(taken), 1)

    trail._entries = slowly  # type: ignore[method-assign]
    found = await trail.verify()
    assert (found.ok, found.entries) == (True, 25)
    await store.close()


@pytest.mark.parametrize("seed", range(2))
async def test_fl_2_the_chain_survives_kill_9(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.unit.store.audited", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            printed = [writer.stdout.readline() for _ in range(rng.randrange(1, 40))]
            writer.kill()
            printed += writer.stdout.readlines()
        assert printed[0], "the writer ended by itself"
        durable = max(int(line) for line in printed if line.endswith("\n"))
        found = await verified(tmp_path)
        assert found.fault is None, f"seed {seed}: {found.fault}"
        assert found.gaps == ()
        assert found.heads[-1].seq >= durable - 1  # the last number of a commit is an entry of another kind


async def test_each_entry_is_a_line_of_the_log_without_secrets_and_without_lines_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fieldpost.audit")
    store = opened(tmp_path)
    audit = Audit(ManualClock(), store)
    audit.record("anna", "local", "write", device="pump", tag="run", old=False, new=True, code=200)
    audit.record("x\n<3>fieldpost: all is well", "command", "write", new="a\r\nb", password="hunter2")
    audit.record("ben", "local", "write", device="panel", tag="door/password", old="hunter2", new="hunter3")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == ('who="anna" via="local" what="write" device="pump" tag="run" old=false new=true code=200')
    assert len(lines) == 3
    assert not any(char in line for line in lines for char in "\r\n")
    assert "hunter" not in " ".join(lines)
    await store.commit()
    (row,) = await Trail(store).rows(Wanted(who="x\n<3>fieldpost: all is well"))
    assert row["password"] == "***"
    assert (await Trail(store).verify()).ok
    await store.close()


def test_no_line_of_the_audit_log_is_held_back_as_a_flood() -> None:
    flood = FloodFilter(burst=1)
    record = logging.LogRecord("fieldpost.audit", logging.INFO, "audit.py", 1, "a write", (), None)
    assert all(flood.filter(record) for _ in range(100))


async def test_any_value_can_be_audited(tmp_path: Path) -> None:
    store = opened(tmp_path)
    audit = Audit(ManualClock(), store)
    odd = [
        None,
        float("nan"),
        float("inf"),
        -0.0,
        2**70,
        b"\xff\x00",
        "x" * 5000,
        "\ud800",
        [1, [2]],
        {"a": 1},
        object(),
    ]
    for value in odd:
        audit.record("a" * 500, "local", "write", new=value, old=[value])
    await store.commit()
    rows = await Trail(store).rows(Wanted())
    assert len(rows) == len(odd)
    assert all(len(str(row)) < 2500 for row in rows)
    assert (await Trail(store).verify()).ok
    await store.close()


class Full:
    """A journal that has no room for the next `left` works."""

    def __init__(self, store: Any, left: int) -> None:
        self.store = store
        self.left = left

    def submit(self, work: Any, level: Level) -> Any:
        future = self.store.submit(work if self.left <= 0 else _no_room, level)
        self.left -= 1
        return future


def _no_room(_tx: Any) -> None:
    raise StoreFull("the journal has no room")


async def test_entries_that_found_no_room_are_counted_in_the_chain(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(tmp_path)
    audit = Audit(ManualClock(), Full(store, 4))  # type: ignore[arg-type]
    for number in range(3):
        audit.record("anna", "local", "write", new=number)
    await store.commit()
    await asyncio.sleep(0)
    audit.record("anna", "local", "write", new=3)  # the count itself finds no room, this one does
    await store.commit()
    await asyncio.sleep(0)
    audit.record("anna", "local", "write", new=4)
    await store.commit()
    rows = await Trail(store).rows(Wanted())
    assert [(row["what"], row.get("new", row.get("n_lost"))) for row in rows] == [
        ("write", 3),
        ("audit_lost", 3),
        ("write", 4),
    ]
    assert (await Trail(store).verify()).ok
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 4
    await store.close()


async def test_telemetry_that_is_dropped_leaves_no_rows_behind(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=1_000_000)
    shared, rng = block(store, 100), random.Random(1)
    for _ in range(60):
        for _ in range(40):
            store.append(batch(shared, [rng.random() for _ in range(100)]))
        await store.commit()
    assert store.stats()["streams"]["telemetry"]["oldest"] > 1
    assert store.table("dropped").items() == {}
    await store.close()


def test_ranges_of_dropped_numbers_melt_together_and_stay_few() -> None:
    assert merged([[1, 4, "age"]], 5, 6, "age") == [[1, 6, "age"]]
    assert merged([[1, 4, "age"]], 5, 6, "size") == [[1, 4, "age"], [5, 6, "size"]]
    assert merged([[9, 9, "age"]], 1, 4, "age") == [[1, 4, "age"], [9, 9, "age"]]
    many: list[list[Any]] = []
    for number in range(0, 1000, 3):
        many = merged(many, number, number, "disk")
    assert len(many) == MAX_RANGES
    assert (many[0][0], many[-1][1]) == (0, 999)
