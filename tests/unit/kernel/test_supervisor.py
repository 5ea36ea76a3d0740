"""Supervision with a manual clock. FL-52: a stalled or crashing unit is restarted alone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import AuthError, LinkLost, PermanentError
from gateway.health import Health
from gateway.supervisor import CRASH_LIMIT, CoreFailed, Supervisor, UnitState
from gateway.testing import ManualClock


class House:
    """A supervisor at work with a core unit and a good unit that counts its ticks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.supervisor = Supervisor(self.clock, self.health, draw=lambda: 1.0)
        self.ticks = 0
        self.supervisor.add_core("core:store", self.forever)
        self.supervisor.add("driver:good[a]", self.tick)
        self.running: asyncio.Task[None] | None = None

    async def forever(self) -> None:
        await asyncio.Event().wait()

    async def tick(self) -> None:
        while True:
            self.ticks += 1
            await self.clock.sleep(1.0)

    def issues(self) -> list[tuple[str, str]]:
        return [(issue.id, issue.entity) for issue in self.health.open()]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with asyncio.TaskGroup() as group:
        house.running = group.create_task(house.supervisor.run())
        await house.clock.settle()
        yield house
        stop = group.create_task(house.supervisor.stop(4.0))
        await house.clock.settle()
        await house.clock.advance(5.0)
        await stop


async def crash_raise() -> None:
    raise ZeroDivisionError("division by zero")


async def crash_return() -> None:
    await asyncio.sleep(0)


async def crash_cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def crash_stray_cancelled_error() -> None:
    raise asyncio.CancelledError


async def crash_exit() -> None:
    sys.exit(3)


async def crash_keyboard() -> None:
    raise KeyboardInterrupt


async def crash_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(crash_raise())
        group.create_task(asyncio.sleep(1000))


CRASHES: list[Callable[[], Awaitable[None]]] = [
    crash_raise, crash_return, crash_cancel_itself, crash_stray_cancelled_error, crash_exit, crash_keyboard,
    crash_in_a_group,
]  # fmt: skip


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.__name__)
async def test_fl_52_a_unit_that_ends_in_any_way_is_retried_and_its_neighbour_misses_nothing(
    house: House, crash: Callable[[], Awaitable[None]]
) -> None:
    house.supervisor.add("driver:bad[b]", crash)
    await house.clock.advance(0.5)
    assert house.supervisor.state("driver:bad[b]") is UnitState.BACKING_OFF
    await house.clock.advance(400.0)
    unit = house.supervisor.units()["driver:bad[b]"]
    assert unit["state"] == "failed"
    assert unit["attempts"] == CRASH_LIMIT + 1  # 1 + 2 + 4 + 8 s of back-off, then one slow retry after 300 s
    assert house.issues() == [("unit_failed", "driver:bad[b]")]
    assert house.ticks == 401
    assert house.supervisor.units()["driver:good[a]"]["attempts"] == 1


async def test_a_unit_that_recovers_after_failed_clears_its_issue_once_it_has_run_for_a_minute(house: House) -> None:
    tries = 0

    async def works_the_seventh_time() -> None:
        nonlocal tries
        tries += 1
        if tries < 7:
            raise ValueError("not yet")
        await asyncio.Event().wait()

    house.supervisor.add("driver:late[b]", works_the_seventh_time)
    await house.clock.advance(16 + 600 + 30)
    assert house.supervisor.state("driver:late[b]") is UnitState.RUNNING
    assert house.issues() == [("unit_failed", "driver:late[b]")]
    await house.clock.advance(60)
    assert house.issues() == []


async def test_a_lost_link_backs_off_for_ever_and_never_counts_as_a_crash(house: House) -> None:
    async def unreachable() -> None:
        raise LinkLost("connection refused")

    house.supervisor.add("driver:far[b]", unreachable)
    await house.clock.advance(1000)
    unit = house.supervisor.units()["driver:far[b]"]
    assert (unit["state"], unit["crashes"]) == ("backing_off", 0)
    assert unit["attempts"] > 15
    assert house.issues() == []


