"""Feeds a replay from the running gateway's journal, in the order in which everything came."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.replayed import Replayed
from gateway.local.client import Client
from gateway.model import Tag
from gateway.rulebook import RuleBook
from rules.alarms.catalogue import CATALOGUE
from rules.replay import Effect, Entry, Outcomes, Replay, compare, entry_from
from rules.replay.comparing import effects_of
from rules.replay.orders import Order, order_from
from rules.replay.outcomes import as_text
from rules.replay.recording import Head
from rules.replay.restarts import Restart, Upkeep, upkeep_from

_LOOK_BACK_MS = (10_000, 600_000)

Happening = Order | Upkeep


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
    """Puts batches, set clocks, starts of the gateway and what people did into a replay, each in its turn."""

    def __init__(
        self, replay: Replay, events: Iterable[dict[str, Any]], people: Iterable[Happening], since: int
    ) -> None:
        """`events`: entries of kind `clock` and `start` of stream event. `since`, UTC ms: what people did before and
        what is not possible here is not told.
        """
        self._replay = replay
        self._since = since
        self._clocks: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
        self._starts: deque[Restart] = deque()
        self._boot = ""
        for row in events:
            if row["kind"] == "start":
                self._starts.append(Restart(int(row["ts"]), str(row["boot"]), int(row.get("alive", 0))))
            else:
                self._clocks[str(row["boot"])].append((int(row["at_mono"]), int(row["offset_new"])))
        self._people = deque(sorted(people, key=lambda one: one.ts))

    def run(self, rows: Iterable[dict[str, Any]]) -> None:
        """Feed the batches of telemetry. Raises NotAnEntry."""
        for row in rows:
            entry = entry_from(row)
            self._before(entry)
            self._replay.batch(entry)
            self._boot = entry.boot

    def finish(self, until_ms: int) -> None:
        """What happened after the last batch, and the time up to the end."""
        while self._starts and self._starts[0].ts <= until_ms:
            self._start(until_ms)
        self._give(until_ms + 1)
        self._replay.until(until_ms)

    def _before(self, entry: Entry) -> None:
        while self._starts and self._is_due(self._starts[0], entry):
            self._start(entry.wall)
        self._give(entry.wall)
        clocks = self._clocks[entry.boot]
        while clocks and clocks[0][0] <= entry.at:
            at, offset = clocks[0]
            if at == entry.at and offset != entry.offset:  # it came in the same millisecond, before the clock was set
                return
            clocks.popleft()
            self._replay.clock(entry.boot, at, offset)

    def _is_due(self, begin: Restart, entry: Entry) -> bool:
        """Within a boot by the clock; that of another boot may not be set yet, but its entries come after its start."""
        if self._boot in ("", begin.boot):
            return begin.ts <= entry.wall
        return entry.boot != self._boot

    def _start(self, until_ms: int) -> None:
        begin = self._starts.popleft()
        self._give(min(begin.ts, until_ms))
        self._replay.restart(begin)
        if self._boot:
            self._boot = begin.boot

    def _give(self, before_ms: int) -> None:
        """What people did before then."""
        while self._people and self._people[0].ts < before_ms:
            one = self._people.popleft()
            if isinstance(one, Upkeep):
                self._replay.upkeep(one)
            else:
                self._replay.order(one, counts=one.ts >= self._since)


def happenings(
    alarms: Iterable[dict[str, Any]], audit: Iterable[dict[str, Any]], followed: Container[str]
) -> Iterator[Happening]:
    """What people did: to alarms, but for those that follow issues (ids in `followed`), and by working on devices."""
    for row in alarms:
        order = order_from(row)
        if order is not None and row.get("id") not in followed:
            yield order
    for row in audit:
        work = upkeep_from(row)
        if work is not None:
            yield work


def alive_before(client: Client, begin: dict[str, Any]) -> dict[str, Any]:
    """A start with the time of the last reading before it: until then the process before watched."""
    ts = int(begin["ts"])
    for back_ms in _LOOK_BACK_MS:
        walls = [row["at"] + row["offset"] for row in History(client, ts - back_ms, ts).entries("telemetry")]
        if walls:
            return {**begin, "alive": max(walls)}
    return begin


class Rehearsal:
    """Other rules over a recording: they begin with its latest values, and get what came."""

    def __init__(self, book: RuleBook, tags: Iterable[Tag], write: Callable[[str], object]) -> None:
        self._effects: list[Effect] = []
        self._real: list[Effect] = []
        self._write = write
        self._followed = followed_by(book)
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
            elif "maintenance" in line:
                device, at, offset, on = line["maintenance"]
                self._run.upkeep(Upkeep(at + offset, device, on))
            elif "outcome" in line:
                self._outcome(line["outcome"])
            elif "time" in line:
                self._run.clock("", *line["time"])
        since, until = head.at + head.offset, self._run.wall
        real = [effect for effect in self._real if since <= effect.ts <= until]
        return Replayed(since, until, self._run.played, 0, compare(self._effects, real), cut)

    def _outcome(self, line: dict[str, Any]) -> None:
        if line.get("id") in self._followed:
            return
        self._real += effects_of(line)
        order = order_from(line)
        if order is not None:
            self._run.order(order)

    def _take(self, line: dict[str, Any]) -> None:
        self._effects += effects_of(line)
        self._write(as_text(line))


def followed_by(book: RuleBook) -> frozenset[str]:
    """Ids of alarms that follow issues of the gateway: no rules make them, and a replay has no issues."""
    return frozenset(CATALOGUE.keys() | {spec.id for spec in book.alarms if spec.issue})


@contextmanager
def line_writer(name: str | None) -> Iterator[Callable[[str], object]]:
    """A function that writes a line to the file `name`; one that does nothing where there is none."""
    if name is None:
        yield lambda _text: None
        return
    with Path(name).open("w", encoding="utf-8") as file:
        yield lambda text: file.write(f"{text}\n")
