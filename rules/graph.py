"""A rule book compiled: nodes in the order in which they are looked at, and who looks at which tag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.model import Tag
from gateway.rulebook import AlarmSpec, ExpressionError, RuleBook, RuleSpec
from rules.alarms.book import AlarmBook
from rules.binding import Binder, Look
from rules.nodes import AlarmNode, Hands, Node, RuleNode
from rules.sequences import Player, Stage
from rules.steps import compile_steps
from rules.tagnodes import TagNode

if TYPE_CHECKING:
    from rules.windows import Window, WindowSpec

T = TypeVar("T")


class Graph:
    """Computed tags first, each after those that it reads, then alarms, then rules in the order of the book.

    What does not compile (a channel whose driver is missing has no tags) is left out alone: `broken`, name and reason.
    `watched`: slots whose values anybody needs. `on_change` and `on_reading`: nodes by slot. `computed`: slots of tags
    that the engine computes; `memory`: tags that keep what was set last, by slot.
    """

    def __init__(
        self, book: RuleBook, tags: Iterable[Tag], hands: Hands, stage: Stage, alarms: AlarmBook, binder: Binder
    ) -> None:
        self.book = book
        self.tags = list(tags)
        self.binder = binder
        self.broken: list[tuple[str, str]] = []
        virtual = [tag for tag in self.tags if tag.spec.virtual is not None]
        self.memory = {tag.slot: tag for tag in virtual if tag.spec.virtual.kind == "memory"}
        made = (self._made(tag.name, TagNode, tag, binder, hands) for tag in virtual if tag.slot not in self.memory)
        computed = _in_order([node for node in made if node is not None])
        self.computed = {tag.slot for tag in virtual if tag.slot not in self.memory}
        self.tag_nodes = {node.tag.slot: node for node in computed}
        self.alarm_nodes = {
            spec.key: alarm
            for spec in alarm_specs(book)
            if (alarm := self._made(spec.key, AlarmNode, spec, binder, hands, alarms)) is not None
        }
        self.rule_nodes: dict[str, RuleNode] = {}
        self.players: dict[str, Player] = {}
        self._make_rules(hands, stage)
        for alarm in self.alarm_nodes.values():
            if alarm.spec.rule:
                self.rule_nodes[alarm.spec.rule].alarm = alarm
        self.interlocks = self._interlocks()
        self.nodes: list[Node] = [*computed, *self.alarm_nodes.values(), *self.rule_nodes.values()]
        self.first_rule = len(computed)
        for index, node in enumerate(self.nodes):
            node.index = index
        self.watched: set[int] = {slot for node in self.nodes for slot in node.slots} | set(self.memory)
        self.watched |= {slot for look, _ in self.interlocks.values() if look is not None for slot in look.slots}
        self._watch_more()
        self._index()

    def _made(self, name: str, make: Callable[..., T], *parts: Any) -> T | None:
        try:
            return make(*parts)
        except ExpressionError as error:
            self.broken.append((name, str(error)))
            return None

    def _make_rules(self, hands: Hands, stage: Stage) -> None:
        for spec in self.book.rules:
            dry_run = spec.dry_run or self.book.dry_run
            node = self._made(spec.id, partial(RuleNode, dry_run=dry_run), spec, self.binder, hands)
            player = self._made(spec.id, self._player, spec, stage) if node is not None else None
            if node is not None and player is not None:
                self.rule_nodes[spec.id], self.players[spec.id] = node, player

    def _player(self, spec: RuleSpec, stage: Stage) -> Player:
        start = compile_steps(spec.start, self.binder, spec.device)
        end = compile_steps(spec.end, self.binder, spec.device)
        return Player(spec, {"start": start, "every": start, "end": end}, stage)

    def _watch_more(self) -> None:
        """What steps and texts read."""
        for player in self.players.values():
            self.watched |= {slot for steps in player.steps.values() for step in steps for slot in step.slots}
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

    def _interlocks(self) -> dict[int, tuple[Look | None, str]]:
        """By slot: the condition, None for one that does not compile, and its text."""
        return {
            tag.slot: (self._made(tag.name, self.binder.condition, text, tag.device), text)
            for tag in self.tags
            if (text := tag.spec.write.interlock)
        }


def alarm_specs(book: RuleBook) -> list[AlarmSpec]:
    """All alarms with a condition of their own or of a rule; those that follow issues are made when one comes."""
    own = [spec for spec in book.alarms if not spec.issue]
    return own + [rule.alarm for rule in book.rules if rule.alarm is not None]


def _in_order(nodes: Sequence[TagNode]) -> list[TagNode]:
    """Each after those whose tags it reads. What goes round in a circle (refused at load) is left out."""
    by_slot = {node.tag.slot: node for node in nodes}
    sorter = TopologicalSorter({slot: [at for at in node.slots if at in by_slot] for slot, node in by_slot.items()})
    try:
        return [by_slot[slot] for slot in sorter.static_order()]
    except CycleError:
        return []
