"""Whose turn it is: one queue per device, so that a slow device holds up nobody but its own commands.

Within a device commands begin in the order of arrival. Writes to different tags of one device may be at work side by
side, since the wire's arbiter puts them in order; everything else is alone. What has no device has a queue of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

WAITING = 64
"""Commands that may wait per device; the next one is refused."""
WRITES_AT_ONCE = 64
"""Values on their way to one device, over all commands: what the arbiter of a wire takes."""
WITHOUT_DEVICE = 4
"""Commands without a device that may be at work at once."""


class Turn(Protocol):
    """A command that waits or is at work."""

    @property
    def lane(self) -> str:
        """Its device, empty without one."""
        ...

    @property
    def tags(self) -> frozenset[str] | None:
        """The tags it writes; None when it must be alone."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it may begin: it is on disk."""
        ...


class _Lane:
    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Turn] = deque()
        self.running: list[Turn] = []

    def lets(self, turn: Turn) -> bool:
        """Whether `turn` may begin beside what is at work."""
        if not self.running:
            return True
        if not turn.lane:
            return len(self.running) < WITHOUT_DEVICE
        if turn.tags is None:
            return False
        count = len(turn.tags)
        for other in self.running:
            if other.tags is None or not turn.tags.isdisjoint(other.tags):
                return False
            count += len(other.tags)
        return count <= WRITES_AT_ONCE


class Turns:
    """The queues of all devices. `begin` is called for each command whose turn has come."""

    def __init__(self, begin: Callable[[Turn], None]) -> None:
        self._begin = begin
        self._lanes: dict[str, _Lane] = {}
        self._paused = False

    def add(self, turn: Turn) -> bool:
        """Queue a command. False when its device's queue is full."""
        lane = self._lanes.get(turn.lane)
        if lane is None:
            lane = self._lanes[turn.lane] = _Lane()
        if len(lane.waiting) >= WAITING:
            return False
        lane.waiting.append(turn)
        return True

    def look(self, turn: Turn) -> None:
        """Something changed about `turn`: let those begin that may."""
        lane = self._lanes.get(turn.lane)
        if lane is not None:
            self._serve(turn.lane, lane)

    def done(self, turn: Turn) -> None:
        """It is not at work and does not wait any more."""
        lane = self._lanes.get(turn.lane)
        if lane is None:
            return
        for queue in (lane.running, lane.waiting):
            if turn in queue:
                queue.remove(turn)
        self._serve(turn.lane, lane)

    def pause(self) -> None:
        """Nothing begins any more."""
        self._paused = True

    def clear(self) -> None:
        """Forget all of them."""
        self._lanes.clear()

    @property
    def running(self) -> int:
        """How many are at work."""
        return sum(len(lane.running) for lane in self._lanes.values())

    def _serve(self, name: str, lane: _Lane) -> None:
        while lane.waiting and not self._paused:
            turn = lane.waiting[0]
            if not turn.ready or not lane.lets(turn):
                break
            lane.waiting.popleft()
            lane.running.append(turn)
            self._begin(turn)
        if not lane.waiting and not lane.running:
            self._lanes.pop(name, None)
