"""What rules do when their turn comes: actions out to the world, memory tags set in the engine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from gateway.model import Tag, Value
from gateway.rulebook import RuleSpec, Step
from rules.columns import Columns
from rules.guarding import Guard
from rules.steps import CompiledStep
from rules.timers import Timers
from rules.values import Do, Instant, RuleEvent

if TYPE_CHECKING:
    from rules.engine import Engine


class Deeds:
    """The stage of all sequences of one engine (rules.sequences.Stage). `sets`: memory tags that wait for the next
    round of the event, with their values and the rules that set them; `count`: actions so far.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.count = 0
        self.sets: list[tuple[Tag, Value, str]] = []
        self._setters: set[str] = set()
        self._guard = Guard(engine)

    @property
    def columns(self) -> Columns:
        return self._engine.columns

    @property
    def timers(self) -> Timers:
        return self._engine.timers

    @property
    def now(self) -> Instant:
        return self._engine.now

    def keep(self, key: str, row: Any) -> None:
        self._engine.keep(key, row)

    def act(
        self, rule: RuleSpec, edge: str, step: CompiledStep, values: tuple[tuple[str, Value], ...], text: str
    ) -> None:
        """A step is due. What it sets in memory tags is the engine's own, the rest goes out."""
        engine = self._engine
        dry_run = rule.dry_run or engine.graph.book.dry_run
        own: list[tuple[str, Value]] = []
        rest: list[tuple[str, Value]] = []
        for name, value in values:
            tag = self._memory_tag(step.kind, name)
            if tag is None:
                rest.append((name, value))
                continue
            fitted, refused = self._guard.take(tag, value)
            if refused:
                self.skipped(rule, f"{step.kind} {name}: {refused}")
            else:
                own.append((name, fitted))
        if own:
            self._tell(rule, edge, structs.replace(step.step, kind="set"), tuple(own), "", dry_run=dry_run)
        if rest or not values:
            self._tell(rule, edge, step.step, tuple(rest), text, dry_run=dry_run)
        for name, value in () if dry_run else own:
            self.sets.append((engine.graph.binder.tags[name], value, rule.id))
            self._setters.add(rule.id)

    def _memory_tag(self, kind: str, name: str) -> Tag | None:
        """The tag if it is one that the engine itself keeps."""
        graph = self._engine.graph
        tag = graph.binder.tags.get(name) if kind in ("set", "write") else None
        return tag if tag is not None and tag.slot in graph.memory else None

    def _tell(
        self,
        rule: RuleSpec,
        edge: str,
        step: Step,
        values: tuple[tuple[str, Value], ...],
        text: str,
        *,
        dry_run: bool,
    ) -> None:
        self.count += 1
        self._engine.outlet.do(Do(self.count, rule.id, edge, step, self.now, values, text, dry_run))

    def skipped(self, rule: RuleSpec, text: str) -> None:
        """A step cannot be done."""
        self._engine.tell(RuleEvent(rule.id, "skipped", self.now, text=text))

    def take(self) -> list[tuple[Tag, Value]]:
        """What was set in this round."""
        sets, self.sets = self.sets, []
        return [(tag, value) for tag, value, _ in sets]

    def over(self) -> None:
        """The event is over."""
        self._setters.clear()

    def cut(self, rounds: int) -> None:
        """Rules go round in a circle: what they set last is not set any more."""
        rules = sorted(self._setters)
        self.sets.clear()
        text = f"rules set each other's tags in a circle: {', '.join(rules)}; cut after {rounds} rounds"
        for rule in rules:
            self._engine.tell(RuleEvent(rule, "cut", self.now, text=text))
