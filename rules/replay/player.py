"""Plays what was recorded into an engine of its own, with the times at which it came.

Deadlines fire at their own time, before any later input: what comes out is the same in every run, and the same as of
an engine that was there. Readings of tags that rules compute or set are left out: they are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.model import Batch, Block, Quality, Tag, Value
from gateway.rulebook import RuleBook
from rules.alarms.refusal import AlarmRefused
from rules.engine import Engine
from rules.keeping import Kept, go_live, lose_sight
from rules.replay.entries import Entry
from rules.replay.orders import Order
from rules.replay.outcomes import Outcomes
from rules.replay.restarts import Restart, Rows, Upkeep, begun_again
from rules.replay.timeline import Timeline
from rules.values import Outlet


class Played(Struct):
    """What a replay was given. `unknown`: readings of tags that are not configured (any more). `own`: of tags that
    rules compute or set. `repeated`: values that were told again (`refresh`), which no rule ever saw. `starts`: of the
    gateway within it; `boots`: of the machine, where no start was told. `refused`: orders of people that were not
    possible in this run.
    """

    batches: int = 0
    readings: int = 0
    unknown: int = 0
    own: int = 0
    repeated: int = 0
    starts: int = 0
    boots: int = 0
    refused: int = 0


class _Known(Struct):
    """The last reading of a tag."""

    value: Value
    quality: int
    ts: int
    at: int


class Replay:
    """One run of a rule book over recorded input. The engine is made with the first input."""

    def __init__(self, book: RuleBook, tags: Iterable[Tag], outlet: Outlet, *, timed: bool = False) -> None:
        """Raises nothing; the first input raises ExpressionError for a book that does not fit the tags. `timed`: what
        takes longer than its budget is stopped as in a running gateway; then results depend on this machine too.
        """
        self._timed = timed
        self.played = Played()
        self.engine: Engine | None = None
        self._book = book
        self._outlet = Rows(outlet)
        self._maintained: frozenset[str] = frozenset()
        self._started = ""  # the boot of the last start that was told
        self._tags = list(tags)
        self._line = Timeline()
        self._own = own_tags(book, self._tags)
        self._blocks = _blocks(self._tags)
        self._paths = {
            device: {tag.path: place for place, tag in enumerate(block.tags)} for device, block in self._blocks.items()
        }
        self._known: dict[int, _Known] = {}

    @property
    def wall(self) -> int:
        """UTC ms of the moment that it has come to; 0 before the first input."""
        return 0 if self._line.at is None else self._line.at + self._line.offset

    def batch(self, entry: Entry) -> None:
        """A recorded batch."""
        engine = self._reach(entry.boot, entry.at, entry.offset)
        batch = self._batch(entry)
        if batch is not None:
            self.played.batches += 1
            self.played.readings += len(batch)
            engine.on_batch(batch, self._now, self._line.offset)

    def clock(self, boot: str, at: int, offset: int) -> None:
        """The wall clock was set, or another boot began; time passes up to it."""
        self._reach(boot, at, offset)

    def order(self, order: Order, *, counts: bool = True) -> None:
        """Somebody did something to an alarm. `counts`: it is told if that is not possible."""
        if self.engine is None:
            self.played.refused += counts
            return
        self._line.at = self._line.at_wall(order.ts)
        try:
            self.engine.orders.order(order.give, self._now, self._line.offset)
        except AlarmRefused:
            self.played.refused += counts

    def upkeep(self, work: Upkeep) -> None:
        """People begin to work on a device, or end it."""
        self._maintained = self._maintained | {work.device} if work.on else self._maintained - {work.device}
        if self.engine is not None:
            self._line.at = self._line.at_wall(work.ts)
            self.engine.orders.maintenance(work.device, self._now, self._line.offset, on=work.on)

    def restart(self, begin: Restart) -> None:
        """The gateway ended and began again: nothing is good until it is read, delays stood still meanwhile."""
        self._started = begin.boot
        if self.engine is None:
            return
        self.until(min(begin.alive, begin.ts))
        self._line.at = self._line.at_wall(begin.ts)
        old = self.engine
        self.engine = begun_again(old, self._book, self._tags, self._outlet, self._now, self._maintained)
        self._known.clear()
        self.played.starts += 1

    def until(self, wall: int) -> None:
        """Time passes, without further input, until the wall clock shows `wall`."""
        if self.engine is not None:
            self._line.at = self._line.at_wall(wall)
            self.engine.advance(self._now, self._line.offset)

    @property
    def _now(self) -> int:
        assert self._line.at is not None
        return self._line.at

    def _reach(self, boot: str, at: int, offset: int) -> Engine:
        """The engine, at that moment."""
        before, old_offset = self._line.at, self._line.offset
        place = self._line.place(boot, at, offset)
        if self.engine is None:
            self.engine = start(
                self._book, self._tags, self._outlet, place.at, place.offset, self._maintained, timed=self._timed
            )
            return self.engine
        if place.another_boot and boot != self._started:
            assert before is not None
            self._lose_sight(before, old_offset, place.at)
        if place.offset != old_offset:  # what was due before fires by the clock that held until then
            self.engine.advance(place.at, old_offset)
        self.engine.advance(place.at, place.offset)
        return self.engine

    def _lose_sight(self, at: int, offset: int, until: int) -> None:
        """Nobody watched from the last input to the next boot: what is known is from before."""
        self.played.boots += 1
        assert self.engine is not None
        for block in self._blocks.values():
            known = [(place, self._known.get(slot)) for place, slot in enumerate(block.slots)]
            rows = [(place, row.value) for place, row in known if row is not None and row.quality < Quality.UNCERTAIN]
            if rows:
                index, values = zip(*rows, strict=True)
                quality = [int(Quality.LAST_KNOWN)] * len(rows)
                self.engine.on_batch(Batch(block, values, at + offset, at / 1000, index, quality), at, offset)
        self._known.clear()
        lose_sight(self.engine, at, until)

    def _batch(self, entry: Entry) -> Batch | None:
        """The entry as the engine takes it; None when nothing of it is for the engine."""
        block = self._blocks.get(entry.device)
        places = self._paths.get(entry.device, {})
        index: list[int] = []
        values: list[Value] = []
        quality: list[int] = []
        repeated = bool(entry.tags)
        for number, (path, value) in enumerate(zip(entry.tags, entry.values, strict=True)):
            place = places.get(path)
            if block is None or place is None:
                self.played.unknown += 1
                continue
            slot = block.slots[place]
            if slot in self._own:
                self.played.own += 1
                continue
            code = 0 if entry.quality is None else entry.quality[number]
            repeated &= self._is_repeated(slot, value, code, entry.ts)
            index.append(place)
            values.append(value)
            quality.append(code)
        if block is None or not index:
            return None
        if repeated:
            self.played.repeated += len(index)
            return None
        for place, value, code in zip(index, values, quality, strict=True):
            self._known[block.slots[place]] = _Known(value, code, entry.ts, self._now)
        return Batch(block, values, entry.ts, self._now / 1000, index, quality if any(quality) else None)

    def _is_repeated(self, slot: int, value: Value, quality: int, ts: int) -> bool:
        """Whether a reading only says again, later, what was said with the same time."""
        known = self._known.get(slot)
        return (
            known is not None
            and known.at != self._now
            and (known.ts, known.quality) == (ts, quality)
            and type(known.value) is type(value)
            and known.value == value
        )


def start(
    book: RuleBook,
    tags: Sequence[Tag],
    outlet: Outlet,
    at: int,
    offset: int,
    maintained: frozenset[str] = frozenset(),
    *,
    timed: bool = False,
) -> Engine:
    """An engine that has never run before, unless `timed` without a time budget: its results depend on input alone.
    `maintained`: devices that people work on.
    """
    engine = Engine(book, tags, outlet, at=at, offset=offset, budget=timed, silent=True)
    go_live(engine, Kept({}, {}, 0, maintained=maintained), at, offset)
    return engine


def own_tags(book: RuleBook, tags: Iterable[Tag]) -> frozenset[int]:
    """Slots of the tags that the engine computes, and of memory tags that a rule sets."""
    virtual = {tag.name: tag for tag in tags if tag.spec.virtual is not None}
    steps = [step for rule in book.rules for step in (*rule.start, *rule.end) if step.kind in ("set", "write")]
    assigned = {assignment.tag for step in steps for assignment in step.assign}
    return frozenset(tag.slot for name, tag in virtual.items() if tag.spec.virtual.kind != "memory" or name in assigned)


class Needs(Struct, frozen=True):
    """What a book needs of the past. `tags`: full names of those whose readings matter; `window_ms`: how far back its
    windows look.
    """

    tags: list[str]
    window_ms: int


def needs_of(book: RuleBook, tags: Sequence[Tag]) -> Needs:
    """Raises ExpressionError for a book that does not fit the tags."""
    engine = Engine(book, tags, Outcomes(lambda _line: None), at=0, offset=0, budget=False, silent=True)
    own = own_tags(book, tags)
    watched = [tag.name for tag in tags if tag.slot in engine.graph.watched and tag.slot not in own]
    return Needs(watched, engine.longest_window)


def _blocks(tags: Iterable[Tag]) -> dict[str, Block]:
    """One block of all tags for each device."""
    by_device: dict[str, list[Tag]] = {}
    for tag in tags:
        by_device.setdefault(tag.device, []).append(tag)
    return {device: Block(device, found) for device, found in by_device.items()}
