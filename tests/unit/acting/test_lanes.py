"""Queues per target: order within one, independence of others, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.acting.lanes import WAITING, Job, Lanes
from tests.support.eventually import eventually


class Rig:
    def __init__(self) -> None:
        self.lanes = Lanes()
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def put(self, name: str, *targets: str, held: bool = True) -> bool:
        gate = self.gates[name] = asyncio.Event()
        if not held:
            gate.set()

        async def run() -> None:
            self.begun.append(name)
            await gate.wait()

        return self.lanes.put(Job(targets, run))

    async def end(self, name: str) -> None:
        self.gates[name].set()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    running = asyncio.ensure_future(made.lanes.run())
    await asyncio.sleep(0)
    yield made
    running.cancel()
    await asyncio.wait({running})


async def test_one_target_is_served_in_order_and_others_do_not_wait(rig: Rig) -> None:
    rig.put("a1", "a")
    rig.put("a2", "a")
    rig.put("b1", "b")
    await asyncio.sleep(0)
    assert rig.begun == ["a1", "b1"]
    await rig.end("a1")
    assert rig.begun == ["a1", "b1", "a2"]


async def test_a_job_of_two_targets_waits_for_both_and_holds_both(rig: Rig) -> None:
    rig.put("a1", "a")
    rig.put("b1", "b")
    rig.put("ab", "a", "b")
    rig.put("b2", "b")
    rig.put("a2", "a")
    await rig.end("b1")
    assert rig.begun == ["a1", "b1"]
    await rig.end("a1")
    assert rig.begun == ["a1", "b1", "ab"]
    await rig.end("ab")
    assert sorted(rig.begun[3:]) == ["a2", "b2"]


async def test_jobs_that_cross_never_wait_for_each_other(rig: Rig) -> None:
    for number in range(40):
        targets = ("a", "b", "c")[number % 3 :] + ("a", "b", "c")[: number % 3]
        rig.put(str(number), *targets[: 1 + number % 3], held=False)
    await eventually(lambda: len(rig.begun) == 40)
    assert rig.lanes.waiting == 0


async def test_a_full_queue_refuses_the_newest_and_no_other_target(rig: Rig) -> None:
    assert all(rig.put(str(number), "a") for number in range(WAITING))
    assert not rig.put("one more", "a")
    assert not rig.put("one more", "b", "a")
    assert rig.put("b1", "b")
    await rig.end("0")
    assert rig.put("room again", "a")


async def test_a_target_twice_is_one_target(rig: Rig) -> None:
    rig.put("aa", "a", "a")
    rig.put("a2", "a")
    await rig.end("aa")
    assert rig.begun == ["aa", "a2"]


async def test_what_was_put_before_it_runs_begins_then() -> None:
    rig = Rig()
    rig.put("a1", "a", held=False)
    rig.put("a2", "a", held=False)
    running = asyncio.ensure_future(rig.lanes.run())
    await eventually(lambda: rig.begun == ["a1", "a2"])
    running.cancel()
    await asyncio.wait({running})


async def test_the_end_cancels_what_is_at_work_and_gives_back_what_waits() -> None:
    rig = Rig()
    running = asyncio.ensure_future(rig.lanes.run())
    await asyncio.sleep(0)
    rig.put("a1", "a")
    rig.put("a2", "a", "b")
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert rig.begun == ["a1"]
    assert [job.targets for job in rig.lanes.drain()] == [("a", "b")]
    assert rig.lanes.waiting == 0
