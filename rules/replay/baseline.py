"""An engine in the middle of its life as plain data, and another one that goes on exactly from there.

Unlike a restart (rules.keeping) nothing is interrupted: no time was missed, nothing counts as last known, and what
comes out from then on is the same to the byte. Only for the same rule book and tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.model import Tag
from gateway.rulebook import AlarmSpec, RuleBook
from rules import keeping
from rules.alarms.alarm import Alarm, Kept
from rules.condition import Condition, Phase
from rules.engine import Engine
from rules.nodes import AlarmNode, Node, RuleNode
from rules.values import Input, Outlet

VERSION = 1

_COLUMNS = ("values", "quality", "arrived", "before_at", "good_at", "previous", "ts")
_CONDITION = ("t_cond", "_since", "_elapsed", "_ready")
_NODE = ("stopped", "faults", "overruns")


class NotABaseline(GatewayError):
    """Data of another form, or of another rule book."""


def take(engine: Engine) -> dict[str, Any]:
    """What `engine` knows now, for msgpack. Call it between two events."""
    graph, columns = engine.graph, engine.columns
    names = {tag.slot: tag.name for tag in graph.tags}
    slots = sorted(slot for slot in graph.watched | graph.computed if slot in names)
    return {
        "v": VERSION,
        "at": engine.now.at,
        "wall": engine.now.wall,
        "snapshot": keeping.snapshot(engine),
        "windows": keeping.windows(engine),
        "columns": {names[slot]: [getattr(columns, column)[slot] for column in _COLUMNS] for slot in slots},
        "polled": dict(columns.polled_at),
        "conditions": {node.key: _condition(node.condition) for node in _conditional(engine)},
        "nodes": {_name(node): [getattr(node, name) for name in _NODE] for node in graph.nodes},
        "restless": sorted(_name(graph.nodes[index]) for index in engine._restless),
        "alarms": _alarms(engine),
        "sequences": {name: [player.edge, player._next, player._kept] for name, player in graph.players.items()},
        "last": dict(engine.schedules.last),
        "timers": _timers(engine),
        "actions": engine.deeds.count,
    }


def resume(book: RuleBook, tags: Sequence[Tag], outlet: Outlet, taken: Mapping[str, Any]) -> Engine:
    """An engine that goes on from there. Raises NotABaseline, or ExpressionError for another rule book."""
    try:
        if taken["v"] != VERSION:
            raise NotABaseline(f"its form {taken['v']} is unknown")
        at, wall = int(taken["at"]), int(taken["wall"])
        engine = Engine(book, tags, outlet, at=at, offset=wall - at, budget=False, silent=True)
        whole = keeping.restore(engine, taken["snapshot"], 0) and keeping.restore_windows(engine, taken["windows"], 0)
        if not whole:
            raise NotABaseline("what it says of windows and totals is of another form")
        _resume_columns(engine, taken)
        _resume_nodes(engine, taken)
        _resume_alarms(engine, taken["alarms"])
        engine.schedules.last.update(taken["last"])
        engine.deeds.count = int(taken["actions"])
        _resume_timers(engine, taken["timers"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, msgspec.ValidationError) as error:
        raise NotABaseline(f"it does not fit these rules: {error!r}") from error
    engine.silent = False
    return engine


def _conditional(engine: Engine) -> list[RuleNode | AlarmNode]:
    return [*engine.rules(), *engine.alarm_nodes()]


def _name(node: Node) -> str:
    return f"{node.kind}/{node.name}"


def _condition(condition: Condition) -> list[Any]:
    return [condition.phase.value, *(getattr(condition, name) for name in _CONDITION)]


def _alarms(engine: Engine) -> dict[str, Any]:
    book = engine.alarms
    names = Kept.__struct_fields__
    return {
        "issues": [msgspec.to_builtins(spec) for spec in engine.orders._issues.values()],
        "maintained": sorted(engine.orders._maintained),
        "kept": {
            key: [*(getattr(alarm, name) for name in names), [_input(one) for one in alarm.inputs]]
            for key, alarm in book._alarms.items()
        },
        "first_out": {group: sorted(keys) for group, keys in book._first_out._announced.items()},
    }


def _input(one: Input) -> list[Any]:
    return [one.tag, one.value, one.quality, one.ts]


def _timers(engine: Engine) -> list[list[Any]]:
    """Names and deadlines, in the order in which equal ones fire."""
    known = sorted(engine.timers._known.items(), key=lambda item: item[1][1])
    return [[list(name) if isinstance(name, tuple) else name, deadline] for name, (deadline, _, _) in known]


def _resume_columns(engine: Engine, taken: Mapping[str, Any]) -> None:
    slots = {tag.name: tag.slot for tag in engine.graph.tags}
    for name, row in taken["columns"].items():
        for column, item in zip(_COLUMNS, row, strict=True):
            getattr(engine.columns, column)[slots[name]] = item
    engine.columns.polled_at.update(taken["polled"])


def _resume_nodes(engine: Engine, taken: Mapping[str, Any]) -> None:
    for conditional in _conditional(engine):
        phase, *rest = taken["conditions"][conditional.key]
        conditional.condition.phase = Phase(phase)
        for name, item in zip(_CONDITION, rest, strict=True):
            setattr(conditional.condition, name, item)
    for node in engine.graph.nodes:
        for name, item in zip(_NODE, taken["nodes"][_name(node)], strict=True):
            setattr(node, name, item)
        if _name(node) in taken["restless"]:
            engine._restless.add(node.index)
    for name, (edge, following, kept) in taken["sequences"].items():
        player = engine.graph.players[name]
        player.edge, player._next, player._kept = edge, following, kept


def _resume_alarms(engine: Engine, taken: Mapping[str, Any]) -> None:
    book = engine.alarms
    engine.orders._maintained = frozenset(taken["maintained"])
    for row in taken["issues"]:
        spec = msgspec.convert(row, AlarmSpec)
        engine.orders._issues[spec.key] = spec
        book.add(spec)
    for key, (*row, inputs) in taken["kept"].items():
        alarm: Alarm = book._alarms[key]
        for name, item in zip(Kept.__struct_fields__, row, strict=True):
            setattr(alarm, name, tuple(item) if isinstance(item, list) else item)
        alarm.inputs = tuple(Input(*one) for one in inputs)
        book._plan(alarm)
    for group, keys in taken["first_out"].items():
        book._first_out._announced[group] = set(keys)


def _resume_timers(engine: Engine, timers: Sequence[Any]) -> None:
    fires = _fires(engine)
    for name, deadline in timers:
        key = tuple(name) if isinstance(name, list) else name
        engine.timers.set(key, int(deadline), fires[key])


def _fires(engine: Engine) -> dict[object, Callable[[], None]]:
    """What each timer of the engine does."""
    graph, schedules = engine.graph, engine.schedules
    found: dict[object, Callable[[], None]] = {
        "tick": engine._tick,
        "alarms": lambda: engine.alarms.advance(engine.now),
    }
    for conditional in _conditional(engine):
        found[conditional.key] = _call(engine.touch, conditional)
    for rule in engine.rules():
        found[f"every/{rule.name}"] = _call(schedules._run, rule)
    for tag in engine.tag_nodes():
        found[tag.key] = _call(engine.touch, tag)
        found[f"reset/{tag.name}"] = _call(schedules._reset, tag)
    for place in range(len(graph.hops)):
        found["hop", place] = _call(schedules._hop, place)
    for player in graph.players.values():
        found[player._key] = lambda player=player: player._go_on(engine.now)  # type: ignore[misc]
    return found


def _call(function: Callable[[Any], None], argument: Any) -> Callable[[], None]:
    return lambda: function(argument)
