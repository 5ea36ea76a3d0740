from __future__ import annotations

import asyncio

from gateway.testing import ManualClock


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.mono() - 1000.0))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(2.5)
        assert woken == [("early", 1.0), ("middle", 2.0)]
        await clock.advance(0.5)
    assert woken[-1] == ("late", 3.0)


async def test_a_task_that_sleeps_again_is_woken_again_in_the_same_advance() -> None:
    clock = ManualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.mono())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ticker())
        await clock.advance(5.0)
        task.cancel()
    assert ticks == [1001.0, 1002.0, 1003.0, 1004.0, 1005.0]


async def test_a_cancelled_timer_never_runs_and_the_wall_clock_moves_along() -> None:
    clock = ManualClock(wall_ms=5_000)
    called: list[str] = []
    clock.call_later(1.0, lambda: called.append("kept"))
    clock.call_later(1.0, lambda: called.append("cancelled")).cancel()
    await clock.advance(1.5)
    assert called == ["kept"]
    assert clock.wall_ms() == 6_500
    clock.step_wall(-10)
    assert (clock.wall_ms(), clock.mono()) == (-3_500, 1001.5)


async def test_a_sleeper_that_is_cancelled_leaves_no_timer() -> None:
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(10))
        await clock.settle()
        task.cancel()
    assert clock.pending == 0
