"""The op `edgex_events` over a real store: all of a time, in order, and no more memory for more of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.local.eventexport import PAGE_BYTES, EventOps
from gateway.local.wire import OpError
from gateway.model import Batch, Block, ChannelSpec, DeviceSpec, Quality, Schedule, TagSpec, ValueType
from gateway.store import Store
from gateway.tags import TagTable
from gateway.testing import ManualClock
from tests.unit.edgexevents.edgex_schema import event_faults
from tests.unit.store.kit import opened

WALL = 1_800_000_000_000


class Named(Struct, frozen=True):
    id: str = "gw"


class Holder(Struct):
    """What the op takes of a node."""

    store: Store
    tags: TagTable
    settings: Any = Named()


def device(name: str, *paths: str) -> DeviceSpec:
    tags = tuple(TagSpec(path, ValueType.FLOAT32, None, unit="C") for path in paths)
    return DeviceSpec(name, None, tags, Schedule(1.0), profile="boiler")


def made(store: Store, *devices: DeviceSpec) -> tuple[TagTable, dict[str, Block]]:
    table = TagTable()
    channel = ChannelSpec("line", "sim", None, devices)
    names = table.names([channel])
    bound = table.bind(channel, dict(zip(names, store.bind_aliases(names), strict=True)))
    return table, {each.id: Block(each.id, each.tags) for each in bound}


async def items(store: Store, table: TagTable, **args: Any) -> list[dict[str, Any]]:
    return [item async for item in EventOps(Holder(store, table)).events(args)]


async def events(store: Store, table: TagTable, **args: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for item in await items(store, table, **args) for line in item.get("lines", [])]


async def test_readings_come_as_events_oldest_first(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    table, blocks = made(store, device("pump", "speed"), device("boiler", "t"))
    store.append(Batch(blocks["pump"], [25.1], WALL - 40, 1000.0))
    store.append(Batch(blocks["boiler"], [None], WALL + 5, 1000.005, quality=[Quality.BAD_COMM]))
    store.append(Batch(blocks["boiler"], [3.0], WALL + 6, 1000.006))
    found = await events(store, table)
    assert [(each["deviceName"], each["readings"][0]["value"]) for each in found] == [
        ("pump", "2.51e+01"),
        ("boiler", "3e+00"),
    ]
    assert not [fault for event in found for fault in event_faults(event)]
    everything = await events(store, table, quality="all")
    assert [each["readings"][0]["value"] for each in everything] == ["2.51e+01", None, "3e+00"]
    await store.close()


async def test_only_what_is_not_older_than_asked(tmp_path: Path) -> None:
    clock = ManualClock(WALL)
    store = opened(tmp_path, clock)
    table, blocks = made(store, device("pump", "speed"))
    for minute in range(10):
        store.append(Batch(blocks["pump"], [float(minute)], clock.wall_ms(), clock.mono()))
        await store.commit()
        await clock.advance(60)
    found = await events(store, table, since_ms=WALL + 7 * 60_000)
    assert [each["readings"][0]["value"] for each in found] == ["7e+00", "8e+00", "9e+00"]
    await store.close()


async def test_a_tag_that_was_removed_is_told_under_the_type_of_its_values(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    _, blocks = made(store, device("pump", "a/b"))
    store.append(Batch(blocks["pump"], [25.1], WALL, 1000.0))
    (event,) = await events(store, TagTable())
    (reading,) = event["readings"]
    assert (event["deviceName"], event["profileName"], event["sourceName"]) == ("pump", "pump", "a%2Fb")
    assert (reading["valueType"], reading["value"]) == ("Float64", "2.51e+01")
    await store.close()


async def test_pages_are_bounded_and_nothing_is_missing_of_many(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    table, blocks = made(store, device("pump", "speed"))
    for count in range(3000):
        store.append(Batch(blocks["pump"], [float(count)], WALL + count, 1000.0 + count / 1000))
    pages = [item["lines"] for item in await items(store, table)]
    assert len(pages) > 2
    assert max(sum(map(len, page)) for page in pages) < PAGE_BYTES + 2000
    values = [float(json.loads(line)["readings"][0]["value"]) for page in pages for line in page]
    assert values == [float(count) for count in range(3000)]
    await store.close()


async def test_numbers_that_are_not_held_are_told(tmp_path: Path) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    table, blocks = made(store, device("pump", "speed"))
    for count in range(3):
        store.append(Batch(blocks["pump"], [float(count)], WALL + count, 1000.0))
        await store.commit()
    epoch = store.state.epoch
    store.report_damaged("telemetry", epoch, 2)
    await store.commit()
    found = await items(store, table)
    assert [item["gap"] for item in found if "gap" in item] == [{"epoch": epoch, "from": 2, "to": 2}]
    assert [len(item["lines"]) for item in found if "lines" in item] == [1, 1]
    await store.close()


@pytest.mark.parametrize("args", [{"quality": "some"}, {"since_ms": "now"}, {"until": 3}])
async def test_wrong_arguments_are_refused(tmp_path: Path, args: dict[str, Any]) -> None:
    store = opened(tmp_path, ManualClock(WALL))
    with pytest.raises(OpError, match="edgex_events"):
        await items(store, TagTable(), **args)
    await store.close()
