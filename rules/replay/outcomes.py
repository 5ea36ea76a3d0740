"""What rules and alarms did, as JSON objects that are equal when the runs were equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway import lossless
from gateway.canonical import canonical
from gateway.model import Quality, Tag, Value
from gateway.rulebook import Step
from rules.values import Do, Input, RuleEvent, Transition

Line = dict[str, Any]

_STEP_FIELDS = {
    "publish": ("topic", "uplink", "retain"),
    "webhook": ("method",),
    "log": ("level",),
    "command": ("op", "device"),
    "notify": ("to",),
}


class Outcomes:
    """A rules.values.Outlet that turns every effect into a line and hands it to `take`.

    `computed`: new values of computed tags are lines too; there are many.
    """

    def __init__(self, take: Callable[[Line], None], *, computed: bool = False) -> None:
        self._take = take
        self._computed = computed

    def do(self, action: Do) -> None:
        self._take(action_line(action))

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        if self._computed:
            rows = zip(tags, values, quality, strict=True)
            found = {tag.name: [lossless.to_json(value), Quality(code).text] for tag, value, code in rows}
            self._take({"kind": "computed", "at": at, "ts": ts, "values": found})

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:  # noqa: ARG002 - the row is for disks
        self._take(alarm_line(transition))

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        """Nothing outlives a replay."""

    def rule(self, event: RuleEvent) -> None:
        self._take(rule_line(event))

    def keep(self, key: str, row: Any) -> None:
        """Nothing outlives a replay."""


def as_text(line: Line) -> str:
    """The line's canonical form: equal for equal lines, without a line end."""
    return canonical(line).decode()


def action_line(action: Do) -> Line:
    step = action.step
    line: Line = {
        "kind": "action",
        "at": action.when.at,
        "ts": action.when.wall,
        "rule": action.rule,
        "edge": action.edge,
        "what": step.kind,
        **_of_step(step),
    }
    if action.values:
        line["values"] = {name: lossless.to_json(value) for name, value in action.values}
    if action.text:
        line["text"] = action.text
    if action.dry_run:
        line["dry_run"] = True
    return line


def _of_step(step: Step) -> Line:
    fields = {name: getattr(step, name) for name in _STEP_FIELDS.get(step.kind, ())}
    if step.kind == "command":
        fields["args"] = {name: _plain(value) for name, value in step.args}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items() if value}


def _plain(value: Any) -> Any:
    """An argument of a command, which may be nested."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else lossless.to_json(value)


def alarm_line(change: Transition) -> Line:
    """Whether it chatters is left out: that is about how it is told, and forgotten with each start."""
    line: Line = {
        "kind": "alarm",
        "at": change.when.at,
        "ts": change.when.wall,
        "id": change.spec.id,
        "entity": change.spec.entity,
        "event": change.event,
        "old": change.old,
        "state": change.state,
        "priority": change.spec.priority,
    }
    if change.value is not None:
        line["value"] = lossless.to_json(change.value)
    for name in ("t_cond", "t_active", "quality", "text", "who", "comment", "until", "first_out"):
        if getattr(change, name):
            line[name] = getattr(change, name)
    return line | _inputs(change.inputs)


def rule_line(event: RuleEvent) -> Line:
    line: Line = {
        "kind": "rule",
        "at": event.when.at,
        "ts": event.when.wall,
        "rule": event.rule,
        "what": event.what,
    }
    if event.t_cond:
        line["t_cond"] = event.t_cond
    if event.text:
        line["text"] = event.text
    return line | _inputs(event.inputs)


def _inputs(inputs: Sequence[Input]) -> Line:
    if not inputs:
        return {}
    rows = [[one.tag, lossless.to_json(one.value), one.quality, one.ts] for one in inputs]
    return {"inputs": rows}
