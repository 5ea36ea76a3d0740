"""What runs when a tag changes: rules, alarms and computed tags, each a node with the tags it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gateway.model import Quality, Tag, Value
from gateway.rulebook import AlarmSpec, Every, RuleSpec
from rules.alarms.book import DESIGN, AlarmBook
from rules.binding import Binder, Look
from rules.columns import Columns
from rules.condition import Condition, Step
from rules.timers import Timers
from rules.values import GOOD_BELOW, Input, Instant, RuleEvent

if TYPE_CHECKING:
    from rules.expression import BoundTemplate
    from rules.schedule import Schedule
    from rules.windows import Window


class Hands(Protocol):
    """What a node may do to the engine."""

    columns: Columns
    timers: Timers

    def keep(self, key: str, row: Any) -> None:
        """Keep a row over restarts."""
        ...

    def started(self, node: RuleNode) -> None:
        """A rule's condition has become active."""
        ...

    def ended(self, node: RuleNode) -> None:
        """It is over."""
        ...

    def computed(self, tag: Tag, value: Value, quality: int) -> None:
        """A virtual tag has this value now."""
        ...

    def tell(self, event: RuleEvent) -> None:
        """Something has happened to a rule."""
        ...

    def touch(self, node: Node) -> None:
        """Look at this node in the event that is being worked on."""
        ...


class Node:
    """The common part. `slots`: all tags it names; `each`: it must see every reading, equal ones too."""

    kind = ""

    def __init__(self, name: str, bounds: Sequence[Look], hands: Hands) -> None:
        self.name = name
        self.index = -1
        self.hands = hands
        self.bounds = list(bounds)
        self.slots = sorted({slot for bound in bounds for slot in bound.slots})
        self.windows: list[Window] = list({id(w): w for bound in bounds for w in bound.windows}.values())
        self.has_age = any(bound.has_age for bound in bounds)
        self.each = any(bound.on_every_reading for bound in bounds)
        self.timed = bool(self.windows) or self.has_age
        self.stopped = False
        self.fault = ""
        self.faults = 0
        self.overruns = 0

    def run(self, bound: Look, now: Instant) -> Value:
        columns = self.hands.columns
        return bound.run(columns.values, columns.quality, columns, now.at)

    def move(self, now: Instant) -> None:
        for window in self.windows:
            window.move(now)

    @property
    def restless(self) -> bool:
        """Whether its result may change by time alone."""
        return not self.stopped and (self.has_age or any(not window.settled for window in self.windows))

    def evaluate(self, now: Instant) -> None:
        raise NotImplementedError

    def warm(self, now: Instant) -> None:
        """Past readings are gone through again after a restart: only what an expression itself remembers counts."""
        for bound in self.bounds:
            self.run(bound, now)

    def adopt(self, old: Node, _now: Instant) -> None:
        """It takes the place of `old` of the same name after a reload."""
        if [bound.text for bound in old.bounds] == [bound.text for bound in self.bounds]:
            self.stopped, self.fault = old.stopped, old.fault
            for mine, theirs in zip(self.bounds, old.bounds, strict=True):
                mine.restore(theirs.state())

    def leave(self, _now: Instant) -> None:
        """It is not in the rule book any more."""

    def inputs(self) -> tuple[Input, ...]:
        """What it looks at now, by name."""
        columns = self.hands.columns
        return tuple(
            Input(name, columns.values[slot], Quality(columns.quality[slot]).text, columns.ts[slot])
            for name, slot in self.named()
        )

    def named(self) -> list[tuple[str, int]]:
        return list({name: slot for bound in self.bounds for name, slot in bound.named}.items())

    def seen(self, slot: int | None) -> tuple[Value, str]:
        """Value and quality of a slot, as they are told."""
        columns = self.hands.columns
        return (None, "") if slot is None else (columns.values[slot], Quality(columns.quality[slot]).text)

    def first_input(self) -> tuple[Value, str]:
        """Value and quality of the first tag that it names."""
        return self.seen(next((slot for _, slot in self.named()), None))


