"""A rule or an alarm in all its parts, as it is now: whether its conditions are true, and because of what they are not
known; what its windows hold; its steps in short. Evaluated on copies: a look changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gateway.model import Quality
from gateway.rulebook import AlarmSpec, Assignment, RuleSpec, Step
from gateway.runtime.node import plain
from gateway.webhook import host_of
from rules.binding import Binder, Look
from rules.columns import NEVER, Columns
from rules.engine import Engine
from rules.values import Instant, NoValue

_FIGURES = re.compile(r"\b(avg|min|max|sum|count|stddev|first|last|rate)\s*\(")

Row = dict[str, Any]


def details(engine: Engine, name: str, now: Instant) -> Row:
    """What `name` (a rule, or the key of an alarm) consists of. Durations in ms; `now` of a condition is None while it
    is not known, `because` says why. Raises KeyError.
    """
    graph = engine.graph
    if name in graph.alarm_nodes and graph.alarm_nodes[name].spec.rule:
        name = graph.alarm_nodes[name].spec.rule
    if name in graph.rule_nodes:
        rule = graph.rule_nodes[name]
        look = _Looker(engine, now, rule.spec.device, rule.spec.lateness_s)
        return {**_of_rule(rule.spec), **look.at(("when", rule.on), ("until", rule.off))}
    alarm = graph.alarm_nodes[name]
    look = _Looker(engine, now, alarm.spec.device, 0.0)
    suppress = next((bound for bound in alarm.bounds if bound not in (alarm.on, alarm.off)), None)
    return {**_of_alarm(alarm.spec), **look.at(("active", alarm.on), ("over", alarm.off), ("suppress", suppress))}


def _of_rule(spec: RuleSpec) -> Row:
    return {
        "for": round(spec.for_s * 1000),
        "on_bad": spec.on_bad,
        "start": [step_text(step) for step in spec.start],
        "end": [step_text(step) for step in spec.end],
    }


def _of_alarm(spec: AlarmSpec) -> Row:
    return {
        "on_delay": round(spec.on_delay_s * 1000),
        "off_delay": round(spec.off_delay_s * 1000),
        "on_bad": spec.on_bad,
    }


class _Looker:
    """Looks at expressions of one rule or alarm on copies of their windows and latches."""

    def __init__(self, engine: Engine, now: Instant, device: str, lateness_s: float) -> None:
        self._engine = engine
        self._now = now
        self._device = device
        self._binder = Binder(engine.graph.tags, now.at, now.wall - now.at)
        self._binder.late_by(lateness_s)

    def at(self, *looks: tuple[str, Look | None]) -> Row:
        """The conditions that there are, and the windows in them."""
        copies = [(name, look, self._binder.condition(look.text, self._device)) for name, look in looks if look]
        self._fill_windows()
        figures = {figure for _, look, _ in copies for figure in _FIGURES.findall(look.text)}
        return {
            "conditions": [self._condition(name, look, copy) for name, look, copy in copies],
            "windows": self._windows(sorted(figures)),
        }

    def _fill_windows(self) -> None:
        known = self._engine.graph.binder.windows
        for spec, window in self._binder.windows.items():
            if spec in known:
                window.restore(known[spec].state(), 0)
            window.move(self._now)

    def _condition(self, name: str, look: Look, copy: Look) -> Row:
        copy.restore(look.state())
        columns = self._engine.columns
        found = copy.run(columns.values, columns.quality, columns, self._now.at)
        return {
            "name": name,
            "text": look.text,
            "now": None if found is None else bool(found),
            "because": "" if found is not None else _reason(copy, columns),
        }

    def _windows(self, figures: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        for spec, window in self._binder.windows.items():
            values: Row = {}
            for figure in figures:
                try:
                    values[figure] = plain(getattr(window, figure)())
                except (NoValue, ArithmeticError, TypeError, ValueError):
                    values[figure] = None
            size = {"size": spec.size_ms} if spec.size_ms else {"samples": spec.samples}
            rows.append({"tag": spec.tag, **size, "hop": spec.hop_ms, "values": values})
        return rows


def _reason(look: Look, columns: Columns) -> str:
    """Why a condition is not known."""
    bad = [_fault(name, slot, columns) for name, slot in look.named
           if slot in look.needs and columns.quality[slot] >= Quality.UNCERTAIN]  # fmt: skip
    if bad:
        return ", ".join(bad)
    return "a window in it has no value yet" if look.windows else "it has no value"


def _fault(name: str, slot: int, columns: Columns) -> str:
    never = columns.arrived[slot] == NEVER and columns.values[slot] is None
    return f"{name} was not read yet" if never else f"{name} is {Quality(columns.quality[slot]).text}"


def step_text(step: Step) -> str:
    """A step in one line. Never a URL: it may hold a token."""
    match step.kind:
        case "delay":
            return f"wait {step.seconds:g} s"
        case "publish":
            return f"publish {step.topic}"
        case "webhook":
            return f"webhook {host_of(step.url)}"
        case "log":
            return f"log: {step.text}"
        case "command":
            return f"command {step.op} {step.device}".rstrip()
        case "notify":
            return f"notify {', '.join(step.to)}: {step.text}"
        case _:
            return f"{step.kind} {', '.join(_assigned(one) for one in step.assign)}"


def _assigned(one: Assignment) -> str:
    if one.expression:
        return f"{one.tag} = {one.expression}"
    value = plain(one.value)
    return f"{one.tag} = {str(value).lower() if isinstance(value, bool) else value}"
