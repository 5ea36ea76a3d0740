"""A cancellation ends a call, wherever it is, and is not lost.

The gateway cancels a driver when a channel is changed or stopped. One that goes on holds its wire for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.conformance.columns import look_at_batches, plan
from gateway.conformance.proxy import Fault
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Subject, until
from gateway.driver import PollingDriver, Request, Writer
from gateway.model import ChannelSpec, Device, Tag

_TURNS = (1, 2, 3, 5, 8, 13, 30)
"""Distances of a cancellation from the call's beginning, in turns of the event loop."""
_NEAR = (0, 1, 2, 3)
"""Turns after an answer came through the proxy."""


async def cancel_connect(subject: Subject) -> None:
    for turns in _TURNS:
        if subject.found:  # one is enough: each costs the time that it does not end in
            return
        async with subject.context(subject.channel) as context:
            driver: PollingDriver = subject.create()
            await _cancel_after(subject, "connect", driver.connect(context), turns)
            await _ended(subject, driver)
    if subject.has_proxy:
        await subject.fault(Fault.SILENT)
        async with subject.context(subject.hasty) as context:
            driver = subject.create()
            await _cancel_while_waiting(subject, "connect", driver.connect(context))
            await _ended(subject, driver)


async def cancel_read(subject: Subject) -> None:
    for turns in _TURNS:
        await _with_request(subject, "read", lambda driver, request: driver.read(request), turns)
    if not subject.has_proxy:
        return
    for turns in _NEAR:
        await _with_request(subject, "read", lambda driver, request: driver.read(request), turns, near=True)
    await _with_request(subject, "read", lambda driver, request: driver.read(request), 0, silent=True)


async def cancel_write(subject: Subject) -> None:
    if not subject.writes or not isinstance(subject.create(), Writer):
        raise NotApplicable("nothing may be written here")
    (device_id, path), value = next((name.split(".", 1), value) for name, value in subject.writes.items())

    def begin(driver: PollingDriver, _request: Request) -> Awaitable[object]:
        device, tag = _find(driver_devices[0], device_id, path)
        assert isinstance(driver, Writer)
        return driver.write(device, tag, value)

    driver_devices: list[tuple[Device, ...]] = [()]
    for turns in _TURNS[:6]:
        await _with_request(subject, "write", begin, turns, devices=driver_devices)
    if subject.has_proxy:
        await _with_request(subject, "write", begin, 0, devices=driver_devices, silent=True)


def _find(devices: tuple[Device, ...], device: str, path: str) -> tuple[Device, Tag]:
    found = next(each for each in devices if each.id == device)
    tag = found.tag(path)
    assert tag is not None
    return found, tag


async def _with_request(
    subject: Subject,
    what: str,
    begin: Callable[[PollingDriver, Request], Awaitable[object]],
    turns: int,
    *,
    near: bool = False,
    silent: bool = False,
    devices: list[tuple[Device, ...]] | None = None,
) -> None:
    """A new connection, one call, one cancellation. Nothing after a finding: each costs the time it does not end in."""
    if subject.found:
        return
    await subject.heal()
    async with subject.context(subject.hasty if silent else subject.channel) as context:
        driver: PollingDriver = subject.create()
        if devices is not None:
            devices[0] = context.devices
        if not await subject.connect(driver, context):
            raise NotApplicable("the driver does not connect")
        requests = [request for device in context.devices for request in plan(subject, driver, device)]
        if silent:
            await subject.fault(Fault.SILENT)
            await _cancel_while_waiting(subject, what, begin(driver, requests[0]))
        else:
            await _cancel_after(subject, what, begin(driver, requests[0]), turns, near=near)
        await _ended(subject, driver)


async def _cancel_after(
    subject: Subject, what: str, call: Awaitable[object], turns: int, *, near: bool = False
) -> None:
    task = asyncio.ensure_future(_awaited(call))
    if near:
        before = subject.proxy.down_bytes
        for _ in range(100_000):
            if subject.proxy.down_bytes != before or task.done():
                break
            await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    await judge_cancelled(subject, what, task)


async def _cancel_while_waiting(subject: Subject, what: str, call: Awaitable[object]) -> None:
    task = asyncio.ensure_future(_awaited(call))
    await asyncio.sleep(0.05)
    await judge_cancelled(subject, f"{what} of a silent peer", task)


async def judge_cancelled(subject: Subject, what: str, task: asyncio.Task[object], grace_s: float = GRACE_S) -> None:
    """Cancel, and see that it ends by that and by nothing else."""
    if subject.found or task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)
        if task.done() and not task.cancelled():
            task.exception()  # looked at: nobody needs to be told
        return
    if not await subject.end(task, grace_s):
        subject.say(f"{what} went on after its cancellation")
    elif not task.cancelled():
        error = task.exception()
        text = f"raised {type(error).__name__}" if error is not None else "returned"
        subject.say(f"{what} was cancelled and {text}: the cancellation is lost")


async def _ended(subject: Subject, driver: PollingDriver) -> None:
    outcome = await subject.call(driver.close(), GRACE_S)
    subject.want(outcome.error is None and not outcome.hung, f"close after a cancellation {outcome.text}")


async def cancel_run(subject: Subject) -> None:
    """A driver's run at each distance, with a good peer, a silent one and none."""
    for turns in (*_TURNS, 100):
        await _cancel_run(subject, subject.channel, "run", turns)
    if subject.has_proxy:
        await subject.fault(Fault.SILENT)
        await _cancel_run(subject, subject.hasty, "run with a silent peer", 0, pause_s=0.1)
    if subject.unreachable is not None:
        await _cancel_run(subject, subject.unreachable, "run with nobody there", 0, pause_s=0.1)


async def _cancel_run(subject: Subject, channel: ChannelSpec, what: str, turns: int, *, pause_s: float = 0.0) -> None:
    async with subject.context(channel) as context:
        task = asyncio.ensure_future(_awaited(subject.create().run(context)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if pause_s:
            await asyncio.sleep(pause_s)
        await judge_cancelled(subject, what, task, subject.limit_s(subject.channel))  # a session may be closed well


async def run_ends_when_cancelled(subject: Subject) -> None:
    """With values coming: no end before, an end then, and nothing left."""
    before = asyncio.all_tasks()
    async with subject.context(subject.channel) as context:
        task = asyncio.ensure_future(_awaited(subject.create().run(context)))
        if not subject.quiet:
            came = await until(lambda: bool(context.batches) or task.done(), subject.patience_s)
            text = f"run published nothing within {subject.patience_s:g} s"
            subject.want((came and bool(context.batches)) or task.done(), text)
        else:
            await asyncio.sleep(0.1)
        if task.done():
            error = None if task.cancelled() else task.exception()
            subject.say("run ended by itself" + (f": {type(error).__name__}: {error}" if error is not None else ""))
        elif not await subject.end(task, limit_s := subject.limit_s(subject.channel)):
            subject.say(f"run did not end within {limit_s:g} s after its cancellation")
        elif not task.cancelled():
            subject.say("run was cancelled and did not end by that: the cancellation is lost")
        look_at_batches(subject, context.batches)

    def left() -> list[str]:
        return sorted(task.get_name() for task in asyncio.all_tasks() - before if not task.done())

    await until(lambda: not left(), 1.0)  # what closes a connection may need a turn or two
    subject.want(not left(), f"tasks are left running: {left()}")


async def _awaited(what: Awaitable[object]) -> object:
    return await what
