"""The local message bus: direct calls on the hot path, bounded queues for whoever may be slow.

A batch subscriber is a plain callable and runs inside `publish`: shadow, rules, journal. One that raises is counted,
reported once and called again next time; it never stops the others nor the driver. Watchers get a queue of their own
that drops its oldest item when full and says how many were dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.model import Batch

T = TypeVar("T")
BatchSubscriber = Callable[[Batch], None]

_log = logging.getLogger("fieldpost.bus")


class Feed(Generic[T]):
    """A bounded queue between the bus and one watcher. Overflow: the oldest item goes, `dropped` counts it."""

    def __init__(self, bound: int) -> None:
        self._items: deque[T] = deque(maxlen=bound)
        self._bound = bound
        self._ready = asyncio.Event()
        self.dropped = 0

    def put(self, item: T) -> None:
        if len(self._items) == self._bound:
            self.dropped += 1
        self._items.append(item)
        self._ready.set()

    async def get(self) -> T:
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)


class Bus:
    """In-process topics for batches and events."""

    def __init__(self) -> None:
        self._batch_subscribers: list[tuple[str, BatchSubscriber]] = []
        self._batch_feeds: list[Feed[Batch]] = []
        self._failed: set[str] = set()
        self.errors = 0
        self.batches = 0
        self.readings = 0

    def subscribe(self, name: str, subscriber: BatchSubscriber) -> None:
        """Call `subscriber` for every batch, in the order of subscribing. `name` is told when it fails."""
        self._batch_subscribers.append((name, subscriber))

    def watch(self, bound: int = 1000) -> Feed[Batch]:
        """A feed of batches for a slow reader. End it with `unwatch`."""
        feed: Feed[Batch] = Feed(bound)
        self._batch_feeds.append(feed)
        return feed

    def unwatch(self, feed: Feed[Batch]) -> None:
        self._batch_feeds.remove(feed)

    def publish(self, batch: Batch) -> None:
        """Hand one batch to all. Never raises."""
        self.batches += 1
        self.readings += len(batch.values)
        for name, subscriber in self._batch_subscribers:
            try:
                subscriber(batch)
            except Exception:
                self._count_error(name)
        for feed in self._batch_feeds:
            feed.put(batch)

    def _count_error(self, name: str) -> None:
        self.errors += 1
        if name not in self._failed:  # once per subscriber: a failing one would flood the log at poll rate
            self._failed.add(name)
            _log.exception("subscriber %s failed on a batch; further failures are counted only", name)
