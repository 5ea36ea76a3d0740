"""New rules over what a real journal holds: what would fail is found before it counts, and nothing else happens."""

from pathlib import Path

import pytest

from gateway.model import Batch, Block
from gateway.registry import Registry
from gateway.runtime.dryrun import BATCHES, rehearse
from gateway.settings import load_files
from gateway.settings.credentials import credentials_of
from gateway.tags import TagTable
from gateway.testing import ManualClock
from rules.expression import RuleExpressions
from tests.unit.store.kit import opened

CHANNEL = "driver: sim\ndevices:\n  dev: {tags: {a: {signal: sine, type: float64}, b: {signal: sine, type: float64}}}\n"


def load(rules, budget="1ms"):
    files = {
        "gateway.yaml": f"gateway: {{id: gw}}\nrules: {{budget: {budget}}}\n",
        "channels/line.yaml": CHANNEL,
        "rules/r.yaml": rules,
    }
    return load_files(
        files, Registry().load, env={}, credentials=credentials_of(Path("/nowhere")), expressions=RuleExpressions()
    )


class Plant:
    """A store, and the tags of the configuration in it."""

    def __init__(self, folder):
        self.clock = ManualClock()
        self.store = opened(folder, self.clock)
        table = TagTable()
        channels = load("").channels
        names = TagTable.names(channels)
        aliases = dict(zip(names, self.store.bind_aliases(names), strict=True))
        (device,) = table.bind(channels[0], aliases)
        self.block = Block("dev", list(device.tags))

    async def read(self, *values):
        for value in values:
            self.store.append(Batch(self.block, [value, 0.0], self.clock.wall_ms(), self.clock.mono()))
            await self.clock.advance(0.1)
        await self.store.commit()


@pytest.fixture
async def plant(tmp_path):
    made = Plant(tmp_path)
    yield made
    await made.store.close()


TEXT = "".join(["{dev.a:.3f}"] * 80)
HEAVY = 'heavy: {when: "dev.a > 50", start: [' + ", ".join([f'{{log: "{TEXT}"}}'] * 60) + "]}\n"
GOOD = 'good: {when: "dev.a > 50", start: [{log: "{dev.a}"}]}\n'


async def test_a_rule_that_takes_too_long_on_what_came_is_found(plant):
    await plant.read(*[0.0, 100.0] * 20)
    found = await rehearse(load(HEAVY + GOOD), plant.store)
    assert list(found.failed) == ["heavy"]
    assert "more than its budget" in found.failed["heavy"]
    assert found.batches == 40


async def test_rules_that_are_good_on_what_came_pass_and_leave_no_trace(plant):
    await plant.read(*[0.0, 100.0] * 20)
    before = plant.store.stats()["streams"]
    found = await rehearse(load(GOOD), plant.store)
    assert (found.failed, found.batches) == ({}, 40)
    await plant.store.commit()
    assert plant.store.stats()["streams"] == before


async def test_the_latest_readings_are_played_and_not_a_whole_journal(plant):
    for _ in range(40):
        await plant.read(*[float(n) for n in range(100)])
    found = await rehearse(load(GOOD), plant.store)
    assert BATCHES <= found.batches <= BATCHES + 100


async def test_without_rules_nothing_is_read(plant):
    await plant.read(1.0)
    assert (await rehearse(load(""), plant.store)).batches == 0
