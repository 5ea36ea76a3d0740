"""Whose turn it is: one bounded queue per target, so that what is slow holds up nobody but its own.

A job may need several targets (a write to tags of two devices): it begins when it is first in all their queues. Since
it enters them in one step, two jobs never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

WAITING = 100
"""Jobs per target, those at work included. Overflow: the newest is refused."""
SHARE = 25
"""Jobs of one owner per target: one that asks for too much refuses itself, not others."""


class Job:
    """Something to be done when its turn comes. `run` does not raise."""

    __slots__ = ("owner", "run", "running", "targets")

    def __init__(self, targets: Sequence[str], run: Callable[[], Awaitable[None]], owner: str = "") -> None:
        self.owner = owner
        self.targets = tuple(dict.fromkeys(targets))
        self.run = run
        self.running = False


class Lanes:
    """The queues of all targets. A target without a job costs nothing."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Job]] = {}
        self._group: asyncio.TaskGroup | None = None

    def put(self, job: Job) -> bool:
        """Queue a job; it begins at once where nothing is before it. False when a queue of its targets is full."""
        queues = [self._lanes.get(target) for target in job.targets]
        if any(queue is not None and _is_full(queue, job.owner) for queue in queues):
            return False
        for target in job.targets:
            self._lanes.setdefault(target, deque()).append(job)
        self._look(job)
        return True

    async def run(self) -> None:
        """Serve until cancelled. What was put before begins now."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for queue in list(self._lanes.values()):
                    self._look(queue[0])
                await asyncio.Event().wait()
            finally:
                self._group = None

    def drain(self) -> list[Job]:
        """All jobs that have not begun, taken out."""
        waiting = dict.fromkeys(job for queue in self._lanes.values() for job in queue if not job.running)
        self._lanes.clear()
        return list(waiting)

    @property
    def waiting(self) -> int:
        """Jobs that are not done."""
        return len({job for queue in self._lanes.values() for job in queue})

    def _look(self, job: Job) -> None:
        if self._group is None or job.running:
            return
        if all(self._lanes[target][0] is job for target in job.targets):
            job.running = True
            self._group.create_task(self._do(job), name=f"act:{job.targets[0]}")

    async def _do(self, job: Job) -> None:
        try:
            await job.run()
        finally:
            self._done(job)

    def _done(self, job: Job) -> None:
        for target in job.targets:
            queue = self._lanes.get(target)
            if queue is None or queue[0] is not job:  # drained meanwhile
                continue
            queue.popleft()
            if not queue:
                del self._lanes[target]
        for target in job.targets:
            if target in self._lanes:
                self._look(self._lanes[target][0])


def _is_full(queue: deque[Job], owner: str) -> bool:
    if len(queue) < SHARE:
        return False
    return len(queue) >= WAITING or (bool(owner) and sum(1 for job in queue if job.owner == owner) >= SHARE)
