"""FL-70: a recorded day, replayed from the journal: the same each time, and the same as the engine that was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.cli.replaying import Feeding, happenings
from gateway.rulebook import RuleBook
from gateway.testing import ManualClock
from rules.replay import Outcomes, Replay
from rules.replay.comparing import compare, effects_in, effects_of
from rules.replay.outcomes import as_text
from tests.unit.rules.replay_day import QUIET, RESTLESS, Plant, history, make_tags
from tests.unit.store.kit import opened


async def recorded(
    path: Path, seed: int, hours: float, book: RuleBook
) -> tuple[Plant, dict[str, list[dict[str, Any]]]]:
    clock = ManualClock(1_800_000_000_000)
    store = opened(path, clock, max_bytes=64_000_000, min_age_s=9 * 86_400.0)
    plant = Plant(store, clock, seed, book)
    await plant.live(hours)
    found = {stream: await history(store, stream=stream) for stream in ("telemetry", "alarm", "event")}
    await store.close()
    return plant, found


def replayed(book: RuleBook, found: dict[str, list[dict[str, Any]]]) -> tuple[list[dict[str, Any]], Replay]:
    rows: list[dict[str, Any]] = []
    run = Replay(book, make_tags(), Outcomes(rows.append, computed=True))
    clocks = [row for row in found["event"] if row["kind"] == "clock"]
    feeding = Feeding(run, clocks, happenings(found["alarm"], found["event"], ()), 0)
    feeding.run(found["telemetry"])
    return rows, run


@pytest.mark.parametrize(("seed", "hours", "book"), [(1, 24, QUIET), (2, 2, RESTLESS), (3, 2, RESTLESS)])
async def test_a_day_comes_out_the_same_each_time_and_as_it_was(
    tmp_path: Path, seed: int, hours: int, book: RuleBook
) -> None:
    plant, found = await recorded(tmp_path, seed, hours, book)
    rows, run = replayed(book, found)
    first = [as_text(row) for row in rows]
    assert [as_text(row) for row in replayed(book, found)[0]] == first
    assert len(first) > 300
    assert {row["kind"] for row in rows} == {"action", "alarm", "rule", "computed"}
    assert run.played.own > 0
    assert (run.played.unknown, run.played.boots) == (0, 0)
    for number, (ours, theirs) in enumerate(zip(first, plant.lines, strict=False)):
        assert ours == theirs, f"line {number}"
    assert abs(len(first) - len(plant.lines)) <= 5  # what came after the last reading


async def test_what_really_happened_has_its_partner(tmp_path: Path) -> None:
    plant, found = await recorded(tmp_path, 4, 6, QUIET)
    rows, _ = replayed(QUIET, found)
    here = [effect for row in rows for effect in effects_of(row)]
    real = [effect for row in found["alarm"] for effect in effects_in(row)]
    real += [effect for row in plant.rows if row["kind"] == "action" for effect in effects_of(row)]
    comparison = compare(here, real)
    assert len(comparison.matched) > 50
    assert len(comparison.only_here) + len(comparison.only_real) <= 3
