"""FL-6 and the restore of an old copy: damage is found, told, and the service goes on."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from gateway.errors import StoreDamaged
from gateway.health import Health
from gateway.store import Store
from gateway.store.verify import verify_in_child
from gateway.testing import ManualClock
from tests.unit.store.kit import batch, block, everything, numbers, opened

COMMITS = 12


async def _filled(path: Path, *, clean: bool = True) -> int:
    """A store with 12 segments of 200 readings, of which uplink `a` has taken 200; returns its epoch."""
    store = opened(path)
    consumer = store.consumer("a")
    shared = block(store, 100)
    rng = random.Random(7)
    for i in range(COMMITS):
        for _ in range(2):
            store.append(batch(shared, [rng.random() for _ in range(100)], ts=1000 + i))
        await store.commit()
    consumer.done("telemetry", consumer.epoch, 1, 200)
    await store.commit()
    epoch = consumer.epoch
    if clean:
        await store.close()
    else:
        store.abandon()
    return epoch


def _data(path: Path) -> Path:
    return path / "store" / "journal" / "data.mdb"


def _damage(path: Path, offset: int, content: bytes) -> None:
    with _data(path).open("r+b") as file:
        file.seek(offset)
        file.write(content)


async def _works(store: Store) -> None:
    """The service goes on: a new reading is stored and delivered."""
    consumer = store.consumer("a")
    store.append(batch(block(store, 2), [1.0, 2.0]))
    await store.commit()
    last = everything(consumer)[-1]
    assert (last.epoch, last.last) == consumer.mark("telemetry")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.35, 0.5])
async def test_fl_6_a_truncated_store_is_quarantined_and_its_loss_is_told(tmp_path: Path, share: float) -> None:
    old = await _filled(tmp_path)
    data = _data(tmp_path)
    with data.open("r+b") as file:
        file.truncate(int(data.stat().st_size * share) or 100)
    health = Health(ManualClock())
    store = opened(tmp_path, health=health)
    assert store.report.quarantined
    assert store.state.epoch > old
    gaps = [gap for gap in store.consumer("a").gaps() if gap.stream == "telemetry"]
    assert [(gap.epoch, gap.first, gap.last, gap.why) for gap in gaps] == [(old, 201, 200 * COMMITS, "store")]
    assert [issue.id for issue in health.open()] == ["store_quarantined"]
    await _works(store)
    await store.close()
    events = [row for s in everything(opened(tmp_path).consumer("b"), "event") for row in s.rows]
    assert [event["id"] for event in events] == ["store_quarantined"]


async def test_fl_6_a_flipped_or_zeroed_segment_is_a_gap_of_its_own_numbers(tmp_path: Path) -> None:
    """LMDB reads a zeroed page of values without an error: only the CRC tells."""
    epoch = await _filled(tmp_path)
    store = opened(tmp_path)
    wanted = next(h for h in store.reader.headers("telemetry") if h.first == 1001)
    with store.reader._environment.read() as tx:
        stored = bytes(
            tx.get(
                b"".join(n.to_bytes(8, "big") for n in (epoch, 1001)), db=store.reader._environment.streams["telemetry"]
            )
        )
    await store.close()
    raw = _data(tmp_path).read_bytes()
    _data(tmp_path).write_bytes(raw.replace(stored[100:600], bytes(500)))
    store = opened(tmp_path)
    consumer = store.consumer("a")
    found = numbers(everything(consumer))
    assert found == [*range(201, 1001), *range(1001 + wanted.n, 200 * COMMITS + 1)]
    await store.commit()
    (gap,) = consumer.gaps()
    assert (gap.first, gap.last, gap.why) == (1001, 1200, "disk")
    assert store.state.epoch == epoch
    await store.close()


@pytest.mark.parametrize("seed", range(50))
async def test_fl_6_flipped_bytes_never_give_a_wrong_value_nor_stop_the_service(tmp_path: Path, seed: int) -> None:
    """50 places: each reading is delivered as it was, or in a gap record, and the store opens and works."""
    epoch = await _filled(tmp_path)
    rng = random.Random(seed)
    size = _data(tmp_path).stat().st_size
    offset = rng.randrange(size - 16)
    with _data(tmp_path).open("r+b") as file:
        file.seek(offset)
        before = file.read(16)
        file.seek(offset)
        file.write(bytes(byte ^ rng.randrange(1, 256) for byte in before))
    # A process that died of it leaves its marker; the next one verifies before it opens.
    (tmp_path / "store" / "open").write_text(json.dumps({"state": "opening", "deaths": 1}))
    store = opened(tmp_path)
    consumer = store.consumer("a")
    segments = everything(consumer)
    await store.commit()
    rng = random.Random(7)
    truth = {(epoch, n + 1): rng.random() for n in range(200 * COMMITS)}
    received: dict[tuple[int, int], float] = {}
    for segment in segments:
        received.update({(segment.epoch, segment.first + i): value for i, value in enumerate(segment.values)})
    assert received.items() <= truth.items()
    lost = {(gap.epoch, n) for gap in consumer.gaps() if gap.first and gap.last for n in range(gap.first, gap.last + 1)}
    assert {(epoch, n) for n in range(201, 200 * COMMITS + 1)} <= received.keys() | lost
    await _works(store)
    await store.close()


async def test_a_damaged_page_found_while_running_leads_to_a_verified_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.abandon()
    (tmp_path / "store" / "open").write_text(json.dumps({"state": "suspect", "deaths": 0}))
    store = opened(tmp_path)
    assert store.report.verified == "no damage"
    assert not store.report.quarantined
    await store.close()
    store = opened(tmp_path)
    assert not store.report.died
    await store.close()


async def test_three_deaths_soon_after_opening_make_the_next_start_verify(tmp_path: Path) -> None:
    for _ in range(4):
        store = opened(tmp_path)
        assert store.report.verified == ""
        store.abandon()
    store = opened(tmp_path)
    assert store.report.verified == "no damage"
    await store.checkpoint({})
    store.abandon()
    store = opened(tmp_path)  # the checkpoint shows that it ran for a while: the count began anew
    assert store.report.verified == ""
    await store.close()


async def test_the_verifier_dies_instead_of_us_when_the_file_is_cut(tmp_path: Path) -> None:
    await _filled(tmp_path)
    with _data(tmp_path).open("r+b") as file:
        file.truncate(3 * 4096)
    assert not verify_in_child(tmp_path / "store" / "journal").ok


async def test_quarantine_keeps_only_the_newest_few(tmp_path: Path) -> None:
    for _ in range(6):
        await _filled(tmp_path)
        with _data(tmp_path).open("r+b") as file:
            file.write(bytes(8192))
        store = opened(tmp_path)
        assert store.report.quarantined
        await store.close()
    assert len(list((tmp_path / "store" / "quarantine").iterdir())) == 3


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "killed"])
async def test_j15_a_restored_copy_begins_a_new_epoch_and_tells_what_it_does_not_hold(
    tmp_path: Path, *, clean: bool
) -> None:
    old = await _filled(tmp_path)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    store = opened(tmp_path)
    store.append(batch(block(store, 50), [0.5] * 50))
    await store.commit()
    if clean:
        await store.close()
    else:
        store.abandon()
    shutil.rmtree(tmp_path / "store")
    shutil.move(tmp_path / "copy", tmp_path / "store")
    health = Health(ManualClock())
    store = opened(tmp_path, health=health)
    assert store.report.restored
    assert store.state.epoch > old
    consumer = store.consumer("a")
    (gap,) = [gap for gap in consumer.gaps() if gap.stream == "telemetry"]
    assert (gap.epoch, gap.first, gap.last, gap.why) == (old, 200 * COMMITS + 1, 200 * COMMITS + 50, "store")
    assert numbers(everything(consumer)) == list(range(201, 200 * COMMITS + 1))
    await _works(store)
    await store.close()


async def test_a_copy_taken_while_running_and_put_back_after_a_kill_is_found_too(tmp_path: Path) -> None:
    """The opening count is equal then: the commit count of the mirror tells."""
    store = opened(tmp_path)
    store.append(batch(block(store, 2), [1, 2]))
    await store.commit()
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    store.append(batch(block(store, 2), [3, 4]))
    await store.commit()
    store.abandon()
    shutil.rmtree(tmp_path / "store")
    shutil.move(tmp_path / "copy", tmp_path / "store")
    store = opened(tmp_path)
    assert store.report.restored
    await store.close()


async def test_a_power_cut_leaves_a_tail_that_can_never_be_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another boot: the mirror may lack its last seconds, so an open-ended record follows the exact one."""
    await _filled(tmp_path, clean=False)
    _damage(tmp_path, 0, bytes(8192))
    monkeypatch.setattr("gateway.store.recovery.boot_id", lambda: "another0")
    store = opened(tmp_path)
    gaps = [gap for gap in store.consumer("a").gaps() if gap.stream == "telemetry"]
    assert [(gap.first, gap.last) for gap in gaps] == [(None, None), (201, 200 * COMMITS)]
    await store.close()


