"""Reading by the clock, where subscriptions are not wanted or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from drivers.opcua.feed import Feed
from drivers.opcua.items import VALUE
from drivers.opcua.session import Session
from gateway.errors import DeviceUnavailable, LinkLost

_SHORTEST_S = 0.02


class Polls:
    """Nodes to be read, by interval. `late`: rounds that were left out because the one before was not done."""

    def __init__(self, session: Session, feed: Feed, heard: Callable[[], None]) -> None:
        self._session = session
        self._feed = feed
        self._heard = heard
        self._nodes: dict[float, dict[int, Any]] = {}
        self._changed = asyncio.Event()
        self.late = 0
        self.rounds = 0

    def add(self, items: Iterable[tuple[int, Any, float]]) -> None:
        """(handle, node, seconds): read these from now on."""
        for handle, node, every_s in items:
            self._nodes.setdefault(max(every_s, _SHORTEST_S), {})[handle] = node
        self._changed.set()

    async def run(self) -> None:
        """For ever. Raises LinkLost."""
        loop = asyncio.get_running_loop()
        due: dict[float, float] = {}
        while True:
            self._changed.clear()
            now = loop.time()
            for every_s in list(self._nodes):
                if due.setdefault(every_s, now) > now:
                    continue
                await self._round(self._nodes[every_s])
                due[every_s] += every_s
                if due[every_s] <= loop.time():
                    behind = int((loop.time() - due[every_s]) / every_s) + 1
                    self.late += behind
                    due[every_s] += behind * every_s
            wait = min(due.values()) - loop.time() if due else None
            if wait is None or wait > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    pass

    async def _round(self, nodes: dict[int, Any]) -> None:
        handles, ids = list(nodes), list(nodes.values())
        try:
            await self._session.read(ids, VALUE, self._feed.polled(handles))
        except LinkLost:
            raise
        except DeviceUnavailable:
            return  # whether anybody is there at all is found out beside
        finally:
            self._feed.flush()
        self.rounds += 1
        self._heard()


__all__ = ["Polls"]
