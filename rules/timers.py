"""Logical timers: deadlines on the boot clock that fire in order, equal ones in the order in which they were set."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Fire = Callable[[], None]


class Timers:
    """Named deadlines. Setting a name again moves it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, object]] = []
        self._known: dict[object, tuple[int, int, Fire]] = {}
        self._order = itertools.count()

    def set(self, name: object, deadline: int, fire: Fire) -> None:
        """`fire` is called by whoever pops it, when `deadline` (ms on the boot clock) has come."""
        order = next(self._order)
        self._known[name] = (deadline, order, fire)
        heapq.heappush(self._heap, (deadline, order, name))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._known):
            self._heap = [(at, number, key) for key, (at, number, _) in self._known.items()]
            heapq.heapify(self._heap)

    def cancel(self, name: object) -> None:
        """It does not fire any more; harmless when there is none."""
        self._known.pop(name, None)

    def deadline(self, name: object) -> int | None:
        known = self._known.get(name)
        return None if known is None else known[0]

    @property
    def due(self) -> int | None:
        """The next deadline; None when nothing waits."""
        while self._heap:
            at, order, name = self._heap[0]
            known = self._known.get(name)
            if known is not None and known[1] == order:
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self, at: int) -> tuple[int, Fire] | None:
        """The next deadline that is not after `at`, taken out: its time and what to call."""
        due = self.due
        if due is None or due > at:
            return None
        _, _, name = heapq.heappop(self._heap)
        _, _, fire = self._known.pop(name)
        return due, fire
