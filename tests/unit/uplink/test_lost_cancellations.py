"""A cancellation that comes together with the broker's answer is a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from gateway.mqttclient.session import told_cancelled


async def _answered(answer: asyncio.Future[str]) -> str:
    """As aiomqtt waits for a SUBACK."""
    return await asyncio.wait_for(answer, 60)


async def test_a_cancellation_in_the_turn_of_the_answer_is_not_lost():
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(told_cancelled(_answered(answer)))
    await asyncio.sleep(0)
    answer.set_result("granted")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_was_cancelled_before_still_gets_the_answer():
    """A session is closed well while its task ends."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    given: list[str] = []

    async def ends() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given.append(await told_cancelled(_answered(answer)))

    task = asyncio.create_task(ends())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    answer.set_result("closed")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given == ["closed"]


async def test_a_time_limit_around_it_is_still_a_time_limit():
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await told_cancelled(_answered(answer))
