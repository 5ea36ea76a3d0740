"""The world around a journal: an uplink without memory of its own, a net that loses and repeats, and sinks.

The invariants of protocol.md 2.11 are checked here, from outside: by what sinks received and what the journal says.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from tests.model.terms import Defect, Entry, GapRecord, Journal


@dataclass(frozen=True)
class Message:
    """On its way to a consumer's broker: entries or one gap record."""

    consumer: str
    entries: tuple[Entry, ...] = ()
    gap: GapRecord | None = None


@dataclass
class Sink:
    """A database behind the broker. It keeps one row per key (epoch, entry number, tag) and all gap records."""

    dedup: bool = True
    rows: list[tuple[tuple[int, int, int], int, int]] = field(default_factory=list)
    known: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    numbers: dict[tuple[int, int], tuple[int, int, int]] = field(default_factory=dict)
    gaps: list[GapRecord] = field(default_factory=list)

    def receive(self, message: Message) -> None:
        if message.gap is not None:
            self.gaps.append(message.gap)
        for entry in message.entries:
            assert len(set(entry.tags)) == len(entry.tags), "a tag occurs twice in an entry"
            for i, (tag, value) in enumerate(zip(entry.tags, entry.values, strict=True)):
                self._row((entry.epoch, entry.seq, tag), entry.ts, value)
                self._number((entry.epoch, entry.seq + i), (tag, entry.ts, value))

    def _row(self, key: tuple[int, int, int], ts: int, value: int) -> None:
        if key in self.known and self.dedup:
            assert self.known[key] == (ts, value), f"J11: {key} came twice with different content"
            return
        self.known[key] = (ts, value)
        self.rows.append((key, ts, value))

    def _number(self, number: tuple[int, int], content: tuple[int, int, int]) -> None:
        known = self.numbers.setdefault(number, content)
        assert known == content, f"J15: number {number} has two contents"


