"""What comes to the alarms from outside the rules: orders of people, issues of the gateway, maintenance of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from gateway.rulebook import AlarmSpec
from rules.alarms.book import MAINTENANCE, AlarmBook
from rules.alarms.catalogue import MADE_BY_PEOPLE, spec_of
from rules.graph import alarm_specs
from rules.values import Instant

if TYPE_CHECKING:
    from rules.engine import Engine

T = TypeVar("T")
ALL = "gateway"
"""Entity of a spec that speaks for every entity of its issue."""


class Orders:
    """Orders of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._maintained: frozenset[str] = frozenset()
        self._issues: dict[str, AlarmSpec] = {}

    def arm(self) -> None:
        """The next end of a shelving, or what else the alarms wait for."""
        engine = self._engine
        due = engine.alarms.due
        if due != engine.timers.deadline("alarms"):
            if due is None:
                engine.timers.cancel("alarms")
            else:
                engine.timers.set("alarms", due, lambda: engine.alarms.advance(engine.now))

    def order(self, what: Callable[[AlarmBook, Instant], T], at: int, offset: int) -> T:
        """Do something to the alarms now. Raises AlarmRefused."""
        self._engine.enter(at, offset)
        try:
            return what(self._engine.alarms, self._engine.now)
        finally:
            self._engine.settle()

    def issue(self, issue: str, entity: str, text: str, at: int, offset: int, *, is_set: bool) -> None:
        """An issue of the gateway was raised or is over: its alarm follows."""
        spec = self._issue_spec(issue, entity)
        if spec is None:
            return

        def follow(book: AlarmBook, now: Instant) -> None:
            self._add(spec, now)
            book.condition(spec.key, is_set, now, t_cond=now.wall, text=text if is_set else "")

        self.order(follow, at, offset)

    def take_up(self, key: str, row: Any, shift: int) -> str:
        """An alarm's state from before a restart; why it is of no use, if so."""
        engine = self._engine
        if key not in engine.alarms:
            issue, _, entity = key.partition("@")
            spec = self._issue_spec(issue, entity)
            if spec is None:
                return "there is no such alarm any more"
            self._add(spec, engine.now)
        return engine.alarms.restore(key, row, engine.now, shift)

    def sweep(self, open_issues: Iterable[tuple[str, str]], at: int, offset: int) -> None:
        """Alarms of issues that are over: they ended while nobody looked."""
        still = {f"{issue}@{entity}" for issue, entity in open_issues}

        def clear(book: AlarmBook, now: Instant) -> None:
            for key in self._issues.keys() - still:
                book.condition(key, False, now, t_cond=now.wall)

        self.order(clear, at, offset)

    def respecify(self) -> None:
        """The rule book has changed: alarms of issues may have another priority now."""
        for key, spec in list(self._issues.items()):
            self._issues[key] = self._issue_spec(spec.issue, spec.entity) or spec

    def _issue_spec(self, issue: str, entity: str) -> AlarmSpec | None:
        """The alarm of an issue: what the rule book says of it for this entity, or for all, else the catalogue's."""
        book = self._engine.graph.book
        if issue in book.quiet_issues:
            return None
        own = [spec for spec in book.alarms if spec.issue == issue]
        chosen = next((spec for spec in own if spec.entity == entity), None)
        chosen = chosen or next((spec for spec in own if spec.entity == ALL), None)
        if chosen is not None:
            return structs.replace(chosen, id=issue, entity=entity)
        return None if issue in MADE_BY_PEOPLE else spec_of(issue, entity)

    def maintenance(self, device: str, at: int, offset: int, *, on: bool) -> None:
        """Alarms of a device are suppressed while people work on it."""
        devices = self._maintained | {device} if on else self._maintained - {device}
        self.order(lambda _book, _now: self.maintain(devices), at, offset)

    def maintain(self, devices: frozenset[str] | None = None) -> None:
        """People work on just these devices (None: on the same as before); alarms may be new, or taken up."""
        if devices is not None:
            self._maintained = devices
        engine = self._engine
        for spec in self.specs():
            engine.alarms.suppress(spec.key, spec.entity in self._maintained, MAINTENANCE, engine.now)

    def specs(self) -> list[AlarmSpec]:
        """All alarms there are: those of the rule book, and those that issues have brought."""
        return [*alarm_specs(self._engine.graph.book), *self._issues.values()]

    def _add(self, spec: AlarmSpec, now: Instant) -> None:
        self._issues[spec.key] = spec
        self._engine.alarms.add(spec)
        if spec.entity in self._maintained:
            self._engine.alarms.suppress(spec.key, True, MAINTENANCE, now)