def schedule_of(every: Every) -> Schedule:
    """When it runs. Cron and time zones are imported with the first one."""
    from rules.schedule import Schedule

    return Schedule(every)


class _Conditional(Node):
    """A node with a condition."""

    def __init__(
        self, name: str, on: Look | None, off: Look | None, condition: Condition, more: Sequence[Look], hands: Hands
    ) -> None:
        super().__init__(name, [bound for bound in (on, off) if bound is not None] + list(more), hands)
        self.on, self.off, self.condition = on, off, condition
        self.key = ""

    def look(self, now: Instant) -> Step:
        """See the condition, keep what has changed, arm its timer."""
        before = (self.condition.phase, self.condition.due)
        on = None if self.on is None else _truth(self.run(self.on, now))
        opposite = None if on is None else not on
        off = opposite if self.off is None else _truth(self.run(self.off, now))
        step = self.condition.see(on, off, now)
        self.settle(before)
        return step

    def settle(self, before: tuple[object, int | None]) -> None:
        """Keep and arm if phase or deadline are others than before."""
        condition = self.condition
        if before == (condition.phase, condition.due):
            return
        self.hands.keep(self.key, condition.row())
        if condition.due is None:
            self.hands.timers.cancel(self.key)
        else:
            self.hands.timers.set(self.key, condition.due, lambda: self.hands.touch(self))

    def adopt(self, old: Node, now: Instant) -> None:
        super().adopt(old, now)
        if not isinstance(old, _Conditional):
            return
        if self.same_delays(old):
            self.condition = old.condition
        else:
            self.condition.take_over(old.condition)
        self.settle((None, None))

    def same_delays(self, old: _Conditional) -> bool:
        """Whether a delay of `old` that runs may run on here."""
        raise NotImplementedError

    def leave(self, _now: Instant) -> None:
        self.hands.timers.cancel(self.key)
        self.hands.keep(self.key, None)


def _truth(value: Value) -> bool | None:
    return None if value is None else bool(value)


class RuleNode(_Conditional):
    """A rule. With `every` it is looked at by the clock, else when a tag changes."""

    kind = "rule"

    def __init__(self, spec: RuleSpec, binder: Binder, hands: Hands, *, dry_run: bool = False) -> None:
        """`dry_run`: it acts on nothing, by its own word or the rule book's."""
        binder.late_by(spec.lateness_s)
        on = binder.condition(spec.when, spec.device) if spec.when else None
        off = binder.condition(spec.until, spec.device) if spec.until else None
        binder.late_by(0)
        self.spec = spec
        self.dry_run = dry_run
        super().__init__(spec.id, on, off, self._fresh(), (), hands)
        self.key = f"rule/{spec.id}"
        self.schedule = schedule_of(spec.every) if spec.every is not None else None
        self.alarm: AlarmNode | None = None
        """The alarm that follows it."""

    def evaluate(self, now: Instant) -> None:
        if self.schedule is not None:
            return
        step = self.look(now)
        if step is Step.STARTED:
            self.hands.started(self)
        elif step is Step.ENDED:
            self.hands.ended(self)
        if self.alarm is not None and self.condition.is_active:
            self.alarm.mark(self.on, now)

    def same_delays(self, old: _Conditional) -> bool:
        if not isinstance(old, RuleNode):
            return False
        mine, before = self.spec, old.spec
        return all(
            getattr(mine, name) == getattr(before, name) for name in ("when", "for_s", "until", "on_bad", "edge")
        )

    def adopt(self, old: Node, now: Instant) -> None:
        super().adopt(old, now)
        if isinstance(old, RuleNode) and old.dry_run and not self.dry_run and self.condition.is_active:
            self.condition = self._fresh()  # what its start would have done was never done

    def leave(self, now: Instant) -> None:
        super().leave(now)
        if self.condition.is_active:
            gone = RuleEvent(self.name, "ended", now, self.condition.t_cond, text="no longer configured")
            self.hands.tell(gone)
        self.hands.timers.cancel(f"every/{self.name}")
        self.hands.keep(f"every/{self.name}", None)

    def _fresh(self) -> Condition:
        spec = self.spec
        return Condition(round(spec.for_s * 1000), hold=spec.on_bad == "hold", edge=spec.edge)

    def may_run(self, now: Instant) -> bool:
        """By the clock: whether its condition, if it has one, is met."""
        self.move(now)
        return self.on is None or self.run(self.on, now) is True


