"""A rule book compiled: nodes in the order in which they are looked at, and who looks at which tag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gateway.model import Tag
from gateway.rulebook import AlarmSpec, ExpressionError, RuleBook
from rules.alarms.book import AlarmBook
from rules.binding import Binder, Look
from rules.nodes import AlarmNode, Hands, Node, RuleNode
from rules.sequences import Player, Stage
from rules.steps import compile_steps
from rules.tagnodes import TagNode
from rules.windows import Window, WindowSpec


class Graph:
    """Computed tags first, each after those that it reads, then alarms, then rules in the order of the book.

    `watched`: slots whose values anybody needs. `on_change` and `on_reading`: nodes by slot. `computed`: slots of tags
    that the engine computes; `memory`: tags that keep what was set last, by slot.
    """

    def __init__(
        self, book: RuleBook, tags: Iterable[Tag], hands: Hands, stage: Stage, alarms: AlarmBook, binder: Binder
    ) -> None:
        self.book = book
        self.tags = list(tags)
        self.binder = binder
        virtual = [tag for tag in self.tags if tag.spec.virtual is not None]
        self.memory = {tag.slot: tag for tag in virtual if tag.spec.virtual.kind == "memory"}
        computed = _in_order([TagNode(tag, binder, hands) for tag in virtual if tag.slot not in self.memory])
        self.computed = {node.tag.slot for node in computed}
        self.tag_nodes = {node.tag.slot: node for node in computed}
        self.alarm_nodes = {spec.key: AlarmNode(spec, binder, hands, alarms) for spec in alarm_specs(book)}
        self.rule_nodes = {spec.id: RuleNode(spec, binder, hands) for spec in book.rules}
        self.players: dict[str, Player] = {}
        for alarm in self.alarm_nodes.values():
            if alarm.spec.rule:
                self.rule_nodes[alarm.spec.rule].alarm = alarm
        self.interlocks = self._interlocks()
        self.nodes: list[Node] = [*computed, *self.alarm_nodes.values(), *self.rule_nodes.values()]
        self.first_rule = len(computed)
        for index, node in enumerate(self.nodes):
            node.index = index
        self.watched: set[int] = {slot for node in self.nodes for slot in node.slots} | set(self.memory)
        self.watched |= {slot for bound, _ in self.interlocks.values() for slot in bound.slots}
        self._make_players(stage)
        self._index()

    def _make_players(self, stage: Stage) -> None:
        for spec in self.book.rules:
            start = compile_steps(spec.start, self.binder, spec.device)
            end = compile_steps(spec.end, self.binder, spec.device)
            self.players[spec.id] = Player(spec, {"start": start, "every": start, "end": end}, stage)
            self.watched |= {slot for step in (*start, *end) for slot in step.slots}
        for node in self.alarm_nodes.values():
            if node.text is not None:
                self.watched |= set(node.text.slots)

    def _index(self) -> None:
        on_change: dict[int, list[int]] = defaultdict(list)
        on_reading: dict[int, list[int]] = defaultdict(list)
        users: dict[int, list[int]] = defaultdict(list)
        for node in self.nodes:
            for slot in node.slots:
                (on_reading if node.each else on_change)[slot].append(node.index)
            for window in node.windows:
                users[id(window)].append(node.index)
        self.on_change: Mapping[int, Sequence[int]] = dict(on_change)
        self.on_reading: Mapping[int, Sequence[int]] = dict(on_reading)
        windows: dict[int, list[Window]] = defaultdict(list)
        for spec, window in self.binder.windows.items():
            slot = self.binder.slots[spec.tag]
            windows[slot].append(window)
            self.watched.add(slot)
        self.windows: Mapping[int, Sequence[Window]] = dict(windows)
        self.hops: list[tuple[WindowSpec, Window, Sequence[int]]] = [
            (spec, window, users[id(window)]) for spec, window in self.binder.windows.items() if spec.hop_ms
        ]

    def _interlocks(self) -> dict[int, tuple[Look, str]]:
        return {
            tag.slot: (self.binder.condition(tag.spec.write.interlock, tag.device), tag.spec.write.interlock)
            for tag in self.tags
            if tag.spec.write.interlock
        }


def alarm_specs(book: RuleBook) -> list[AlarmSpec]:
    """All alarms with a condition of their own or of a rule; those that follow issues are made when one comes."""
    own = [spec for spec in book.alarms if not spec.issue]
    return own + [rule.alarm for rule in book.rules if rule.alarm is not None]


def _in_order(nodes: Sequence[TagNode]) -> list[TagNode]:
    """Each after those whose tags it reads. Raises ExpressionError for a circle."""
    by_slot = {node.tag.slot: node for node in nodes}
    done: dict[int, bool] = {}
    ordered: list[TagNode] = []

    def visit(node: TagNode, chain: tuple[str, ...]) -> None:
        slot = node.tag.slot
        if done.get(slot):
            return
        if slot in done:
            raise ExpressionError(f"{' -> '.join((*chain, node.name))} is a circle")
        done[slot] = False
        for below in node.slots:
            if below in by_slot:
                visit(by_slot[below], (*chain, node.name))
        done[slot] = True
        ordered.append(node)

    for node in nodes:
        visit(node, ())
    return ordered