class World:
    """One journal, its consumers, and what is under way."""

    def __init__(self, journal: Journal, defect: Defect | None = None) -> None:
        self.journal = journal
        self.defect = defect
        self.sinks: dict[str, Sink] = {}
        self.exempt: dict[str, set[tuple[int, int]]] = {}
        self.net: list[Message] = []
        self.highest: dict[int, int] = {}
        self.durable: set[int] = set()
        self.pending: list[int] = []
        self.names: dict[int, str] = {}
        self._value = 0
        self._ts = 1_000_000
        self._consumers = 0

    # --- steps

    def bind(self, tags: list[str]) -> list[int]:
        aliases = self.journal.bind(tags)
        for alias, tag in zip(aliases, tags, strict=True):
            known = self.names.setdefault(alias, tag)
            assert known == tag, f"W9: alias {alias} of {known} was given to {tag}"
        return aliases

    def produce(self, tags: list[int]) -> None:
        self._ts += 7
        values = list(range(self._value, self._value + len(tags)))
        self._value += len(tags)
        self.pending.extend(values)
        self.journal.produce(self._ts, tags, values)

    def commit(self) -> None:
        if self.journal.commit():
            self.durable.update(self.pending)
            self.pending.clear()
        self._look()

    def lost_in_ram(self) -> None:
        """After a crash: what was not committed may be gone."""
        self.pending.clear()
        self._look()

    def add(self, start: str) -> str:
        self._consumers += 1
        name = f"up{self._consumers}"
        self.journal.add(name, start)
        self.sinks[name] = Sink(dedup=self.defect is not Defect.CONSUMER_WITHOUT_DEDUP)
        self._look()
        given = {(epoch, n) for epoch, last in self.highest.items() for n in range(1, last + 1)}
        self.exempt[name] = self.journal.done(name) | (given - self.journal.held())
        return name

    def forget(self, name: str) -> None:
        self.journal.forget(name)
        del self.sinks[name]
        self.net = [message for message in self.net if message.consumer != name]

    def send(self, name: str, after: tuple[int, int], limit: int) -> None:
        entries = self.journal.read(name, after, limit)
        for entry in entries:
            assert entry.last <= self.highest.get(entry.epoch, 0), "J13: sent before its commit"
        if entries:
            self.net.append(Message(name, tuple(entries)))

    def send_gap(self, name: str, which: int) -> None:
        gaps = self.journal.gaps(name)
        if gaps:
            self.net.append(Message(name, gap=gaps[which % len(gaps)]))

    def deliver(self, which: int, *, keep: bool, code: int, ack: bool) -> None:
        """The broker takes a message (or refuses it with `code`); `keep`: it comes again; `ack`: the answer arrives."""
        message = self.net[which % len(self.net)]
        if not keep:
            self.net.remove(message)
        if code < 0x80:
            self.sinks[message.consumer].receive(message)
        if ack and (code < 0x80 or self.defect is Defect.CURSOR_MOVED_ON_0X87):
            self._acknowledge(message)

    def _acknowledge(self, message: Message) -> None:
        if message.gap is not None:
            self.journal.gap_acknowledged(message.consumer, message.gap)
        else:
            first, last = message.entries[0], message.entries[-1]
            self.journal.acknowledge(message.consumer, first.epoch, first.seq, last.last)

    # --- invariants

    def _look(self) -> None:
        epoch, last = self.journal.epoch(), self.journal.last()
        assert epoch >= max(self.highest, default=0), "J4: the epoch went down"
        assert last >= self.highest.get(epoch, 0), "J4: the next number went down"
        self.highest[epoch] = last

    def check(self) -> None:
        held = self.journal.held()
        for epoch, number in held:
            assert number <= self.highest.get(epoch, 0), "J22: a held number that was never given out"
        for name, sink in self.sinks.items():
            self._check_consumer(name, sink, held)

    def _check_consumer(self, name: str, sink: Sink, held: set[tuple[int, int]]) -> None:
        done = self.journal.done(name)
        in_gap, open_ended = _covered([*self.journal.gaps(name), *sink.gaps])
        for epoch, last in self.highest.items():
            for number in range(1, last + 1):
                key = (epoch, number)
                if key in self.exempt[name] or key in sink.numbers or key in in_gap:
                    continue
                assert (key in held and key not in done) or epoch in open_ended, f"J1: {name} will never know of {key}"
        stored = [value for _, _, value in sink.rows]
        assert len(set(stored)) == len(stored), "J2: a reading is stored twice"
        for ranges in self.journal.ranges(name):
            _check_ranges(ranges)

    def drain(self) -> None:
        """The line is good from now on: everything arrives, then received and gaps cover each epoch (J21)."""
        for name, sink in self.sinks.items():
            for _ in range(10_000):
                before = len(self.net)
                self.send(name, (0, 0), 1000)
                self.send_gap(name, 0)
                if len(self.net) == before:
                    break
                while len(self.net) > before:
                    self.deliver(len(self.net) - 1, keep=False, code=0, ack=True)
            self.commit()
            covered, open_ended = _covered(sink.gaps)
            for epoch, last in self.highest.items():
                if epoch in open_ended:
                    continue
                wire = {n for n in range(1, last + 1) if (epoch, n) in sink.numbers or (epoch, n) in covered}
                missing = set(range(1, last + 1)) - wire - {n for e, n in self.exempt[name] if e == epoch}
                assert not missing, f"J21: {name} misses {sorted(missing)} of epoch {epoch}"


def _covered(gaps: list[GapRecord]) -> tuple[set[tuple[int, int]], set[int]]:
    numbers: set[tuple[int, int]] = set()
    open_ended: set[int] = set()
    for gap in gaps:
        if gap.first is None or gap.last is None:
            open_ended.add(gap.epoch)
        else:
            numbers |= {(gap.epoch, n) for n in range(gap.first, gap.last + 1)}
    return numbers, open_ended


def _check_ranges(ranges: list[tuple[int, int]]) -> None:
    assert len(ranges) < 64, "J10: too many done ranges"
    for low, high in ranges:
        assert 1 <= low <= high, "J10: an empty range"
    for (_, high), (low, _) in itertools.pairwise(ranges):
        assert high + 1 < low, "J10: ranges overlap or touch"
