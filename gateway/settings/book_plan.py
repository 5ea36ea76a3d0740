"""What changing from one rule book to another does. No channel restarts for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.rulebook import RuleBook

_WORDS = {"on": "limit", "off": "limit", "for_s": "for", "edge": "trigger", "every_alarm": "alarms", "options": "way"}
_SHOWN = 5


class Changes(Struct, frozen=True):
    """Names by what happens to them. `details`: for a changed one, which of its keys differ; never values."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    details: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)

    def lines(self, kind: str) -> list[str]:
        """For people: a template's many are one line where the same happens to them."""
        lines = [f"- {kind} {name} goes" for name in _grouped(self.removed)]
        lines += [f"+ {kind} {name} is new" for name in _grouped(self.added)]
        same: dict[tuple[str, ...], list[str]] = {}
        for name, words in self.details:
            same.setdefault(words, []).append(name)
        for words, names in same.items():
            lines += [f"~ {kind} {name} changes: {', '.join(words)}" for name in _grouped(names)]
        return lines

    def as_json(self) -> dict[str, list[str]]:
        return {name: list(getattr(self, name)) for name in ("added", "removed", "changed", "unchanged")}


class BookPlan(Struct, frozen=True):
    """Changes of rules, alarms (`id@entity`) and notifications; `settings`: keys of the book as a whole that differ."""

    rules: Changes = Changes()
    alarms: Changes = Changes()
    notify: Changes = Changes()
    settings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.rules.is_empty and self.alarms.is_empty and self.notify.is_empty and not self.settings

    def lines(self) -> list[str]:
        lines = self.rules.lines("rule") + self.alarms.lines("alarm") + self.notify.lines("notification")
        return lines + [f"~ {name} changes" for name in self.settings]


def diff_books(old: RuleBook, new: RuleBook) -> BookPlan:
    """What going from `old` to `new` does. The alarm of a rule counts as part of the rule."""
    settings = [
        name
        for name, field in (("rules.dry_run", "dry_run"), ("rules.budget", "budget_s"))
        if getattr(old, field) != getattr(new, field)
    ]
    if set(old.quiet_issues) != set(new.quiet_issues):
        settings.append("alarms of the gateway's issues")
    return BookPlan(
        _changes({rule.id: rule for rule in old.rules}, {rule.id: rule for rule in new.rules}),
        _changes({alarm.key: alarm for alarm in old.alarms}, {alarm.key: alarm for alarm in new.alarms}),
        _changes({one.name: one for one in old.notify}, {one.name: one for one in new.notify}),
        tuple(settings),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    changed = tuple(name for name, spec in after.items() if name in before and spec != before[name])
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=changed,
        unchanged=tuple(name for name in after if name in before and name not in changed),
        details=tuple((name, _different(before[name], after[name])) for name in changed),
    )


def _different(old: Any, new: Any) -> tuple[str, ...]:
    names = [name for name, value in asdict(old).items() if value != getattr(new, name)]
    return tuple(dict.fromkeys(_WORDS.get(name, name.removesuffix("_s")) for name in names))


def _grouped(names: Iterable[str]) -> list[str]:
    """`hh@pump1`, `hh@pump2` as one: `hh@pump1, pump2`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        head, at, device = name.partition("@")
        groups.setdefault(head, []).extend([device] if at else [])
    return [f"{head}@{_some(devices)}" if devices else head for head, devices in groups.items()]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
