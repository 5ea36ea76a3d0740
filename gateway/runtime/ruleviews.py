"""The rules engine as people see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.model import Quality
from gateway.runtime.node import plain
from rules.engine import Engine
from rules.nodes import RuleNode
from rules.values import Input


def rules(engine: Engine) -> list[dict[str, Any]]:
    """Each rule: its phase, since when, and until when a delay runs (UTC ms, 0 where there is none). `held`: a delay
    stands still, as an input is not good; `left`: ms of the delay.
    """
    return [_rule(engine, node) for node in engine.rules()]


def _rule(engine: Engine, node: RuleNode) -> dict[str, Any]:
    offset = engine.now.wall - engine.now.at
    spec, condition = node.spec, node.condition
    by_clock = node.schedule is not None
    due = engine.timers.deadline(f"every/{spec.id}") if by_clock else condition.due
    state = "stopped" if node.stopped else "by_clock" if by_clock else condition.phase.value
    return {
        "id": spec.id,
        "state": state,
        "since": condition.t_active if condition.is_active else condition.t_cond if state == "pending" else 0,
        "held": condition.is_held,
        "left": condition.left(engine.now),
        "due": 0 if due is None else due + offset,
        "when": spec.when,
        "until": spec.until,
        "device": spec.device,
        "description": spec.description,
        "dry_run": spec.dry_run or engine.graph.book.dry_run,
        "sequence": engine.graph.players[spec.id].edge,
        "fault": node.fault,
    }


def inputs(engine: Engine, name: str) -> list[dict[str, Any]]:
    """What a rule or alarm looks at now. Raises KeyError."""
    graph = engine.graph
    node = graph.rule_nodes.get(name) or graph.alarm_nodes.get(name)
    if node is None:
        raise KeyError(name)
    if name in graph.alarm_nodes and graph.alarm_nodes[name].spec.rule:
        node = graph.rule_nodes[graph.alarm_nodes[name].spec.rule]
    return rows(node.inputs())


def rows(found: Iterable[Input]) -> list[dict[str, Any]]:
    """Inputs as JSON carries them."""
    return [{"tag": one.tag, "value": plain(one.value), "quality": one.quality, "ts": one.ts} for one in found]


def virtuals(engine: Engine) -> list[dict[str, Any]]:
    """The tags without an address: `held` counts results that a deadband held back."""
    columns, nodes = engine.columns, engine.graph.tag_nodes
    return [
        {
            "tag": tag.name,
            "kind": tag.spec.virtual.kind,
            "expression": tag.spec.virtual.text,
            "value": plain(columns.values[tag.slot]),
            "quality": Quality(columns.quality[tag.slot]).text,
            "held": nodes[tag.slot].held if tag.slot in nodes else 0,
        }
        for tag in engine.graph.tags
        if tag.spec.virtual is not None
    ]
