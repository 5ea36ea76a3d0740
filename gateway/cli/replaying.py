"""Feeds a replay from the running gateway's journal, in the order in which everything came."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.local.client import Client
from rules.replay import Entry, Replay, entry_from
from rules.replay.orders import Order, order_from


class History:
    """What the journal holds of a time, in ms UTC. Reads as it is asked; readings are never held all at once."""

    def __init__(self, client: Client, since_ms: int, until_ms: int) -> None:
        self._client = client
        self._since_ms = since_ms
        self._until_ms = until_ms
        self.missing = 0
        """Readings whose numbers are not held any more."""

    def entries(self, stream: str, **chosen: Any) -> Iterator[dict[str, Any]]:
        """Entries of a stream."""
        asked = {"stream": stream, "since_ms": self._since_ms, "until_ms": self._until_ms, **chosen}
        for item in self._client.stream("history", asked):
            if "gap" in item:
                if stream == "telemetry":
                    self.missing += item["gap"]["to"] - item["gap"]["from"] + 1
            else:
                yield from item["entries"]


class Feeding:
    """Puts batches, set clocks and people's orders into a replay, each in its turn."""

    def __init__(self, replay: Replay, clocks: Iterable[dict[str, Any]], alarms: Iterable[dict[str, Any]]) -> None:
        """`clocks`: entries of kind `clock` of stream event; `alarms`: entries of stream alarm."""
        self._replay = replay
        self._clocks: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
        for row in clocks:
            self._clocks[str(row["boot"])].append((int(row["at_mono"]), int(row["offset_new"])))
        orders = (order_from(row) for row in alarms)
        self._orders: deque[Order] = deque(order for order in orders if order is not None)

    def run(self, rows: Iterable[dict[str, Any]]) -> None:
        """Feed the batches of telemetry. Raises NotAnEntry."""
        for row in rows:
            entry = entry_from(row)
            self._before(entry)
            self._replay.batch(entry)

    def finish(self, until_ms: int) -> None:
        """What people did after the last batch, and the time up to the end."""
        while self._orders and self._orders[0].ts <= until_ms:
            self._replay.order(self._orders.popleft())
        self._replay.until(until_ms)

    def _before(self, entry: Entry) -> None:
        while self._orders and self._orders[0].ts < entry.wall:
            self._replay.order(self._orders.popleft())
        clocks = self._clocks[entry.boot]
        while clocks and clocks[0][0] <= entry.at:
            at, offset = clocks[0]
            if at == entry.at and offset != entry.offset:  # it came in the same millisecond, before the clock was set
                return
            clocks.popleft()
            self._replay.clock(entry.boot, at, offset)
