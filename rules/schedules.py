"""What runs by the wall clock: rules with `every`, totals that begin anew, windows that hop.

Deadlines are kept on the boot clock; when the wall clock is set they are reckoned anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.nodes import RuleNode
from rules.tagnodes import TagNode
from rules.values import RuleEvent

if TYPE_CHECKING:
    from rules.engine import Engine


class Schedules:
    """The timetable of one engine. `last`: UTC ms of the last run by name, kept over restarts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.last: dict[str, int] = {}
        self._hops = 0

    def arm(self) -> None:
        """Set the deadlines of everything in the rule book."""
        graph = self._engine.graph
        for rule in graph.rule_nodes.values():
            if rule.schedule is not None and not self._engine.silent:
                self._arm_rule(rule)
        for tag in graph.tag_nodes.values():
            if tag.reset_at is not None:
                self._arm_reset(tag)
        self._hops = len(graph.hops)
        for place in range(self._hops):
            self._arm_hop(place)

    def forget_hops(self) -> None:
        """Their windows are about to be replaced."""
        for place in range(self._hops):
            self._engine.timers.cancel(("hop", place))

    def restore(self, name: str, last: Any) -> None:
        """When something ran last, before a restart."""
        if isinstance(last, int):
            self.last[name] = last

    def _arm_rule(self, node: RuleNode) -> None:
        assert node.schedule is not None
        key = f"every/{node.name}"
        self._set(key, node.schedule.next(self._engine.now.wall, self._last(key, node.name)), node)

    def _arm_reset(self, node: TagNode) -> None:
        assert node.reset_at is not None
        key = f"reset/{node.name}"
        self._set(key, node.reset_at.next(self._engine.now.wall, self._last(key, node.name)), node)

    def _last(self, key: str, name: str) -> int | None:
        """When it ran last; for one that never did, when it was first there: runs are missed from then on."""
        if name not in self.last and not self._engine.silent:
            self._ran(key, name)
        return self.last.get(name)

    def _set(self, key: str, wall: int, node: RuleNode | TagNode) -> None:
        now = self._engine.now
        run = self._run if isinstance(node, RuleNode) else self._reset
        deadline = max(now.at, wall - (now.wall - now.at))
        self._engine.timers.set(key, deadline, lambda: run(node))  # type: ignore[arg-type]

    def _run(self, node: RuleNode) -> None:
        engine = self._engine
        self._ran(f"every/{node.name}", node.name)
        if not node.stopped and node.may_run(engine.now):
            engine.tell(RuleEvent(node.name, "ran", engine.now, engine.now.wall, node.inputs()))
            engine.graph.players[node.name].play("every", engine.now)
        self._arm_rule(node)

    def _reset(self, node: TagNode) -> None:
        if self._engine.silent and node.total is not None and node.total.has_counted(self._engine.now.at):
            return  # its total is from after this time
        self._ran(f"reset/{node.name}", node.name)
        node.reset(self._engine.now)
        self._arm_reset(node)

    def _ran(self, key: str, name: str) -> None:
        self.last[name] = self._engine.now.wall
        self._engine.keep(key, self._engine.now.wall)

    def _arm_hop(self, place: int) -> None:
        _, window, _ = self._engine.graph.hops[place]
        if window.due is not None:
            self._engine.timers.set(("hop", place), max(window.due, self._engine.now.at), lambda: self._hop(place))

    def _hop(self, place: int) -> None:
        _, window, users = self._engine.graph.hops[place]
        window.move(self._engine.now)
        self._engine.touch_index(users)
        self._arm_hop(place)
