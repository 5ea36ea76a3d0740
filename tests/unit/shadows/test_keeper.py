"""The keeper: a change is on disk before anybody sees it, all of it or nothing (H16)."""

import asyncio

import pytest
from msgspec import structs

from gateway.errors import StoreError
from gateway.shadows import rows
from gateway.shadows.values import Shadow, ShadowError
from tests.unit.shadows.kit import Message, rules

DEV = "other"


def setting(**values):
    def change(shadow):
        return Message(shadow.meta.desired_ver + 1, values).merged(shadow, rules())

    return change


async def test_nobody_sees_a_change_before_it_is_on_disk(gateway):
    seen = []
    gateway.keeper.listen(lambda device, before, after: seen.append(after.meta.desired_ver))
    task = asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=1)))
    await gateway.clock.settle()
    assert (gateway.keeper.get(DEV), seen) == (Shadow(DEV), [])
    await gateway.settle()
    assert (await task).meta.desired_ver == 1
    assert seen[0] == 1


async def test_what_a_change_raises_leaves_memory_and_disk_as_they_were(gateway):
    await gateway.do(gateway.keeper.change(DEV, setting(a=1)))
    before, stored = gateway.keeper.get(DEV), gateway.store.table(rows.TABLE).items()

    def change(shadow):
        raise ShadowError("no", code=422)

    with pytest.raises(ShadowError):
        await gateway.do(gateway.keeper.change(DEV, change))
    assert gateway.keeper.get(DEV) is before
    assert gateway.store.table(rows.TABLE).items() == stored


async def test_a_work_that_fails_in_the_transaction_leaves_nothing_of_the_change(gateway):
    await gateway.do(gateway.keeper.change(DEV, setting(a=1)))
    before, stored = gateway.keeper.get(DEV), gateway.store.table(rows.TABLE).items()

    def also(tx):
        tx.put("shadow_rid", "r", 1)
        raise StoreError("no")

    with pytest.raises(StoreError):
        await gateway.do(gateway.keeper.change(DEV, setting(a=2, b=3), also=also))
    assert gateway.keeper.get(DEV) is before
    assert gateway.store.table(rows.TABLE).items() == stored
    assert gateway.store.table("shadow_rid").items() == {}


@pytest.mark.parametrize("committed", [True, False])
async def test_after_a_kill_all_leaves_of_a_change_are_there_or_none(gateway, committed):
    await gateway.do(gateway.keeper.change(DEV, setting(a=1, b=1, c=1)))
    task = asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=2, b=2, c=2)))
    await gateway.clock.settle()
    if committed:
        await gateway.store.commit()  # on disk, and nobody was told yet
    await gateway.kill()
    await asyncio.gather(task, return_exceptions=True)
    gateway.open()
    live = {path: leaf.value for path, leaf in gateway.keeper.get(DEV).live().items()}
    assert live == dict.fromkeys("abc", 2 if committed else 1)


async def test_a_cancelled_change_is_known_here_when_it_is_on_disk(gateway):
    task = asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=1)))
    await gateway.clock.settle()
    task.cancel()
    await gateway.settle()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gateway.keeper.get(DEV).meta.desired_ver == 1


async def test_changes_at_the_same_time_are_made_one_after_another(gateway):
    tasks = [asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=n))) for n in range(10)]
    await gateway.settle()
    assert [(await task).meta.desired_ver for task in tasks] == list(range(1, 11))


async def test_a_block_of_versions_is_never_given_twice_also_of_a_restored_store_h3(gateway):
    first = await gateway.do(gateway.keeper.reserve(DEV, 0))
    await gateway.kill()
    gateway.open()
    second = await gateway.do(gateway.keeper.reserve(DEV, 0))
    assert second > first
    gateway.keeper._epoch += 1  # the store was replaced or restored: what was given since is not known
    third = await gateway.do(gateway.keeper.reserve(DEV, 0))
    assert third > second + 100_000


async def test_a_change_of_nothing_writes_and_tells_nothing(gateway):
    seen = []
    gateway.keeper.listen(lambda *told: seen.append(told))
    commits = gateway.store.commits
    await gateway.do(gateway.keeper.change(DEV, lambda shadow: structs.replace(shadow)))
    assert (seen, gateway.store.commits, gateway.keeper.devices()) == ([], commits, [])


async def test_changes_that_wait_are_made_together_and_one_that_fails_fails_alone(gateway):
    """A commit is at most ten a second: a burst of patches must not take one each."""

    def refuse(shadow):
        raise ShadowError("no", code=422)

    told = []
    gateway.keeper.listen(lambda device, before, after: told.append(after.meta.desired_ver))
    changes = [refuse if n == 50 else setting(**{f"a{n % 7}": n}) for n in range(100)]
    tasks = [asyncio.ensure_future(gateway.keeper.change(DEV, change)) for change in changes]
    commits = gateway.store.commits
    await gateway.do(asyncio.wait(tasks))
    assert gateway.store.commits - commits <= 20, "those of the writing that follows among them"
    assert [n for n, task in enumerate(tasks) if task.exception() is not None] == [50]
    assert gateway.keeper.get(DEV).meta.desired_ver == 99
    assert told[-1] == 99
    assert {path: leaf.value for path, leaf in gateway.keeper.get(DEV).live().items()} == {
        f"a{n % 7}": n for n in range(93, 100)
    }


async def test_a_change_that_is_given_up_before_its_turn_is_not_made(gateway):
    first = asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=1)))
    await gateway.clock.settle()
    second = asyncio.ensure_future(gateway.keeper.change(DEV, setting(a=2)))
    await gateway.clock.settle()
    second.cancel()
    await gateway.do(asyncio.wait([first, second]))
    assert gateway.keeper.get(DEV).desired["a"].value == 1
