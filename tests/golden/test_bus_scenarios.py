"""Plays bus.yaml: report by exception, bus and latest values together, on a manual clock."""

from pathlib import Path

import pytest
import yaml

from gateway.bus import Bus
from gateway.driver import Columns
from gateway.latest import LatestValues
from gateway.model import Batch, Block, ChannelSpec, DeviceSpec, Quality, Report, Schedule, TagSpec, ValueType
from gateway.report import ReportFilter
from gateway.tags import TagTable
from gateway.testing import ManualClock

SCENARIOS = yaml.safe_load((Path(__file__).parent / "bus.yaml").read_text(encoding="utf-8"))
REPORT = {"on_change", "deadband", "heartbeat_s"}


def spec(tags):
    made = []
    for path, words in tags.items():
        report = Report(**{key: value for key, value in words.items() if key in REPORT})
        made.append(TagSpec(path, ValueType(words.get("type", "int32")), None, report=report))
    return ChannelSpec("line", "sim", None, (DeviceSpec("dev", None, tuple(made), Schedule(1.0)),))


def pair(cell):
    value, quality = cell if isinstance(cell, list) else (cell, "good")
    return value, Quality.parse(quality)


class World:
    """One device on one channel, with everything between the driver's answer and what is known."""

    def __init__(self, tags):
        self.clock = ManualClock()
        self.start = self.clock.wall_ms()
        self.seen = []
        self.table = TagTable()
        self.boot()
        self.bind(tags)

    def boot(self):
        self.bus = Bus()
        self.latest = LatestValues(self.clock)
        self.bus.subscribe("latest values", self.latest.on_batch)
        self.bus.subscribe("test", self.note)

    def bind(self, tags, restored=()):
        channel = spec(tags)
        names = TagTable.names([channel])
        (self.device,) = self.table.bind(channel, {name: i + 1 for i, name in enumerate(names)})
        self.latest.grow(self.table.size)
        self.latest.restore(self.device.tags, dict(restored))
        self.block = Block("dev", self.device.tags)
        self.filter = ReportFilter(self.block)
        self.tags = tags

    def note(self, batch):
        row = {"t": (batch.ts - self.start) / 1000}
        for i, tag in enumerate(batch.tags):
            code = Quality.GOOD if batch.quality is None else Quality(batch.quality[i])
            row[tag.path] = batch.values[i] if code is Quality.GOOD else [batch.values[i], code.text]
        self.seen.append(row)

    def poll(self, cells, only=None):
        paths = [tag.path for tag in self.device.tags]
        chosen = only or [path for path in paths if path in cells]
        cells = [pair(cells[path]) for path in chosen]
        index = None if chosen == paths else [paths.index(path) for path in chosen]
        codes = [int(code) for _, code in cells]
        self.pass_on(Columns([value for value, _ in cells], codes if any(codes) else None, index))

    def pass_on(self, columns):
        ts, mono = self.clock.wall_ms(), self.clock.mono()
        for part in self.filter.select(columns, ts, mono):
            when = ts if part.ts is None else part.ts
            self.bus.publish(Batch(self.block, part.values, when, mono, part.index, part.quality))

    async def step(self, step):
        if "poll" in step:
            self.poll(step["poll"], step.get("only"))
        elif "after" in step:
            await self.clock.advance(step["after"])
        elif "wall" in step:
            self.clock.step_wall(step["wall"])
        elif "away" in step:
            n = len(self.device.tags)
            self.pass_on(Columns([None] * n, [int(Quality.BAD_COMM)] * n))
        elif "reload" in step:
            self.bind(step["reload"])
        else:
            assert "restart" in step
            rows = self.latest.checkpoint(self.table.tags())
            self.boot()
            self.table = TagTable()
            self.bind(self.tags, rows)


def test_there_are_twenty_scenarios_with_names_of_their_own():
    assert len({scenario["name"] for scenario in SCENARIOS}) == len(SCENARIOS) >= 20


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s["name"] for s in SCENARIOS])
async def test_scenario(scenario):
    world = World(scenario["tags"])
    for step in scenario["steps"]:
        await world.step(step)
    assert world.seen == scenario["bus"]
    for path, (value, quality, t) in scenario["latest"].items():
        current = world.latest.current(world.table.get("dev", path))
        when = None if current.ts is None else (current.ts - world.start) / 1000
        assert (current.value, current.quality.text, when) == (value, quality, t), path
