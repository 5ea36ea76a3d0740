"""The op `history` over a real store: order, times, gaps, choices, and readers that are slow."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.local.client import AsyncClient
from gateway.local.connection import Handler
from gateway.local.history import PAGE_ENTRIES, HistoryOps
from gateway.local.server import LocalServer
from gateway.local.wire import OpError
from gateway.model import Batch, Block, Quality, Tag, TagSpec, ValueType
from gateway.store import Store
from gateway.testing import ManualClock
from tests.unit.store.kit import opened

WALL = 1_800_000_000_000


class Holder(Struct):
    """What the op takes of a node."""

    store: Store


def blocks(store: Store, names: dict[str, list[str]], type_: ValueType = ValueType.FLOAT64) -> dict[str, Block]:
    pairs = [(device, path) for device, paths in names.items() for path in paths]
    aliases = dict(zip(pairs, store.bind_aliases(pairs), strict=True))
    found = {}
    for device, paths in names.items():
        spec = TagSpec("t", type_, None)
        found[device] = Block(device, [Tag(device, path, 0, aliases[device, path], spec) for path in paths])
    return found


async def items(store: Store, **args: Any) -> list[dict[str, Any]]:
    return [item async for item in HistoryOps(Holder(store)).history(args)]


async def entries(store: Store, **args: Any) -> list[dict[str, Any]]:
    return [entry for item in await items(store, **args) for entry in item.get("entries", [])]


async def test_batches_come_back_as_they_came(tmp_path: Path) -> None:
    clock = ManualClock(WALL)
    store = opened(tmp_path, clock)
    made = blocks(store, {"pump": ["speed", "run"], "boiler": ["t"]})
    store.append(Batch(made["pump"], [21.5, True], WALL - 40, 1000.0))
    store.append(Batch(made["boiler"], [None], WALL + 5, 1000.005, quality=[Quality.BAD_COMM]))
    store.append(Batch(made["pump"], [False], WALL + 7, 1000.0071, index=[1]))
    (item,) = await items(store)
    boot, epoch = item["entries"][0]["boot"], store.state.epoch
    common = {"boot": boot, "epoch": epoch, "offset": WALL - 1_000_000}
    assert item["entries"] == [
        {
            **common,
            "at": 1_000_000,
            "ts": WALL - 40,
            "device": "pump",
            "tags": ["speed", "run"],
            "values": [21.5, True],
            "seq": 1,
        },
        {
            **common,
            "at": 1_000_005,
            "ts": WALL + 5,
            "device": "boiler",
            "tags": ["t"],
            "values": [None],
            "quality": ["bad/comm"],
            "seq": 3,
        },
        {**common, "at": 1_000_007, "ts": WALL + 7, "device": "pump", "tags": ["run"], "values": [False], "seq": 4},
    ]
    await store.close()


async def test_what_json_cannot_say_comes_back_without_loss(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    made = blocks(store, {"d": ["t"]})
    for value in (b"\x00\xff", math.nan, -math.inf, 2**63, "x"):
        store.append(Batch(made["d"], [value], WALL, 1000.0))
    values = [entry["values"][0] for entry in await entries(store)]
    assert values == [{"hex": "00ff"}, {"float": "nan"}, {"float": "-inf"}, 2**63, "x"]
    await store.close()


async def test_a_batch_that_was_stored_in_parts_comes_back_whole(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    made = blocks(store, {"d": [f"t{i}" for i in range(5000)]})
    store.append(Batch(made["d"], [float(i) for i in range(5000)], WALL, 1000.0))
    store.append(Batch(made["d"], [1.0], WALL, 1000.0, index=[7]))
    both = await entries(store)
    assert [len(entry["values"]) for entry in both] == [5000, 1]
    assert both[0]["values"] == [float(i) for i in range(5000)]
    chosen = await entries(store, tags=["d.t7", "d.t4999"])
    assert [(entry["tags"], entry["values"]) for entry in chosen] == [(["t7", "t4999"], [7.0, 4999.0]), (["t7"], [1.0])]
    await store.close()


async def test_only_what_is_asked_for_in_time_and_by_device(tmp_path: Path) -> None:
    clock = ManualClock(WALL)
    store = opened(tmp_path, clock)
    made = blocks(store, {"a": ["t"], "b": ["t"]})
    for i in range(10):
        for device in ("a", "b"):
            store.append(Batch(made[device], [i], clock.wall_ms(), clock.mono()))
        await store.commit()
        await clock.advance(60)
    within = await entries(store, since_ms=WALL + 120_000, until_ms=WALL + 240_000, devices=["b"])
    assert [(entry["device"], entry["values"]) for entry in within] == [("b", [2]), ("b", [3]), ("b", [4])]
    await store.close()


async def test_a_boot_in_1970_is_found_where_it_belongs(tmp_path: Path) -> None:
    clock = ManualClock(0, synced=False)
    store = opened(tmp_path, clock)
    made = blocks(store, {"a": ["t"]})
    store.append(Batch(made["a"], [1], clock.wall_ms(), clock.mono()))
    await clock.advance(5)
    clock.step_wall(WALL / 1000)
    clock.set_synced(True)
    store.observe_clock()
    store.append(Batch(made["a"], [2], clock.wall_ms(), clock.mono()))
    assert [entry["values"] for entry in await entries(store, since_ms=WALL)] == [[1], [2]]
    assert [entry["values"] for entry in await entries(store, since_ms=WALL + 4_000)] == [[2]]
    (clocked,) = await entries(store, stream="event", kinds=["clock"])
    assert (clocked["at_mono"], clocked["offset_new"] - clocked["offset_old"]) == (1_005_000, WALL)
    await store.close()


async def test_missing_numbers_are_told_where_they_are_missing(tmp_path: Path) -> None:
    clock = ManualClock(WALL)
    store = opened(tmp_path, clock)
    made = blocks(store, {"a": ["t"]})
    for i in range(3):
        store.append(Batch(made["a"], [i], clock.wall_ms(), clock.mono()))
        await store.commit()
        await clock.advance(1)
    store.report_damaged("telemetry", store.state.epoch, 2)  # as if its check had failed
    await store.commit()
    first, gap, last = await items(store)
    assert (first["entries"][0]["values"], last["entries"][0]["values"]) == ([0], [2])
    assert gap == {"gap": {"epoch": store.state.epoch, "from": 2, "to": 2}}
    await store.close()


async def test_entries_of_rules_and_people_can_be_told_apart(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    for number, who in enumerate(("rule:overheat", "anna", "rule:leak")):
        store.append_entry("event", {"ts": WALL + number, "kind": "audit", "who": who, "what": "write"})
    store.append_entry("event", {"ts": WALL, "kind": "issue", "id": "x"})
    store.append_entry("alarm", {"ts": WALL, "kind": "alarm", "id": "overheat", "device": "gateway"})
    found = await entries(store, stream="event", kinds=["audit", "clock"], who="rule:")
    assert [entry["who"] for entry in found] == ["rule:overheat", "rule:leak"]
    store.append_entry("event", {"ts": WALL + 9, "kind": "audit", "who": "anna", "what": "maintenance"})
    found = await entries(store, stream="event", kinds=["audit"], what=["maintenance", "maintenance_end"])
    assert [entry["what"] for entry in found] == ["maintenance"]
    (alarm,) = await entries(store, stream="alarm")
    assert (alarm["id"], alarm["epoch"], alarm["seq"]) == ("overheat", store.state.epoch, 1)
    await store.close()


@pytest.mark.parametrize("args", [{"since_ms": "now"}, {"stream": "log"}, {"stram": "alarm"}, {"tags": "a.b"}])
async def test_arguments_of_another_kind_are_refused(tmp_path: Path, args: dict[str, Any]) -> None:
    store = opened(tmp_path)
    with pytest.raises(OpError):
        await items(store, **args)
    await store.close()


@asynccontextmanager
async def served(store: Store, path: Path) -> AsyncIterator[Path]:
    handler = Handler(HistoryOps(Holder(store)).history, stream=True, whole=True)
    server = LocalServer(path, {"history": handler}, logging.getLogger("fieldpost.local"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.run())
        await server.listening.wait()
        yield path
        running.cancel()


async def test_a_slow_reader_loses_nothing_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    store = opened(tmp_path / "state", ManualClock(WALL))
    made = blocks(store, {"a": ["t"]}, ValueType.STRING)
    count = 12 * PAGE_ENTRIES
    for i in range(count):
        store.append(Batch(made["a"], [f"{i:0400d}"], WALL + i, 1000.0 + i / 1000))
    async with (
        served(store, tmp_path / "s") as path,
        AsyncClient(path, items=4 * PAGE_ENTRIES) as slow,
        AsyncClient(path) as other,
    ):
        seen: list[str] = []
        async for item in slow.stream("history"):
            seen += [entry["values"][0] for entry in item["entries"]]
            if len(seen) < 3 * PAGE_ENTRIES:
                assert [page async for page in other.stream("history", {"devices": ["none"]})] == []
    assert seen == [f"{i:0400d}" for i in range(count)]
    await store.close()