class AlarmNode(_Conditional):
    """An alarm with a condition of its own. `text` is rendered when it becomes active."""

    kind = "alarm"

    def __init__(self, spec: AlarmSpec, binder: Binder, hands: Hands, book: AlarmBook) -> None:
        on = binder.condition(spec.on, spec.device) if spec.on else None
        off = binder.condition(spec.off, spec.device) if spec.off else None
        self._suppress = binder.condition(spec.suppress, spec.device) if spec.suppress else None
        self.text: BoundTemplate | None = binder.template(spec.text, spec.device) if spec.text else None
        condition = Condition(round(spec.on_delay_s * 1000), round(spec.off_delay_s * 1000), hold=spec.on_bad == "hold")
        more = [] if self._suppress is None else [self._suppress]
        super().__init__(spec.key, on, off, condition, more, hands)
        self.spec = spec
        self.key = f"alarm/{spec.key}"
        self._book = book

    def evaluate(self, now: Instant) -> None:
        self._look_at_suppression(now)
        if self.on is None:
            return
        step = self.look(now)
        if step is not Step.NOTHING:
            self.tell(now, active=step is Step.STARTED)
        if self.condition.is_active:
            self.mark(self.on, now)

    def same_delays(self, old: _Conditional) -> bool:
        if not isinstance(old, AlarmNode):
            return False
        names = ("on", "off", "on_delay_s", "off_delay_s", "on_bad")
        return all(getattr(self.spec, name) == getattr(old.spec, name) for name in names)

    def _look_at_suppression(self, now: Instant) -> None:
        if self._suppress is None:
            return
        wanted = self.run(self._suppress, now)
        if wanted is not None:
            self._book.suppress(self.spec.key, bool(wanted), DESIGN, now)

    def tell(self, now: Instant, *, active: bool) -> None:
        """The condition has begun or is over."""
        self._tell(self.condition.t_cond, self.watched(), self.inputs(), now, active=active)

    def follow(self, rule: RuleNode, now: Instant, *, active: bool) -> None:
        """The alarm of a rule: the rule has begun or is over."""
        self._tell(rule.condition.t_cond, rule.first_input(), rule.inputs(), now, active=active)

    def _tell(
        self, t_cond: int, seen: tuple[Value, str], inputs: tuple[Input, ...], now: Instant, *, active: bool
    ) -> None:
        value, quality = seen
        text = self.rendered() if active else ""
        more = inputs if active else ()
        self._book.condition(
            self.spec.key, active, now, t_cond=t_cond, value=value, quality=quality, text=text, inputs=more
        )

    def rendered(self) -> str:
        columns = self.hands.columns
        return "" if self.text is None else self.text.render(columns.values, columns.quality)

    def watched(self) -> tuple[Value, str]:
        """Value and quality of the tag it is about."""
        return self.seen(self._slot())

    def _slot(self) -> int | None:
        if self.on is None:
            return None
        named = dict(self.on.named)
        wanted = f"{self.spec.device or self.spec.entity}.{self.spec.tag}"
        return named.get(wanted, next(iter(named.values()), None))

    def mark(self, on: Look | None, now: Instant) -> None:
        """Whether the inputs of the active alarm's condition can be trusted."""
        columns = self.hands.columns
        needs = on.needs if on is not None else ()
        worst = max((columns.quality[slot] for slot in needs), default=0)
        self._book.input_quality(self.spec.key, worst < GOOD_BELOW, now, Quality(worst).text)
