"""When the commit loop commits: at once, with a distance, and never together with what is being written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.journal import Level
from gateway.testing import ManualClock
from tests.unit.store.kit import batch, block, opened


async def test_the_commit_loop_commits_a_lone_change_at_once_and_a_stream_once_per_interval(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    shared = block(store, 1)
    running = asyncio.create_task(store.run())
    store.append(batch(shared, [1]))
    assert await asyncio.wait_for(store.wait_commit(0), 10) == 1
    store.append(batch(shared, [2]))
    await clock.advance(0.9)
    assert store.commits == 1
    await clock.advance(0.2)
    assert await asyncio.wait_for(store.wait_commit(1), 10) == 2
    store.append_entry("alarm", {"ts": 1, "kind": "alarm"}, Level.NOW)
    await clock.advance(0.11)
    assert await asyncio.wait_for(store.wait_commit(2), 10) == 3
    running.cancel()
    await asyncio.wait((running,))
    await store.close()


async def test_a_first_reading_does_not_wait_for_the_interval_after_a_change_without_readings(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    shared = block(store, 1)
    running = asyncio.create_task(store.run())
    store.append_entry("event", {"ts": 1, "kind": "x"}, Level.NOW)
    await asyncio.wait_for(store.wait_commit(store.commits), 10)
    store.append(batch(shared, [1]))
    await asyncio.wait_for(store.wait_commit(store.commits), 10)
    assert store.state.next["telemetry"] == 2
    running.cancel()
    await asyncio.wait((running,))
    await store.close()


async def test_a_first_reading_does_not_wait_with_a_change_that_keeps_its_distance_to_the_last(tmp_path: Path) -> None:
    clock = ManualClock()
    store = opened(tmp_path, clock)
    shared = block(store, 1)
    store.append_entry("event", {"ts": 1, "kind": "x"}, Level.NOW)
    commit = asyncio.create_task(store.commit())
    await asyncio.sleep(0)  # its group is with the writer now
    store.append(batch(shared, [1]))
    store.append_entry("event", {"ts": 2, "kind": "y"}, Level.NOW)
    await commit
    seen = store.commits
    running = asyncio.create_task(store.run())
    await asyncio.wait_for(store.wait_commit(seen), 10)  # the clock stands still
    assert (store.state.next["telemetry"], store.state.next["event"]) == (2, 3)
    running.cancel()
    await asyncio.wait((running,))
    await store.close()


@pytest.mark.parametrize("level", list(Level))
async def test_what_comes_while_a_commit_is_written_has_a_commit_of_its_own(tmp_path: Path, level: Level) -> None:
    """Nothing comes after it that would bring it along."""
    clock = ManualClock()
    store = opened(tmp_path, clock)

    store.append(batch(block(store, 1), [1]))
    commit = asyncio.create_task(store.commit())
    await asyncio.sleep(0)  # its group is with the writer now
    assert not commit.done()
    store.append_entry("event", {"ts": 2, "kind": "second"}, level)
    await commit
    assert store.state.next["event"] == 1
    seen = store.commits
    running = asyncio.create_task(store.run())
    await clock.advance(1.1)
    await asyncio.wait_for(store.wait_commit(seen), 10)
    assert store.state.next["event"] == 2
    running.cancel()
    await asyncio.wait((running,))
    await store.close()
