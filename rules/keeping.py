"""An engine over restarts and reloads: what it remembers as plain data, and how it goes on from that.

Two kinds of memory. Rows (`Outlet.keep`) are small and kept at each change: phases of rules and alarms, sequences,
memory tags. A snapshot is kept now and then: columns, windows, totals, latches; what came after it is in the journal
and is gone through again silently. Whatever is known from before counts as good only when it has been read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.model import Tag
from gateway.rulebook import RuleBook
from rules.engine import Engine
from rules.nodes import Node
from rules.values import Instant

if TYPE_CHECKING:
    from rules.windows import WindowSpec

SNAPSHOT = 1


def snapshot(engine: Engine) -> dict[str, Any]:
    """What its expressions remember, but for windows: columns, totals, latches."""
    graph, columns = engine.graph, engine.columns
    names = {tag.slot: tag.name for tag in graph.tags}
    return {
        "v": SNAPSHOT,
        "at": engine.now.at,
        "wall": engine.now.wall,
        "columns": {names[slot]: columns.row(slot) for slot in sorted(graph.watched | graph.computed) if slot in names},
        "totals": {node.name: node.total.row() for node in graph.tag_nodes.values() if node.total is not None},
        "latches": {node.name: states for node in graph.nodes if any(states := _latches(node))},
    }


def windows(engine: Engine) -> dict[str, Any]:
    """What its windows hold; may be large."""
    held = [[_key(spec), window.state()] for spec, window in engine.graph.binder.windows.items()]
    return {"v": SNAPSHOT, "at": engine.now.at, "wall": engine.now.wall, "windows": held}


def _latches(node: Node) -> list[Any]:
    return [bound.state() for bound in node.bounds]


def _key(spec: WindowSpec) -> str:
    return msgspec.json.encode(spec).decode()


def restore(engine: Engine, kept: Mapping[str, Any], shift: int) -> bool:
    """Take a snapshot up; `shift` is added to its boot-clock times (another boot). False: it is of another form.

    What the rule book does not have any more is left out.
    """
    try:
        if kept["v"] != SNAPSHOT:
            return False
        _restore_columns(engine, kept["columns"], shift)
        for computed in engine.graph.tag_nodes.values():
            if computed.total is not None and computed.name in kept["totals"]:
                computed.total.restore(kept["totals"][computed.name], shift)
        for node in engine.graph.nodes:
            for bound, state in zip(node.bounds, kept["latches"].get(node.name, ()), strict=False):
                bound.restore(state)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return True


def restore_windows(engine: Engine, kept: Mapping[str, Any], shift: int) -> bool:
    """Take windows up, as `restore` does."""
    try:
        if kept["v"] != SNAPSHOT:
            return False
        states = dict(kept["windows"])
        for spec, window in engine.graph.binder.windows.items():
            if (state := states.get(_key(spec))) is not None:
                window.restore(state, shift)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return False
    return True


def _restore_columns(engine: Engine, rows: Mapping[str, Any], shift: int) -> None:
    for tag in engine.graph.tags:
        row = rows.get(tag.name)
        if row is not None:
            engine.columns.restore(tag.slot, row, shift)


class Kept(msgspec.Struct, frozen=True):
    """Rows as they were kept: those of `Outlet.keep` by key, those of alarms by `id@entity`. `alive`: ms on the boot
    clock up to which the gateway is known to have watched; None: nobody knows. `shift`: what is added to the rows' own
    times (they are of another boot). `maintained`: devices that people work on.
    """

    rows: Mapping[str, Any]
    alarms: Mapping[str, Any]
    alive: int | None
    shift: int = 0
    maintained: frozenset[str] = frozenset()


def go_live(engine: Engine, kept: Kept, at: int, offset: int) -> None:
    """The end of a silent start: nobody watched until now, from now on everything counts."""
    if not engine.silent:
        raise RuntimeError("the engine is live already")
    alive = engine.now.at if kept.alive is None else min(kept.alive, at)
    _interrupt(engine, Instant(alive, alive + offset))
    lose_sight(engine, alive, at)
    engine.enter(at, offset)
    engine.silent = False
    now = engine.now
    for node in (*engine.rules(), *engine.alarm_nodes()):
        row = kept.rows.get(node.key)
        if row is not None and node.condition.restore(row, alive, kept.shift) and kept.shift:
            engine.keep(node.key, node.condition.row())
    for key, row in kept.alarms.items():
        if engine.orders.take_up(key, row, kept.shift):
            engine.outlet.keep_alarm(key, None)
    for name, player in engine.graph.players.items():
        if (row := kept.rows.get(f"sequence/{name}")) is not None:
            player.restore(row, now, kept.shift)
    for key, row in kept.rows.items():
        kind, _, name = key.partition("/")
        if kind in ("every", "reset"):
            engine.schedules.restore(name, row)
    engine.orders.maintain(kept.maintained)
    engine.schedules.arm()
    engine.begin()
    for tag in engine.graph.memory.values():
        set_memory(engine, tag, kept.rows.get(f"memory/{tag.name}"))


def _interrupt(engine: Engine, alive: Instant) -> None:
    """From `alive` on nobody watched: values are from before, windows have a gap, totals stand still."""
    engine.columns.black_out()
    for windows in engine.graph.windows.values():
        for window in windows:
            window.add(alive.at, None, False, alive)  # noqa: FBT003 - the window's own form
    for node in engine.tag_nodes():
        if node.total is not None:
            node.total.pause(alive.at)


def lose_sight(engine: Engine, alive: int, at: int) -> None:
    """Nobody watched from `alive` to `at`, ms on the boot clock. A window narrower than that, or newer than `alive`, is
    watched anew from `at` on; for another one the time is a gap.
    """
    for spec, window in engine.graph.binder.windows.items():
        if window.since is not None and (at - alive > spec.size_ms or window.since > alive):
            window.watched_since(at)


def set_memory(engine: Engine, tag: Tag, row: Any = None) -> None:
    """A memory tag has what was set last, or its initial value: nobody else could have changed it meanwhile."""
    value, ts = row if isinstance(row, list) and len(row) == 2 else (tag.spec.virtual.initial, engine.now.wall)
    if value is not None:
        engine.remember(tag, value, ts)


def reload(engine: Engine, book: RuleBook, tags: Iterable[Tag], at: int, offset: int) -> None:
    """Another rule book, or other tags. What is the same goes on: windows, phases, sequences, totals, alarms."""
    engine.enter(at, offset)
    old_graph, old_columns = engine.graph, engine.columns
    old_names = {tag.name: tag.slot for tag in old_graph.tags}
    engine.install(book, list(tags), old_graph.binder.windows)
    graph = engine.graph
    slots = {tag.slot: old_names[tag.name] for tag in graph.tags if tag.name in old_names}
    engine.columns.adopt(old_columns, slots)
    engine.orders.respecify()
    engine.alarms.reload(engine.orders.specs(), engine.now)
    engine.orders.maintain()
    for name, player in graph.players.items():
        if name in old_graph.players:
            player.adopt(old_graph.players[name], engine.now)
    for name in old_graph.players.keys() - graph.players.keys():
        old_graph.players[name].stop()
    _adopt_nodes(engine, {(node.kind, node.name): node for node in old_graph.nodes})
    engine.schedules.arm()
    for tag in graph.memory.values():
        if tag.name not in old_names:
            set_memory(engine, tag)
    engine.look_again()
    for rule in engine.rules():  # an alarm that is new at a rule that is active
        if rule.alarm is not None and rule.condition.is_active:
            rule.alarm.follow(rule, engine.now, active=True)


def _adopt_nodes(engine: Engine, old: dict[tuple[str, str], Node]) -> None:
    for node in engine.graph.nodes:
        before = old.pop((node.kind, node.name), None)
        if before is None:
            continue
        node.adopt(before, engine.now)
    for gone in old.values():
        gone.leave(engine.now)
