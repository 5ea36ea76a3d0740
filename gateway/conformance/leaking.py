"""Connecting again and again leaves nothing behind: no task, no thread, no descriptor, no connection at the peer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.conformance.columns import plan
from gateway.conformance.scene import GRACE_S, Subject, until
from gateway.driver import PollingDriver

_WARM = 2
_ROUNDS = 8
_LEAK = _ROUNDS // 2
"""So many more after the rounds are no chance."""
_DESCRIPTORS = Path("/proc/self/fd")


class _Count:
    """What is open now."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def now(self) -> dict[str, int]:
        counts = {
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "descriptors": len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else 0,
        }
        if self._subject.has_proxy:
            counts["connections at the peer"] = self._subject.proxy.open_links
        return counts


async def leaks_of_polling(subject: Subject) -> None:
    driver: PollingDriver = subject.create()

    async def once() -> None:
        if await subject.connect(driver, context):
            for device in context.devices:
                for request in plan(subject, driver, device)[:2]:
                    await subject.call(driver.read(request), subject.limit_s(subject.channel))
        await subject.call(driver.close(), GRACE_S)

    async with subject.context(subject.channel) as context:
        await _rounds(subject, once)


async def leaks_of_pushing(subject: Subject) -> None:
    async def once() -> None:
        async with subject.context(subject.channel) as context:
            task = asyncio.ensure_future(subject.create().run(context))
            if subject.quiet:
                await asyncio.sleep(0.05)
            else:
                await until(lambda: bool(context.batches) or task.done(), subject.patience_s)
            await subject.end(task)

    await _rounds(subject, once)


async def _rounds(subject: Subject, once: Callable[[], Awaitable[None]]) -> None:
    count = _Count(subject)
    for _ in range(_WARM):
        await once()
    await asyncio.sleep(0.05)
    before = count.now()
    for _ in range(_ROUNDS):
        await once()

    def grown() -> dict[str, int]:
        return {what: more for what, now in count.now().items() if (more := now - before[what]) >= _LEAK}

    if not await until(lambda: not grown(), 2.0):
        for what, more in grown().items():
            subject.say(f"{more} {what} are left after {_ROUNDS} times connect and close")
