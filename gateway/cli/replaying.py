"""Feeds a replay from the running gateway's journal, in the order in which everything came."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.replayed import Replayed
from gateway.local.client import Client
from gateway.model import Tag
from gateway.rulebook import RuleBook
from rules.replay import Effect, Entry, Outcomes, Replay, compare, entry_from
from rules.replay.comparing import effects_of
from rules.replay.orders import Order, order_from
from rules.replay.outcomes import as_text
from rules.replay.recording import Head


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


class Rehearsal:
    """Other rules over a recording: they begin with its latest values, and get what came."""

    def __init__(self, book: RuleBook, tags: Iterable[Tag], write: Callable[[str], object]) -> None:
        self._effects: list[Effect] = []
        self._real: list[Effect] = []
        self._write = write
        self._run = Replay(book, tags, Outcomes(self._take))

    def run(self, head: Head, lines: Iterable[dict[str, Any]]) -> Replayed:
        """Raises NotAnEntry or ExpressionError."""
        for one in head.latest:
            device, _, path = one.tag.partition(".")
            entry = Entry(head.at, head.offset, "", one.ts, device, (path,), (one.value,), (one.quality,))
            self._run.batch(entry)
        cut = True
        for line in lines:
            cut &= "end" not in line
            if "batch" in line:
                self._run.batch(entry_from(line["batch"]))
            elif "outcome" in line:
                self._outcome(line["outcome"])
            elif "time" in line:
                self._run.clock("", *line["time"])
        since, until = head.at + head.offset, self._run.wall
        real = [effect for effect in self._real if since <= effect.ts <= until]
        return Replayed(since, until, self._run.played, 0, compare(self._effects, real), cut)

    def _outcome(self, line: dict[str, Any]) -> None:
        self._real += effects_of(line)
        order = order_from(line)
        if order is not None:
            self._run.order(order)

    def _take(self, line: dict[str, Any]) -> None:
        self._effects += effects_of(line)
        self._write(as_text(line))


@contextmanager
def line_writer(name: str | None) -> Iterator[Callable[[str], object]]:
    """A function that writes a line to the file `name`; one that does nothing where there is none."""
    if name is None:
        yield lambda _text: None
        return
    with Path(name).open("w", encoding="utf-8") as file:
        yield lambda text: file.write(f"{text}\n")
