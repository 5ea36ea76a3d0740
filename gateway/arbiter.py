"""What goes on a wire next. Pure logic: the poller asks after each transaction.

Order: writes, reads on demand, polls of devices that answer, and only then requests to devices that may stay silent.
A write waits for at most the transaction on the wire plus the writes before it. What silent devices cost the others
is a budget: a share of the wire's time. Only time in which other work had to wait counts as cost, so probing an
otherwise idle wire is free.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import Generic, Protocol, TypeVar

WRITES_PER_DEVICE = 64
WRITES_IN_A_ROW = 128
"""After so many writes without a pause one poll is let in: a flood of writes must not blind the gateway."""
JOBS = 256
"""Reads on demand and read-backs that may wait on one wire."""
_CAPACITY_S = 60.0
_WINDOW_S = 300.0
"""The share holds over any window of this length: what is saved up (capacity) is taken off the rate."""


class Full(Exception):
    """A bounded queue is full; nothing was queued."""


class WriteLike(Protocol):
    """A waiting write, as the arbiter sees it."""

    @property
    def device(self) -> str: ...

    @property
    def tag(self) -> str: ...


W = TypeVar("W", bound=WriteLike)
J = TypeVar("J")
P = TypeVar("P")


class SilenceBudget:
    """Seconds that silent devices may take from the others: `share` of the time over any five minutes."""

    def __init__(self, share: float, now: float) -> None:
        self._capacity = share * _CAPACITY_S
        self._rate = share * (1.0 - _CAPACITY_S / _WINDOW_S)
        self._credit = self._capacity
        self._at = now

    def allows(self, cost: float, now: float) -> bool:
        """Whether a request may be sent that could cost that much. One larger than all savings needs them all."""
        self._save(now)
        return self._credit >= min(cost, self._capacity)

    def charge(self, cost: float, now: float) -> None:
        """Take off what was really lost. May go below zero: a first silence cannot be foreseen."""
        self._save(now)
        self._credit -= cost

    def _save(self, now: float) -> None:
        self._credit = min(self._capacity, self._credit + (now - self._at) * self._rate)
        self._at = now


class Arbiter(Generic[W, J, P]):
    """The queues of one wire. W: writes, J: reads on demand, P: polls."""

    def __init__(self) -> None:
        self._writes: deque[W] = deque()
        self._writes_of: dict[str, int] = {}
        self._row = 0
        self._jobs: list[tuple[float, int, J]] = []
        self._order = itertools.count()
        self.polls: deque[P] = deque()
        self.doubtful: deque[P] = deque()
        """Requests to devices whose last answer did not come, and probes."""

    def put_write(self, write: W) -> W | None:
        """Queue a write. Returns the older one of the same tag that it replaces. Raises Full."""
        old = next((w for w in self._writes if w.device == write.device and w.tag == write.tag), None)
        if old is not None:
            self.drop_write(old)
        elif self._writes_of.get(write.device, 0) >= WRITES_PER_DEVICE:
            raise Full
        self._writes.append(write)
        self._writes_of[write.device] = self._writes_of.get(write.device, 0) + 1
        return old

    def drop_write(self, write: W) -> bool:
        """Take a waiting write out. False when it does not wait any more."""
        try:
            self._writes.remove(write)
        except ValueError:
            return False
        self._writes_of[write.device] -= 1
        return True

    def writes_to(self, device: str | None = None) -> list[W]:
        return [write for write in self._writes if device is None or write.device == device]

    def next_write(self) -> W | None:
        """The write that goes next, taken out of the queue."""
        if not self._writes or (self._row >= WRITES_IN_A_ROW and self.polls):
            self._row = 0
            return None
        self._row += 1
        write = self._writes.popleft()
        self._writes_of[write.device] -= 1
        return write

    def put_job(self, job: J, not_before: float) -> None:
        """Queue a read on demand. Raises Full."""
        if len(self._jobs) >= JOBS:
            raise Full
        heapq.heappush(self._jobs, (not_before, next(self._order), job))

    def next_job(self, now: float) -> J | None:
        if self._jobs and self._jobs[0][0] <= now:
            return heapq.heappop(self._jobs)[2]
        return None

    def job_due(self) -> float | None:
        """When the next read on demand may go."""
        return self._jobs[0][0] if self._jobs else None

    def take_jobs(self) -> list[J]:
        """All waiting reads on demand, taken out."""
        jobs = [job for _, _, job in self._jobs]
        self._jobs.clear()
        return jobs

    @property
    def urgent(self) -> bool:
        """Whether writes wait."""
        return bool(self._writes)

    def clear_polls(self) -> None:
        self.polls.clear()
        self.doubtful.clear()
