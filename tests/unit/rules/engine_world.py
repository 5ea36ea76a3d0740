"""An engine over a handful of tags, a clock that a test moves, and everything that came out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.model import Access, Batch, Block, Quality, Tag, TagSpec, Value, ValueType
from gateway.rulebook import AlarmSpec, Assignment, RuleBook, RuleSpec, Step, VirtualSpec
from rules import keeping
from rules.engine import Engine
from rules.values import Do, RuleEvent, Transition

WALL = 1_800_000_000_000
START = 1_000_000
OFFSET = WALL - START

DEFAULT_TAGS = {
    "boiler.temperature": ValueType.FLOAT32,
    "boiler.pressure": ValueType.FLOAT32,
    "pump.run": ValueType.BOOL,
    "pump.speed": ValueType.UINT16,
    "pump.mode": ValueType.STRING,
}


def tag_spec(path: str, kind: ValueType, **more: Any) -> TagSpec:
    return TagSpec(path, kind, source=None, **more)


def memory(path: str, kind: ValueType = ValueType.INT32, initial: Value = None) -> TagSpec:
    return tag_spec(path, kind, access=Access.READ_WRITE, virtual=VirtualSpec("memory", initial=initial))


def computed(path: str, text: str, kind: ValueType = ValueType.FLOAT64, how: str = "value", **more: Any) -> TagSpec:
    return tag_spec(path, kind, virtual=VirtualSpec(how, text, **more))


def write(tag: str, value: Value, kind: str = "write") -> Step:
    return Step(kind, assign=(Assignment(tag, value),))


def delay(seconds: float) -> Step:
    return Step("delay", seconds=seconds)


class World:
    """`tags`: specs by device. Time begins at START on the boot clock."""

    def __init__(
        self,
        *rules: RuleSpec,
        alarms: Sequence[AlarmSpec] = (),
        more: Mapping[str, Sequence[TagSpec]] | None = None,
        **book: Any,
    ) -> None:
        specs: dict[str, list[TagSpec]] = {}
        for name, kind in DEFAULT_TAGS.items():
            device, _, path = name.partition(".")
            specs.setdefault(device, []).append(tag_spec(path, kind))
        for device, extra in (more or {}).items():
            specs.setdefault(device, []).extend(extra)
        self.tags: list[Tag] = []
        for device, tags in specs.items():
            for spec in tags:
                slot = len(self.tags)
                self.tags.append(Tag(device, spec.path, slot, slot + 1, spec))
        self.book = RuleBook(rules=rules, alarms=tuple(alarms), **book)
        self.at = START
        self.offset = OFFSET
        self.actions: list[Do] = []
        self.transitions: list[Transition] = []
        self.events: list[RuleEvent] = []
        self.published: list[tuple[str, Value, int]] = []
        self.rows: dict[str, Any] = {}
        self.alarm_rows: dict[str, Any] = {}
        self.engine = self._engine()

    def _engine(self, **more: Any) -> Engine:
        return Engine(self.book, self.tags, self, at=self.at, offset=self.offset, budget=False, **more)

    # --- the outlet

    def do(self, action: Do) -> None:
        self.actions.append(action)

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        self.published += [(tag.name, value, q) for tag, value, q in zip(tags, values, quality, strict=True)]

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        self.transitions.append(transition)
        self.keep_alarm(transition.spec.key, row)

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        self.alarm_rows.pop(key, None) if row is None else self.alarm_rows.__setitem__(key, row)

    def rule(self, event: RuleEvent) -> None:
        self.events.append(event)

    def keep(self, key: str, row: Any) -> None:
        self.rows.pop(key, None) if row is None else self.rows.__setitem__(key, row)

    # --- what happens

    def read(self, quality: Quality = Quality.GOOD, ts: int | None = None, **values: Value) -> None:
        """Readings of one moment, all of one device: boiler_temperature=85."""
        named = {name.replace("_", ".", 1): value for name, value in values.items()}
        found = [tag for tag in self.tags if tag.name in named]
        block = Block(found[0].device, found)
        codes = None if quality == Quality.GOOD else [int(quality)] * len(found)
        when = self.at + self.offset if ts is None else ts
        batch = Batch(block, [named[tag.name] for tag in found], when, self.at / 1000, quality=codes)
        self.engine.on_batch(batch, self.at, self.offset)

    def pass_time(self, seconds: float) -> None:
        """Time passes; the engine is woken at its deadlines only, as the gateway does."""
        end = self.at + round(seconds * 1000)
        while (due := self.engine.due) is not None and due <= end:
            self.at = max(self.at, due)
            self.engine.advance(self.at, self.offset)
        self.at = end

    def restart(
        self, *, down_s: float = 1.0, alive_s: float = 0.0, snapshot: bool = True, maintained: Collection[str] = ()
    ) -> None:
        """Kill and start. `alive_s`: how long before the kill the last reading was on disk."""
        alive = self.at - round(alive_s * 1000)
        kept = keeping.snapshot(self.engine)
        windows = keeping.windows(self.engine)
        self.at += round(down_s * 1000)
        self.engine = self._engine(silent=True)
        if snapshot:
            assert keeping.restore(self.engine, kept, 0)
            assert keeping.restore_windows(self.engine, windows, 0)
        rows = keeping.Kept(dict(self.rows), dict(self.alarm_rows), alive, maintained=frozenset(maintained))
        keeping.go_live(self.engine, rows, self.at, self.offset)

    def reload(self, *rules: RuleSpec, alarms: Sequence[AlarmSpec] = (), **book: Any) -> None:
        self.book = RuleBook(rules=rules, alarms=tuple(alarms), **book)
        keeping.reload(self.engine, self.book, self.tags, self.at, self.offset)

    # --- what came out

    @property
    def done(self) -> list[tuple[Any, ...]]:
        """Actions as (seconds since the start, kind, tag or text, value)."""
        return [
            (
                round((one.when.at - START) / 1000, 3),
                one.step.kind,
                *(one.values[0] if one.values else (one.text, None)),
            )
            for one in self.actions
        ]

    @property
    def told(self) -> list[tuple[float, str, str]]:
        """Transitions as (seconds since the start, alarm, state)."""
        return [(round((one.when.at - START) / 1000, 3), one.spec.id, one.state) for one in self.transitions]

    @property
    def phases(self) -> list[tuple[float, str, str]]:
        """Events of rules as (seconds since the start, rule, what)."""
        return [(round((one.when.at - START) / 1000, 3), one.rule, one.what) for one in self.events]
