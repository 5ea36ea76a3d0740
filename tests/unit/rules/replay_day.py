"""A day of a small plant: what the tests of replay record. Live means: each batch goes to the engine and to a store, and
the engine is woken at its deadlines, as in the gateway.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import structs

from gateway.model import Access, Batch, Block, Quality, Tag, TagSpec, Value, ValueType
from gateway.rulebook import AlarmSpec, Assignment, Every, RuleBook, RuleSpec, Step, VirtualSpec
from gateway.store import Store
from gateway.testing import ManualClock
from rules.alarms.refusal import AlarmRefused
from rules.engine import Engine
from rules.replay import Outcomes, start
from rules.replay.orders import Order
from rules.replay.outcomes import Line, as_text

FLOAT, BOOL, INT = ValueType.FLOAT64, ValueType.BOOL, ValueType.INT32


def spec(path: str, kind: ValueType = FLOAT, virtual: VirtualSpec | None = None) -> TagSpec:
    access = Access.READ_WRITE if virtual is not None and virtual.kind == "memory" else Access.READ
    return TagSpec(path, kind, None, access=access, virtual=virtual)


SPECS = {
    "boiler": [
        spec("temperature"),
        spec("pressure"),
        spec("mean", virtual=VirtualSpec("value", "avg(boiler.temperature, 5m, 1m)")),
        spec("hot_times", INT, VirtualSpec("counts", "boiler.temperature > 80")),
    ],
    "pump": [spec("run", BOOL), spec("hours", virtual=VirtualSpec("hours", "pump.run"))],
    "meter": [
        spec("power"),
        spec("energy", virtual=VirtualSpec("integral", "meter.power", reset=Every(cron="0 0 * * *"))),
    ],
    "notes": [
        spec("turn", INT, VirtualSpec("memory", initial=1)),
        spec("by_hand", INT, VirtualSpec("memory", initial=0)),
    ],
}


def write(tag: str, value: Value = None, expression: str = "", kind: str = "write") -> Step:
    return Step(kind, assign=(Assignment(tag, value, expression),))


QUIET = RuleBook(
    rules=(
        RuleSpec(
            "overheat",
            when="boiler.temperature > 80 and boiler.pressure > 3.5",
            for_s=10,
            until="boiler.temperature < 75",
            start=(write("pump.run", True), Step("delay", seconds=45), Step("log", text="{boiler.temperature:.2f}")),
            end=(write("pump.run", False),),
            alarm=AlarmSpec("overheat", "gateway", rule="overheat", priority="high", text="{boiler.temperature:.1f}"),
        ),
        RuleSpec(
            "mean", when="boiler.mean > 70 and not hysteresis(meter.power, 20, 60)", start=(write("pump.run", True),)
        ),
        RuleSpec(
            "turns", every=Every(period_s=1800), start=(write("notes.turn", expression="3 - notes.turn", kind="set"),)
        ),
        RuleSpec("night", every=Every(cron="30 2 * * *", zone="Europe/Berlin"), start=(Step("log", text="night"),)),
        RuleSpec(
            "quarter",
            when="avg(meter.power, 15m, 15m) > 50 or notes.by_hand > 0",
            on_bad="reset",
            start=(write("meter.power", expression="max(meter.power, 1m)", kind="desired"),),
        ),
    ),
    alarms=(
        AlarmSpec("t_high", "boiler", "temperature > 85", "temperature < 82", "boiler", "temperature", on_delay_s=5),
    ),
)
RESTLESS = structs.replace(
    QUIET,
    rules=(
        *QUIET.rules,
        RuleSpec("sliding", when="avg(boiler.temperature, 2m) > 75", start=(Step("log", text="{boiler.mean}"),)),
    ),
    alarms=(
        *QUIET.alarms,
        AlarmSpec("stale", "boiler", "age(pressure) > 120", "age(pressure) < 60", "boiler", "pressure", latched=True),
    ),
)
"""With nodes that are looked at each second."""


def make_tags(aliases: dict[tuple[str, str], int] | None = None) -> list[Tag]:
    names = [(device, one) for device, specs in SPECS.items() for one in specs]
    return [
        Tag(device, one.path, slot, (aliases or {}).get((device, one.path), slot + 1), one)
        for slot, (device, one) in enumerate(names)
    ]


class Plant:
    """A store, an engine and a clock; `lines`: everything that came out, as canonical text."""

    def __init__(self, store: Store, clock: ManualClock, seed: int, book: RuleBook) -> None:
        pairs = [(device, one.path) for device, specs in SPECS.items() for one in specs]
        aliases = dict(zip(pairs, store.bind_aliases(pairs), strict=True))
        self.tags = make_tags(aliases)
        self.lines: list[str] = []
        self.rows: list[Line] = []
        self.book = book
        self._random = random.Random(seed)
        self._store = store
        self._clock = clock
        self._blocks = {
            device: Block(device, [tag for tag in self.tags if tag.device == device and tag.spec.virtual is None])
            for device in SPECS
        }
        self._memory = Block("notes", [tag for tag in self.tags if tag.name == "notes.by_hand"])
        self._engine: Engine | None = None

    async def live(self, hours: float) -> None:
        """So long a life, with everything that goes wrong in one."""
        end = self._clock.mono() + hours * 3600
        temperature, away_until, count = 70.0, 0.0, 0
        while self._clock.mono() < end:
            self.wait(self._random.choice((0.01, 7.003, 20.0, 60.0, 110.0)))
            temperature = min(95.0, max(55.0, temperature + self._random.gauss(0, 2.5)))
            if self._random.random() < 0.002:
                away_until = self._clock.mono() + self._random.uniform(30, 600)
                self.read("boiler", [None, None], [Quality.BAD_COMM] * 2)
            if self._clock.mono() >= away_until:
                late = self._random.choice((0, 0, 0, 1, 1500))
                sensor = Quality.BAD_SENSOR if self._random.random() < 0.02 else Quality.GOOD
                pressure = None if sensor else self._random.uniform(3, 5)
                self.read("boiler", [temperature, pressure], [Quality.GOOD, sensor], late=late)
            self.read("meter", [self._random.uniform(0, 100)])
            self._now_and_then()
            count += 1
            if count % 400 == 0:
                await self._store.commit()
        await self._store.commit()

    def _now_and_then(self) -> None:
        chance = self._random.random()
        if chance < 0.01:
            self.read("pump", [self._random.random() < 0.5])
        elif chance < 0.012:
            self._publish(Batch(self._memory, [self._random.randrange(2)], self._clock.wall_ms(), self._clock.mono()))
        elif chance < 0.014:
            self._order()
        elif chance < 0.0143:
            self._set_clock(self._random.choice((-3600, -5, 4, 90, 7200)))

    def read(self, device: str, values: Sequence[Value], quality: Sequence[int] | None = None, late: int = 0) -> None:
        codes = None if quality is None or not any(quality) else [int(code) for code in quality]
        ts, mono = self._clock.wall_ms() - late, self._clock.mono()
        self._publish(Batch(self._blocks[device], values, ts, mono, quality=codes))

    def wait(self, seconds: float) -> None:
        """Time passes; the engine is woken when it asked for it."""
        end = self._clock.mono() + seconds
        while self._engine is not None and (due := self._engine.due) is not None and due / 1000 <= end:
            self._clock.move(max(0.0, due / 1000 - self._clock.mono()))
            self._engine.advance(max(due, self._at), self._store.offset)
        self._clock.move(max(0.0, end - self._clock.mono()))

    @property
    def _at(self) -> int:
        return int(self._clock.mono() * 1000)

    def _publish(self, batch: Batch) -> None:
        self._store.append(batch)
        if self._engine is None:
            self._engine = start(self.book, self.tags, _Live(self), self._at, self._store.offset)
        self._engine.on_batch(batch, int(batch.mono * 1000), self._store.offset)

    def _set_clock(self, seconds: float) -> None:
        self._clock.step_wall(seconds)
        self._store.observe_clock()
        if self._engine is not None:
            self._engine.advance(self._at, self._store.offset)

    def _order(self) -> None:
        """Somebody does something to an alarm."""
        if self._engine is None:
            return
        key = self._random.choice(("overheat@gateway", "t_high@boiler", "stale@boiler"))
        what = self._random.choice(("ack", "reset", "shelve"))
        self.wait(0.002)  # the journal orders people's acts by the millisecond
        with suppress(AlarmRefused):
            orders, offset = self._engine.orders, self._store.offset
            if what == "shelve":
                orders.order(lambda book, now: book.shelve(key, 900, "anna", "", now), self._at, offset)
            else:
                orders.order(lambda book, now: getattr(book, what)(key, "anna", "seen", now), self._at, offset)
        self.wait(0.002)

    def take(self, line: Line) -> None:
        self.lines.append(as_text(line))
        self.rows.append(line)
        if line["kind"] == "alarm":
            entry = {name: item for name, item in line.items() if name not in ("at", "old", "inputs")}
            self._store.append_entry("alarm", entry)

    def compute(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        codes = list(quality) if any(quality) else None
        self._store.append(Batch(Block(tags[0].device, tags), values, ts, at / 1000, quality=codes))


class _Live(Outcomes):
    """Outcomes as lines, computed tags into the journal too."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant.take, computed=True)
        self._plant = plant

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        super().computed(tags, values, quality, ts, at)
        self._plant.compute(tags, values, quality, ts, at)


