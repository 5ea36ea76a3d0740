"""OPC UA at full length: fifty restarts of a server, and a tree of a hundred thousand nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model import Quality
from tests.drivers.opcua.kit import at_work, channel_of, tag_spec
from tests.support.eventually import eventually
from tests.support.opcua_plant import LINE
from tests.support.opcua_process import PlantProcess
from tests.support.parts import require
from tests.support.scale import SOAK

GOOD = Quality.GOOD


@pytest.fixture
def plant() -> Iterator[PlantProcess]:
    require("asyncua")
    made = PlantProcess(5)
    yield made
    made.close()


def anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.timeout(3600)
async def test_fl_35_fifty_restarts_with_other_namespace_numbers_take_ten_seconds_each(plant: PlantProcess) -> None:
    """FL-35: values back in 10 s, one session on the server, nothing left behind in this process."""
    index = await plant.say("index")
    tags = [tag_spec("by_index", f"ns={index};s=Line.Speed"), tag_spec("path", "/Objects/Line/Speed")]
    tags.append(tag_spec("position", f"nsu={LINE};s=Line.Axis#.position"))
    times = 50 if SOAK else 3
    async with at_work(channel_of(plant.url, tags)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 3)
        tasks, files, numbers = 0, 0, set[int]()
        for seed in range(1, times + 1):
            await plant.say("restart", seed)
            numbers.add(await plant.say("index"))
            await plant.say("put", "Speed", 1000.0 + seed)
            wanted = {f"line.{name}": (1000.0 + seed, GOOD) for name in ("by_index", "path")}
            wanted["line.position"] = (1.5, GOOD)
            await eventually(lambda w=wanted: ctx.latest() == w, within=10, why=lambda: str((ctx.latest(), ctx.states)))
            assert await plant.say("sessions") == 1
            if seed == 2:
                tasks, files = len(asyncio.all_tasks()), open_files()
        assert driver.counters()["connections"] == times + 1
        assert len(numbers) > 1
        assert len(asyncio.all_tasks()) <= tasks + 1
        assert open_files() <= files + 2


@pytest.mark.timeout(3600)
async def test_fl_37_a_large_tree_is_shown_in_bounded_memory_and_can_be_left(plant: PlantProcess) -> None:
    """FL-37: each node once although a folder holds itself, in the memory of a few pages."""
    count = 100_000 if SOAK else 3_000
    await asyncio.to_thread(plant.tell, "crowd", count, within=900)
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        before, seen = anonymous_mb(), 0
        async for item in driver.browse({"at": f"nsu={LINE};s=Crowd"}):
            seen += item.get("kind") == "variable"
        assert seen == count
        assert anonymous_mb() - before < 40
        left = driver.browse({"at": f"nsu={LINE};s=Crowd"})
        await anext(left)
        await left.aclose()  # type: ignore[attr-defined]
        await plant.say("put", "Speed", 7.5)
        await eventually(lambda: ctx.latest()["line.Speed"] == (7.5, GOOD))