async def test_damaged_last_values_are_thrown_away_and_told(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.checkpoint({("d", "x"): (1.5, 1, 0)})
    await store.close()
    (tmp_path / "store" / "values" / "data.mdb").write_bytes(b"no database at all" * 1000)
    health = Health(ManualClock())
    store = opened(tmp_path, health=health)
    assert store.last_values() == {}
    assert [issue.id for issue in health.open()] == ["values_damaged"]
    await store.close()


async def test_a_broken_tree_found_by_a_reader_ends_the_store_and_is_verified_at_the_next_start(tmp_path: Path) -> None:
    epoch = await _filled(tmp_path)
    store = opened(tmp_path)
    consumer = store.consumer("a")
    raw = _data(tmp_path).read_bytes()
    # Every branch and leaf page but the first two (LMDB's meta pages) gets flags that no page has.
    with _data(tmp_path).open("r+b") as file:
        for page in range(2, len(raw) // 4096):
            file.seek(page * 4096 + 10)
            file.write(b"\xff\x00")
    with pytest.raises(StoreDamaged):
        consumer.next_segment("telemetry", (0, 0))
    with pytest.raises(StoreDamaged):
        await store.run()
    store.abandon()
    store = opened(tmp_path)
    assert store.report.quarantined
    assert store.state.epoch > epoch
    await store.close()


@pytest.mark.parametrize("how", ["deleted", "emptied", "garbage"])
async def test_a_journal_that_is_gone_is_told_also_where_no_uplink_waited_for_it(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(tmp_path)
    store.append(batch(block(store, 10), [1.0] * 10))
    await store.commit()
    await store.close()
    if how == "deleted":
        _data(tmp_path).unlink()
    else:
        _data(tmp_path).write_bytes(b"" if how == "emptied" else random.Random(3).randbytes(200_000))
    health = Health(ManualClock())
    again = opened(tmp_path, health=health)
    issues = {issue.id for issue in health.open()}
    assert issues & {"store_missing", "store_quarantined"}
    assert any("a new one has begun" in record.getMessage() for record in caplog.records)
    await _works(again)
    await again.close()
