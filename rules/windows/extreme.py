"""The largest or the least number of a window: a monotonic queue."""

from __future__ import annotations

import operator
from collections import deque

from rules.values import NoValue


class Extreme:
    """Numbers in the order of their keys; those that can never be the extreme again are not kept."""

    __slots__ = ("_beats", "_queue")

    def __init__(self, *, largest: bool) -> None:
        self._beats = operator.ge if largest else operator.le
        self._queue: deque[tuple[int, float]] = deque()

    def push(self, key: int, number: float) -> None:
        """A number whose key is the highest so far."""
        queue, beats = self._queue, self._beats
        while queue and beats(number, queue[-1][1]):
            queue.pop()
        queue.append((key, number))

    def insert(self, key: int, number: float) -> None:
        """A number somewhere in the order."""
        newer = []
        while self._queue and self._queue[-1][0] > key:
            newer.append(self._queue.pop())
        self.push(key, number)
        for entry in reversed(newer):
            self.push(*entry)

    def evict(self, before: int) -> None:
        """Forget what has a key below `before`."""
        queue = self._queue
        if queue and queue[-1][0] < before:
            queue.clear()
        while queue and queue[0][0] < before:
            queue.popleft()

    def value(self) -> float:
        """Raises NoValue where nothing is in it. A bool counts as a number."""
        if not self._queue:
            raise NoValue
        return +self._queue[0][1]