@pytest.mark.parametrize(
    ("error", "state", "issue"),
    [(PermanentError("no such port"), "failed", "unit_failed"), (AuthError("bad user"), "backing_off", "unit_auth")],
)
async def test_what_trying_again_cannot_help_is_an_issue_and_tried_again_slowly(
    house: House, error: Exception, state: str, issue: str
) -> None:
    async def hopeless() -> None:
        raise error

    house.supervisor.add("uplink:cloud", hopeless)
    await house.clock.advance(299)
    unit = house.supervisor.units()["uplink:cloud"]
    assert (unit["state"], unit["attempts"]) == (state, 1)
    assert house.issues() == [(issue, "uplink:cloud")]
    await house.clock.advance(2)
    assert house.supervisor.units()["uplink:cloud"]["attempts"] == 2


async def test_replace_ends_the_old_attempt_before_the_new_one_starts(house: House) -> None:
    story: list[str] = []

    async def old() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            story.append("old closed")

    async def new() -> None:
        story.append("new opened")
        await asyncio.Event().wait()

    house.supervisor.add("driver:sim[b]", old)
    await house.clock.settle()
    await house.supervisor.replace("driver:sim[b]", new)
    await house.clock.settle()
    assert story == ["old closed", "new opened"]
    assert house.supervisor.state("driver:sim[b]") is UnitState.RUNNING
    await house.supervisor.remove("driver:sim[b]")
    assert "driver:sim[b]" not in house.supervisor.units()


async def test_a_unit_that_waits_for_its_retry_can_be_removed_at_once(house: House) -> None:
    house.supervisor.add("driver:bad[b]", crash_raise)
    await house.clock.settle()
    await house.supervisor.remove("driver:bad[b]")
    assert list(house.supervisor.units()) == ["core:store", "driver:good[a]"]


async def test_a_unit_that_ignores_its_cancellation_is_left_behind_and_told(house: House) -> None:
    free = asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    house.supervisor.add("driver:stubborn[b]", stubborn)
    await house.clock.settle()
    async with asyncio.TaskGroup() as group:
        removal = group.create_task(house.supervisor.remove("driver:stubborn[b]"))
        await house.clock.advance(11)
        assert removal.done()
    assert house.supervisor.stuck == ["driver:stubborn[b]"]
    free.set()


async def test_units_stop_in_reverse_order_and_the_core_last() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock, Health(clock))
    story: list[str] = []

    def unit(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            story.append(f"+{name}")
            try:
                await asyncio.Event().wait()
            finally:
                story.append(f"-{name}")

        return run

    supervisor.add("uplink:cloud", unit("uplink"))
    supervisor.add("driver:x[1]", unit("driver1"))
    supervisor.add_core("core:store", unit("store"))
    supervisor.add("driver:x[2]", unit("driver2"))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await clock.settle()
        assert await supervisor.stop(5.0) == []
    assert story[:4] == ["+store", "+uplink", "+driver1", "+driver2"]
    assert story[4:6] in (["-driver2", "-driver1"], ["-driver1", "-driver2"])
    assert story[6:] == ["-uplink", "-store"]


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.__name__)
async def test_a_core_unit_that_ends_stops_everything_and_says_which(crash: Callable[[], Awaitable[None]]) -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock, Health(clock))
    closed = asyncio.Event()

    async def driver() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def core() -> None:
        await clock.sleep(10)
        await crash()

    supervisor.add_core("core:store", core)
    supervisor.add("driver:x[1]", driver)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_ended(supervisor.run()))
        await clock.advance(11)
        failure = running.result()
    assert isinstance(failure, CoreFailed)
    assert failure.unit == "core:store"
    assert closed.is_set()


async def _ended(awaitable: Awaitable[None]) -> BaseException | None:
    try:
        await awaitable
    except CoreFailed as error:
        return error
    return None


async def test_repeated_group_failures_leave_no_stray_cancellation_behind(house: House) -> None:
    """The Python 3.11 trap: a failed group nested in timeouts, again and again."""
    after: list[str] = []

    async def nested() -> None:
        async with asyncio.timeout(100):
            await asyncio.wait_for(crash_in_a_group(), 100)

    async def unit() -> None:
        try:
            await nested()
        except* ZeroDivisionError:
            await asyncio.sleep(0)
            after.append("still alive")
            raise

    house.supervisor.add("driver:nested[b]", unit)
    await house.clock.advance(20)
    assert len(after) == CRASH_LIMIT
    assert "division by zero" in house.supervisor.units()["driver:nested[b]"]["last_error"]
