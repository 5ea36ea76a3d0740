"""A driver that is told, with a faulty peer. Its run may end with a contract's error, or go on and tell of it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.conformance.columns import look_at_batches
from gateway.conformance.faults import FLOOD_BYTES, FLOOD_S
from gateway.conformance.proxy import Fault
from gateway.conformance.report import NotApplicable
from gateway.conformance.rubbish import PATTERNS
from gateway.conformance.scene import LINK_ERRORS, Subject, causes, until
from gateway.fake_context import FakeContext
from gateway.model import Batch, ChannelSpec

_SETTLE_S = 0.2


@asynccontextmanager
async def running(subject: Subject, channel: ChannelSpec) -> AsyncIterator[tuple[FakeContext, asyncio.Task[Any]]]:
    """A driver at run. How it ends is looked at."""
    async with subject.context(channel) as context:
        task = asyncio.ensure_future(subject.create().run(context))
        try:
            yield context, task
        finally:
            ended = task.done()
            if not ended:
                subject.want(
                    await subject.end(task, subject.limit_s(subject.channel)), "run went on after its cancellation"
                )
            if task.done() and not task.cancelled():
                judge_end(subject, task.exception())
            look_at_batches(subject, context.batches)


def judge_end(subject: Subject, error: BaseException | None) -> None:
    if error is None:
        subject.say("run returned; only an exception ends it")
        return
    for cause in causes(error):
        if not isinstance(cause, LINK_ERRORS):
            subject.say(f"run ended with {subject.whence(cause)}, which is none of the contract's errors")


async def _at_work(subject: Subject, context: FakeContext, task: asyncio.Task[Any]) -> None:
    """Values come, or the link is up where none will."""
    if subject.quiet:
        raise NotApplicable(subject.quiet)
    if not await until(_spoke(context, task), subject.patience_s) or task.done():
        raise NotApplicable("the driver publishes nothing")


def _spoke(context: FakeContext, task: asyncio.Task[Any]) -> Callable[[], bool]:
    return lambda: bool(context.batches) or task.done()


def told_of(context: FakeContext, task: asyncio.Task[Any]) -> Callable[[], bool]:
    """Whether a trouble was told, in any of the ways."""

    def told() -> bool:
        away = any(state != "online" for _, state in context.states)
        return task.done() or away or bool(context.issues) or bool(context.link_lost)

    return told


async def silence_is_told(subject: Subject) -> None:
    """A peer that accepts and never says a word: not online, and said so."""
    subject.proxy  # noqa: B018
    await subject.fault(Fault.SILENT)
    async with running(subject, subject.hasty) as (context, task):
        came = await until(told_of(context, task), subject.told_s)
        subject.want(came, "nothing was told of a peer that accepts and stays silent: no error, link, offline or issue")
        online = [device for device, state in context.states if state == "online"]
        subject.want(not online, f"{online[:3]} called online although the peer never said a word")
        subject.want(not good_values(context.batches), "values were published although the peer never said a word")


async def nobody_there(subject: Subject) -> None:
    """Told within twice the timeout, by an error or in words."""
    unreachable = subject.unreachable
    if unreachable is None:
        raise NotApplicable("no address is known where nobody answers (--unreachable)")
    async with running(subject, unreachable) as (context, task):
        came = await until(told_of(context, task), subject.told_s)
        subject.want(came, "nothing was told of an address where nobody answers")
        subject.want(not good_values(context.batches), "values were published although nobody is there")


async def old_values(subject: Subject) -> None:
    """While nothing comes, nothing is published as good and nothing called fresh."""
    proxy = subject.proxy
    async with running(subject, subject.hasty) as (context, task):
        await _at_work(subject, context, task)
        await subject.fault(Fault.SILENT)
        await asyncio.sleep(_SETTLE_S)  # what was on its way has come
        batches, fresh, came = len(context.batches), len(context.fresh_devices), proxy.down_bytes
        await asyncio.sleep(subject.patience_s / 5 if subject.patience_s < 5 else 1.5)
        if proxy.down_bytes == came and not task.done():
            new = context.batches[batches:]
            subject.want(not good_values(new), "values were published while nothing came: old ones are given as new")
            subject.want(len(context.fresh_devices) == fresh, "values were called fresh while nothing came")


def good_values(batches: list[Batch]) -> list[Any]:
    return [
        value
        for batch in batches
        for value, code in zip(batch.values, batch.quality or [0] * len(batch), strict=False)
        if code < 128
    ]


async def garbage(subject: Subject) -> None:
    """Rubbish from the first byte, and in the middle of a good session."""
    subject.proxy  # noqa: B018
    for name, pattern in PATTERNS.items():
        await subject.heal()
        await subject.fault(Fault.GARBAGE, pattern=pattern)
        before = len(subject.found)
        async with running(subject, subject.hasty) as (_, task):
            await until(task.done, subject.hasty.timeout_s)
        await subject.heal()
        if not subject.quiet:
            async with running(subject, subject.hasty) as (context, task):
                if await until(_spoke(context, task), subject.patience_s):
                    await subject.fault(Fault.GARBAGE, pattern=pattern)
                    await until(task.done, subject.hasty.timeout_s)
        subject.found[before:] = [f"with {name} from the peer: {text}" for text in subject.found[before:]]


async def cut(subject: Subject) -> None:
    subject.tcp  # noqa: B018
    async with running(subject, subject.channel) as (context, task):
        await _at_work(subject, context, task)
        await subject.heal()  # resets what is open
        await until(task.done, 0.5)


async def flood(subject: Subject) -> None:
    """A peer that sends without end: what is kept in memory has a bound."""
    subject.tcp  # noqa: B018
    async with running(subject, subject.hasty) as (context, task):
        await _at_work(subject, context, task)
        tracemalloc.start()
        try:
            await subject.fault(Fault.FLOOD)
            await until(task.done, FLOOD_S)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        text = f"{most // 1024 // 1024} MB of what a peer sends without end were in memory"
        subject.want(most < FLOOD_BYTES, text)
        await subject.heal()