async def history(store: Store, **args: Any) -> list[dict[str, Any]]:
    """Entries as the op gives them."""
    from gateway.local.history import HistoryOps

    class Holder:
        def __init__(self) -> None:
            self.store = store

    return [entry async for item in HistoryOps(Holder()).history(args) for entry in item.get("entries", [])]


class Script:
    """Events for several engines at once: readings, time and people's orders, always the same for a seed."""

    def __init__(self, seed: int, tags: Sequence[Tag], at: int, offset: int) -> None:
        self._random = random.Random(seed)
        self._at, self._offset = at, offset
        real = [tag for tag in tags if tag.spec.virtual is None]
        self._blocks = {
            device: Block(device, [tag for tag in real if tag.device == device])
            for device in ("boiler", "pump", "meter")
        }

    def next(self) -> Callable[[Engine], None]:
        chance = self._random.random()
        self._at += self._random.choice((1, 250, 1000, 4000, 20_000))
        at, offset = self._at, self._offset
        if chance < 0.08:
            return lambda engine: engine.advance(at, offset)
        if chance < 0.16:
            what = self._random.choice(("ack", "reset", "shelve", "out_of_service", "in_service"))
            key = self._random.choice(("overheat@gateway", "t_high@boiler", "p_low@boiler", "p_high@boiler"))
            given = Order(at + offset, what, key, "anna", seconds=30)
            return lambda engine: self._order(engine, given, at)
        if chance < 0.18:
            self._offset += self._random.choice((-4000, 50, 900_000))
        if chance < 0.20:
            return lambda engine: engine.orders.maintenance("boiler", at, offset, on=chance < 0.19)
        if chance < 0.22:
            return lambda engine: engine.orders.issue("disk_full", "gateway", "full", at, offset, is_set=chance < 0.21)
        return self._reading(at, self._offset)

    def _order(self, engine: Engine, order: Order, at: int) -> None:
        with suppress(AlarmRefused):
            engine.orders.order(order.give, at, self._offset)

    def _reading(self, at: int, offset: int) -> Callable[[Engine], None]:
        device = self._random.choice(("boiler", "boiler", "meter", "pump"))
        values: list[Value] = {
            "boiler": [self._random.uniform(65, 90), self._random.uniform(3, 5)],
            "meter": [self._random.uniform(0, 100)],
            "pump": [self._random.random() < 0.5],
        }[device]
        bad = self._random.random() < 0.06
        quality = [int(Quality.BAD_COMM)] * len(values) if bad else None
        ts = at + offset - self._random.choice((0, 0, 1, 3000))
        batch = Batch(self._blocks[device], [None] * len(values) if bad else values, ts, at / 1000, quality=quality)
        return lambda engine: engine.on_batch(batch, at, offset)
