"""FL-71: why an alarm came and what a rule did: from a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import Audit
from gateway.journal import Level
from gateway.local.alarms import RuleOps
from gateway.model import Batch, Block, Quality, Tag, TagSpec, ValueType
from gateway.rulebook import AlarmSpec
from gateway.runtime.hindsight import SCREENFUL, Hindsight
from gateway.runtime.lookback import Reading, thinned
from gateway.testing import ManualClock
from rules.alarms.entry import entry_of
from rules.alarms.refusal import AlarmRefused
from tests.unit.rules.alarm_kit import spec
from tests.unit.runtime.alarm_bench import Bench
from tests.unit.store.kit import opened

WALL = 1_800_000_000_000
TEMPERATURE = "boiler.temperature"
RULE = {"id": "overheat", "state": "active", "when": "boiler.temperature > 80", "fault": ""}
ALARM = AlarmSpec("overheat", "gateway", rule="overheat", priority="high", text="Boiler too hot")


class Plant(Bench):
    """A boiler whose temperature, alarms and rules go into a journal."""

    def __init__(self, path: Path, *specs: AlarmSpec, rules: list[dict[str, Any]]) -> None:
        super().__init__(*specs, rules=rules)
        self.clock = ManualClock(WALL)
        self.store = opened(path, self.clock)
        self.trail = Audit(self.clock, self.store)
        aliases = self.store.bind_aliases([("boiler", "temperature"), ("boiler", "other")])
        tag = TagSpec("temperature", ValueType.FLOAT64, None)
        self.block = Block("boiler", [Tag("boiler", "temperature", 0, aliases[0], tag)])

    def read(self, value: float | None, quality: Quality = Quality.GOOD) -> None:
        at = self.clock.mono()
        self.store.append(Batch(self.block, [value], self.clock.wall_ms(), at, quality=[int(quality)]))

    async def pass_s(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        self.desk.at += round(seconds * 1000)
        self.desk.wall = self.clock.wall_ms()

    def event(self, what: str, **more: Any) -> None:
        entry = {"ts": self.clock.wall_ms(), "kind": "rule", "rule": "overheat", "what": what, **more}
        self.store.append_entry("event", entry, Level.SOON)

    def write_transitions(self, **more: Any) -> None:
        """What the book told since the last time; `more` goes into the first."""
        for transition in self.desk.told:
            self.store.append_entry("alarm", {**entry_of(transition), **more})
            more = {}
        self.desk.told.clear()

    def inputs(self, name: str) -> list[dict[str, Any]]:
        return [{"tag": TEMPERATURE, "value": 79.0, "quality": "good", "ts": self.clock.wall_ms()}]

    async def overheat(self) -> None:
        """The temperature rises at once; ten seconds later the rule starts, its alarm comes, a pump is written."""
        began = self.clock.wall_ms()
        for second in range(10):
            self.read(80.5 + second / 10)
            await self.pass_s(1)
        self.read(83.0)
        inputs = [{"tag": TEMPERATURE, "value": 83.0, "quality": "good", "ts": self.clock.wall_ms()}]
        self.event("started", t_cond=began, inputs=inputs)
        self.desk.active("overheat@gateway", t_cond=began, t_active=self.clock.wall_ms(), value=83.0)
        self.write_transitions(inputs=inputs)
        self.trail.record("rule:overheat", "rule", "write", device="pump", tag="run", new=True, state="ok", code=200)

    async def cool_down(self) -> None:
        await self.pass_s(60)
        self.read(70.0)
        self.event("ended")
        self.desk.clear("overheat@gateway")
        self.write_transitions()
        self.trail.record("rule:overheat", "rule", "write", device="pump", tag="run", new=False, state="ok", code=200)
        await self.pass_s(60)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    specs = (ALARM, spec("level_low", "boiler", on="{boiler.level} < 5"), spec("level_low", "tank"))
    made = Plant(tmp_path, *specs, rules=[RULE, {"id": "vent@boiler"}, {"id": "fan@a"}, {"id": "fan@b"}])
    yield made


async def test_from_the_alarm_back_to_the_readings_and_on_to_what_was_done(plant: Plant) -> None:
    plant.read(20.0)
    await plant.pass_s(300)
    plant.read(79.0)
    await plant.pass_s(30)
    began = plant.clock.wall_ms()
    await plant.overheat()
    await plant.pass_s(5)
    plant.desk.ack("overheat@gateway", comment="on my way")
    plant.write_transitions()
    plant.trail.record("anna", "local", "write", device="pump", tag="run", new=True)
    told = await Hindsight(plant).why("overheat@gateway", 1)
    (run,) = told["runs"]
    assert (run["begin"]["event"], run["begin"]["t_cond"], run["begin"]["value"]) == ("active", began, 83.0)
    assert [row["tag"] for row in run["inputs"]] == [TEMPERATURE]
    assert [row["value"] for row in run["readings"]] == [79.0, *(80.5 + n / 10 for n in range(10)), 83.0]
    assert run["left_out"] == 0
    assert [(row["event"], row.get("who")) for row in run["transitions"]] == [("active", None), ("ack", "anna")]
    assert [row["what"] for row in run["events"]] == ["started"]
    assert [(row["tag"], row["new"], row["state"]) for row in run["actions"]] == [("run", True, "ok")]
    assert (told["rule"], told["alarm"]["state"]) == (RULE, "ack_active")


async def test_each_run_has_its_own_entries_and_the_newest_is_the_last(plant: Plant) -> None:
    for _ in range(3):
        await plant.overheat()
        await plant.cool_down()
    told = await Hindsight(plant).why("overheat", 2)
    assert len(told["runs"]) == 2
    for run in told["runs"]:
        assert [row["what"] for row in run["events"]] == ["started", "ended"]
        assert [row["event"] for row in run["transitions"]] == ["active", "clear"]
        assert [row["new"] for row in run["actions"]] == [True, False]
    first, second = (run["begin"]["ts"] for run in told["runs"])
    assert second - first == 130_000


async def test_the_rule_is_told_even_while_its_alarm_is_shelved(plant: Plant) -> None:
    plant.desk.shelve(3600, "overheat@gateway")
    await plant.overheat()
    assert (await Hindsight(plant).why("overheat@gateway", 1))["runs"] == []
    (run,) = (await Hindsight(plant).why("overheat", 1))["runs"]
    assert run["begin"]["what"] == "started"
    assert len(run["actions"]) == 1


async def test_a_show_has_what_is_looked_at_now_and_runs_without_readings(plant: Plant) -> None:
    await plant.overheat()
    told = await RuleOps(plant).show({"name": "overheat"})
    assert [row["value"] for row in told["inputs"]] == [79.0]
    assert (told["runs"][0]["readings"], len(told["runs"][0]["actions"])) == ([], 1)


async def test_an_alarm_of_its_own_has_its_condition_and_no_rule(plant: Plant) -> None:
    told = await Hindsight(plant).why("level_low@boiler", 1)
    assert (told["rule"], told["on"], told["runs"]) == (None, "{boiler.level} < 5", [])


@pytest.mark.parametrize(("name", "code"), [("nothing", 404), ("level_low", 400), ("fan", 400), ("x@y", 404)])
async def test_a_name_that_nothing_or_too_much_has_is_refused(plant: Plant, name: str, code: int) -> None:
    with pytest.raises(AlarmRefused) as caught:
        await Hindsight(plant).why(name, 1)
    assert caught.value.code == code


async def test_the_name_of_a_rule_that_one_device_has_is_enough(plant: Plant) -> None:
    assert (await Hindsight(plant).why("vent", 1))["rule"]["id"] == "vent@boiler"


async def test_a_long_delay_is_shown_at_its_ends_and_thinned_to_a_screenful(plant: Plant) -> None:
    began = plant.clock.wall_ms()
    for _ in range(200):
        plant.read(81.0)
        await plant.pass_s(10)
    plant.desk.active("overheat@gateway", t_cond=began, t_active=plant.clock.wall_ms(), value=81.0)
    plant.write_transitions()
    (run,) = (await Hindsight(plant).why("overheat@gateway", 1))["runs"]
    assert len(run["readings"]) <= SCREENFUL
    end = plant.clock.wall_ms()
    assert all(row["ts"] <= began + 60_000 or row["ts"] >= end - 60_000 for row in run["readings"])


async def test_bad_readings_say_so(plant: Plant) -> None:
    plant.read(None, Quality.BAD_COMM)
    await plant.pass_s(1)
    await plant.overheat()
    (run,) = (await Hindsight(plant).why("overheat", 1))["runs"]
    assert (run["readings"][0]["value"], run["readings"][0]["quality"]) == (None, "bad/comm")


def reading(ts: int, value: float, quality: str = "good", tag: str = "t") -> Reading:
    return Reading(ts, tag, value, quality)


rows_of_a_tag = st.lists(
    st.tuples(st.floats(-100, 100) | st.just(7.0), st.sampled_from(["good", "good", "good", "bad/comm"])),
    min_size=1,
    max_size=200,
).map(lambda pairs: [reading(1000 * i, value, quality) for i, (value, quality) in enumerate(pairs)])


@given(rows_of_a_tag, st.integers(6, 40), st.integers(-1000, 210_000))
def test_what_is_left_of_many_readings_has_their_ends_and_extremes_in_order(
    rows: list[Reading], keep: int, moment: int
) -> None:
    left = thinned(rows, keep, moment)
    assert len(left) <= keep
    assert len(rows) > keep or left == rows
    assert left == sorted(left, key=lambda row: row.ts)
    assert {rows[0], rows[-1]} <= set(left) <= set(rows)
    values = [row.value for row in rows]
    assert {min(values), max(values)} <= {row.value for row in left}
    if len(rows) > keep and (before := [row for row in rows if row.ts < moment]):
        shown = [row for row in left if row.ts < moment][-1]
        assert (shown.value, shown.quality) == (before[-1].value, before[-1].quality)


def test_a_value_that_lasted_a_moment_is_not_lost_among_many_that_say_the_same() -> None:
    rows = [reading(i, 60.0 if i < 700 else 75.0 if i == 700 else 85.0) for i in range(1000)]
    assert [(row.ts, row.value) for row in thinned(rows, 8, 701)] == [(0, 60.0), (700, 75.0), (701, 85.0), (999, 85.0)]


def test_tags_are_thinned_one_by_one() -> None:
    many = [reading(i, i) for i in range(500)]
    rare = [reading(250, 1.0, tag="rare")]
    left = thinned([*many, *rare], 8, 100)
    assert [row for row in left if row.tag == "rare"] == rare
    assert len(left) == 9
