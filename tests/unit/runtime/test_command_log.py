"""The table `command` on a real store: what goes in comes out, what cannot be read is not invented."""

import asyncio

from msgspec.structs import replace

from gateway.runtime.commandlog import TABLE, CommandLog
from gateway.uplink.commandrow import CommandRow, Reply
from tests.unit.store.kit import opened

ROW = CommandRow(
    "c1", "0123", "write", "pump", {"values": {"big": 2**80, "f": 0.1, "list": [1, None, "x"]}}, "me", "command",
    1_800_000_000_000, 5_000, "5f0c9a1e", exp=1_800_000_060_000, replies=(Reply("cloud", "a/b", b"\x00\xff"), Reply("b")),
)  # fmt: skip


async def put(store, *rows, forget=()):
    log = CommandLog(store)
    waiting = [asyncio.ensure_future(log.put(row, forget)) for row in rows]
    await asyncio.sleep(0)
    await store.commit()
    await asyncio.gather(*waiting)
    return log


async def test_a_row_comes_back_as_it_was_after_a_reopen(tmp_path):
    store = opened(tmp_path)
    ended = replace(ROW, rid="c2", state="done", result=b'{"v":1}' * 400, args={}, ended=5, ended_mono_ms=6)
    await put(store, ROW, ended)
    store.abandon()
    store = opened(tmp_path)
    log = CommandLog(store)
    assert log.get("c1") == ROW
    assert log.get("c2") == ended
    assert {row.rid for row in log.rows()} == {"c1", "c2"}
    await store.close()


async def test_what_is_forgotten_goes_in_the_same_commit(tmp_path):
    store = opened(tmp_path)
    await put(store, ROW)
    log = await put(store, replace(ROW, rid="c2"), forget=["c1", "never"])
    assert log.get("c1") is None
    assert log.get("c2") is not None
    await store.close()


async def test_an_uplink_that_has_the_result_is_owed_nothing_and_the_others_are(tmp_path):
    store = opened(tmp_path)
    log = await put(store, replace(ROW, state="done"))
    log.told("c1", "cloud")
    log.told("gone", "cloud")
    await store.commit()
    assert log.get("c1").replies == (Reply("b"),)
    await store.close()


async def test_rows_of_another_schema_or_without_sense_count_as_missing_and_stay(tmp_path, caplog):
    store = opened(tmp_path)
    log = await put(store, ROW)
    good = store.table(TABLE).get("c1")
    strange = {
        "later": {**good, "schema": 2},
        "text": "x",
        "broken": {**good, "at": "x"},
        "cut": {**good, "args": b"{"},
    }

    def work(tx):
        for rid, value in strange.items():
            tx.put(TABLE, rid, value)

    done = store.submit(work)
    await store.commit()
    await done
    assert [row.rid for row in log.rows()] == ["c1"]
    assert all(log.get(rid) is None for rid in strange)
    assert set(store.table(TABLE).items()) == {"c1", *strange}
    await store.close()
