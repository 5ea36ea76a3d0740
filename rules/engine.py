"""The engine: readings, time and people's orders in, actions and alarms out. No clock, no I/O, no tasks.

An event is one batch, one deadline or one order. In it only nodes that name a changed tag are looked at: computed tags
first, then alarms and rules. Rules that set memory tags make further rounds of the same event, at most MAX_DEPTH.
Deadlines fire in order and at their own time, before any later reading: so the same input gives the same output, now
and in a replay.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.model import Batch, Block, Quality, Tag, Value
from gateway.rulebook import RuleBook
from rules.alarms.book import AlarmBook
from rules.binding import Binder
from rules.columns import NEVER, Columns
from rules.deeds import Deeds
from rules.graph import Graph, alarm_specs
from rules.nodes import AlarmNode, Node, RuleNode
from rules.orders import Orders
from rules.schedules import Schedules
from rules.tagnodes import TagNode
from rules.timers import Timers
from rules.values import GOOD_BELOW, Instant, Outlet, RuleEvent, Transition
from rules.watching import Plans

if TYPE_CHECKING:
    from rules.windows import Window, WindowSpec

MAX_DEPTH = 8
STRIKES = 3
"""A rule that overruns its budget, or raises, so often is stopped."""
FORGIVEN_AFTER = 100
"""So many good looks take back one overrun."""
TICK_MS = 1000
"""How often nodes are looked at whose result changes by time alone."""


class Engine:
    """One rule book at work over `tags`. `at`: ms on the boot clock; `offset`: wall clock minus boot clock, ms."""

    def __init__(
        self,
        book: RuleBook,
        tags: Iterable[Tag],
        outlet: Outlet,
        *,
        at: int,
        offset: int,
        budget: bool = True,
        silent: bool = False,
    ) -> None:
        """`budget` False: evaluations are not timed (replay). `silent`: nothing comes out until `go_live`."""
        self.outlet = outlet
        self.timers = Timers()
        self.now = Instant(at, at + offset)
        self.silent = silent
        self._timed = budget
        self._dirty: set[int] = set()
        self._heap: list[int] | None = None
        self._restless: set[int] = set()
        self._computed: list[tuple[Tag, Value, int]] = []
        self._forced: set[int] = set()
        self._ts = 0
        self.alarms = AlarmBook(alarm_specs(book), self._alarm, self._alarm_row)
        self.deeds = Deeds(self)
        self.schedules = Schedules(self)
        self.orders = Orders(self)
        self.install(book, list(tags), {})
        if not silent:
            self.schedules.arm()
            self.begin()

    # --- in

    def on_batch(self, batch: Batch, at: int, offset: int) -> None:
        """A batch has arrived. Cheap when nobody watches its tags."""
        plan = self._plans.of(batch.block)
        if not plan.watched:
            return
        now = self.enter(at, offset)
        true_at = now.at - max(0, now.wall - batch.ts)
        values, quality = batch.values, batch.quality
        if batch.index is None:
            for position, slot in plan.watched:
                self._read(slot, values[position], 0 if quality is None else quality[position], batch.ts, true_at)
        else:
            for place, position in enumerate(batch.index):
                found = plan.by_position.get(position)
                if found is not None:
                    self._read(found, values[place], 0 if quality is None else quality[place], batch.ts, true_at)
        self._ts = batch.ts
        self.settle()

    def advance(self, at: int, offset: int) -> None:
        """Time has passed: fire what is due."""
        self.enter(at, offset)

    @property
    def due(self) -> int | None:
        """The next deadline, ms on the boot clock; None when nothing waits for time."""
        return self.timers.due

    def polled(self, device: str, at: int) -> None:
        """A good poll of a device came whose readings were held back: the age of its values begins anew."""
        self.columns.polled_at[device] = at

    def enter(self, at: int, offset: int) -> Instant:
        """Fire all deadlines up to `at`, then it is now. Time never runs backwards."""
        at = max(at, self.now.at)
        if self.now.wall - self.now.at != offset:
            self.now = Instant(self.now.at, self.now.at + offset)
            self.schedules.arm()
        while (found := self.timers.pop(at)) is not None:
            deadline, fire = found
            deadline = max(deadline, self.now.at)
            self.now = Instant(deadline, deadline + offset)
            self._ts = self.now.wall
            fire()
            self.settle()
        self.now = Instant(at, at + offset)
        return self.now

    def interlock(self, tag: Tag, at: int = 0) -> str:
        """Why a tag may not be written now; empty when it may. `at`: windows know that it is so late by now."""
        found = self.graph.interlocks.get(tag.slot)
        if found is None:
            return ""
        look, text = found
        columns = self.columns
        at = max(at, self.now.at)
        for window in () if look is None else look.windows:
            window.move(Instant(at, at + self.now.wall - self.now.at))
        allowed = None if look is None else look.run(columns.values, columns.quality, columns, at)
        if allowed:
            return ""
        return f"`{text}` is {'not known' if allowed is None else 'false'} now"

    # --- one event

    def _read(self, slot: int, value: Value, quality: int, ts: int, true_at: int) -> None:
        graph = self.graph
        if slot in graph.computed and not self._take_force(slot, quality):
            return
        if self.columns.put(slot, value, quality, ts, self.now.at):
            self._dirty.update(graph.on_change.get(slot, ()))
        self._dirty.update(graph.on_reading.get(slot, ()))
        for window in graph.windows.get(slot, ()):
            window.add(true_at, value, quality < GOOD_BELOW, self.now)
        if slot in graph.memory:
            self.keep(f"memory/{graph.memory[slot].name}", [value, ts])

    def _take_force(self, slot: int, quality: int) -> bool:
        """A computed tag comes from outside only when a person gives it a value, or takes that back."""
        if quality == Quality.LOCAL_OVERRIDE and not self.silent:
            self._forced.add(slot)
            return True
        if slot in self._forced:
            self._forced.discard(slot)
            self.touch(self.graph.tag_nodes[slot])
        return False

    def settle(self) -> None:
        """Look at everything that is touched, round by round."""
        for depth in range(MAX_DEPTH + 1):
            self._round()
            self.columns.changed.clear()
            if not self.deeds.sets:
                break
            if depth == MAX_DEPTH:
                self.deeds.cut(depth)
                break
            for tag, value in self.deeds.take():
                self.remember(tag, value, self.now.wall)
        self.deeds.over()
        if self._restless and not self.silent and self.timers.deadline("tick") is None:
            self.timers.set("tick", (self.now.at // TICK_MS + 1) * TICK_MS, self._tick)
        self.orders.arm()

    def _round(self) -> None:
        dirty = self._dirty
        if dirty and min(dirty) < self.graph.first_rule:
            self._compute_tags()
        if not dirty:
            return
        nodes = self.graph.nodes
        order = sorted(dirty)
        dirty.clear()
        for index in order:
            self._look_at(nodes[index])

    def _compute_tags(self) -> None:
        """Computed tags in their order; what they change is looked at in the same round."""
        first_rule = self.graph.first_rule
        self._heap = heap = [index for index in self._dirty if index < first_rule]
        heapq.heapify(heap)
        while heap:
            index = heapq.heappop(heap)
            if index in self._dirty:
                self._dirty.discard(index)
                self._look_at(self.graph.nodes[index])
        self._heap = None
        self._publish_computed()

    def computed(self, tag: Tag, value: Value, quality: int) -> None:
        """A virtual tag has this value now."""
        columns, graph, slot = self.columns, self.graph, tag.slot
        if slot in self._forced or not columns.put(slot, value, quality, self._ts, self.now.at):
            return
        self._computed.append((tag, value, quality))
        touched = (*graph.on_change.get(slot, ()), *graph.on_reading.get(slot, ()))
        self._dirty.update(touched)
        if self._heap is not None:
            for index in touched:
                if index < graph.first_rule:
                    heapq.heappush(self._heap, index)
        for window in graph.windows.get(slot, ()):
            window.add(self.now.at, value, quality < GOOD_BELOW, self.now)

    def _publish_computed(self) -> None:
        rows, self._computed = self._computed, []
        if self.silent:
            return
        by_device: dict[str, list[tuple[Tag, Value, int]]] = {}
        for row in rows:
            by_device.setdefault(row[0].device, []).append(row)
        for group in by_device.values():
            tags, values, quality = zip(*group, strict=True)
            self.outlet.computed(tags, values, quality, self._ts, self.now.at)

    def _look_at(self, node: Node) -> None:
        if node.stopped:
            return
        if node.windows:
            node.move(self.now)
        # The one look at a real clock: what is measured is the cost of the evaluation, never what comes out of it.
        began = time.perf_counter_ns() if self._timed else 0
        try:
            if self.silent:
                node.warm(self.now)
            else:
                node.evaluate(self.now)
        except Exception as error:  # a bug of ours, or a hostile expression: it stops alone
            node.faults += 1
            if node.faults >= STRIKES:
                self._stop(node, f"{type(error).__name__}: {error}")
        if self._timed:
            self._charge(node, time.perf_counter_ns() - began)
        if node.timed:
            (self._restless.add if node.restless else self._restless.discard)(node.index)

    def _charge(self, node: Node, cost_ns: int) -> None:
        if cost_ns > self._budget_ns:
            node.overruns += FORGIVEN_AFTER
            if node.overruns > (STRIKES - 1) * FORGIVEN_AFTER:
                self._stop(node, f"it took {cost_ns / 1e6:.1f} ms, {STRIKES} times more than its budget")
        elif node.overruns:
            node.overruns -= 1

    def _stop(self, node: Node, text: str) -> None:
        """This one alone is looked at no more until it is changed."""
        node.stopped = True
        node.fault = text
        player = self.graph.players.get(node.name)
        if player is not None and node.kind == "rule":
            player.stop()
        self.tell(RuleEvent(node.name, "failed", self.now, inputs=node.inputs(), text=text))

    def _tick(self) -> None:
        self._dirty |= self._restless

    def touch(self, node: Node) -> None:
        """Look at this node in the event that is being worked on."""
        self._dirty.add(node.index)

    def touch_index(self, indices: Iterable[int]) -> None:
        self._dirty.update(indices)

    # --- what nodes do

    def started(self, node: RuleNode) -> None:
        """A rule's condition has become active: its actions, then its alarm."""
        self.tell(RuleEvent(node.name, "started", self.now, node.condition.t_cond, node.inputs()))
        self.graph.players[node.name].play("start", self.now)
        self._alarm_of(node, active=True)

    def ended(self, node: RuleNode) -> None:
        self.tell(RuleEvent(node.name, "ended", self.now, node.condition.t_cond, node.inputs()))
        self.graph.players[node.name].play("end", self.now)
        self._alarm_of(node, active=False)

    def _alarm_of(self, node: RuleNode, *, active: bool) -> None:
        if node.alarm is not None:
            node.alarm.follow(node, self.now, active=active)

    def tell(self, event: RuleEvent) -> None:
        if not self.silent:
            self.outlet.rule(event)

    def keep(self, key: str, row: Any) -> None:
        """Keep a row over restarts."""
        if not self.silent:
            self.outlet.keep(key, row)

    def _alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        if not self.silent:
            self.outlet.alarm(transition, row)

    def _alarm_row(self, key: str, row: dict[str, Any]) -> None:
        if not self.silent:
            self.outlet.keep_alarm(key, row)

    # --- set up

    def install(self, book: RuleBook, tags: list[Tag], known: Mapping[WindowSpec, Window]) -> None:
        """Compile a rule book in the place of the one before."""
        binder = Binder(tags, self.now.at, self.now.wall - self.now.at, known)
        graph = Graph(book, tags, self, self.deeds, self.alarms, binder)
        self.schedules.forget_hops()
        size = max((tag.slot for tag in tags), default=-1) + 1
        self.columns = Columns(size, {tag.slot: tag.device for tag in tags}, self.now.at)
        self.graph = graph
        self._budget_ns = round(book.budget_s * 1e9)
        self._plans = Plans(graph.watched | graph.computed)
        self._dirty.clear()
        self._restless.clear()

    def begin(self) -> None:
        """Nothing has been read yet: rules and alarms wait for it, computed tags have a quality from the start."""
        self._tell_broken()
        self._restless.update(node.index for node in self.graph.nodes if node.timed)
        self._look_again(self.graph.first_rule)

    def look_again(self) -> None:
        """Look at everything: after a reload values are known already."""
        self._tell_broken()
        self._look_again(len(self.graph.nodes))

    def _tell_broken(self) -> None:
        for name, text in self.graph.broken:
            self.tell(RuleEvent(name, "failed", self.now, text=text))
        for slot in self.graph.computed - self.graph.tag_nodes.keys():
            tag = next(tag for tag in self.graph.tags if tag.slot == slot)
            self.computed(tag, None, int(Quality.BAD_CONFIG))

    def _look_again(self, upto: int) -> None:
        self._ts = self.now.wall
        self._dirty.update(range(upto))
        self.settle()

    def remember(self, tag: Tag, value: Value, ts: int) -> None:
        """A memory tag has this value, set by a rule or earlier: told as any reading is."""
        self._ts = ts
        self._read(tag.slot, value, 0, ts, self.now.at)
        if not self.silent:
            self.outlet.computed((tag,), (value,), (0,), ts, self.now.at)

    def watches(self, block: Block) -> bool:
        """Whether anybody looks at a tag of it."""
        return bool(self._plans.of(block).watched)

    def rewind(self, at: int) -> None:
        """Begin at an earlier time. Only for a silent engine, before its first batch."""
        self.now = Instant(at, at + self.now.wall - self.now.at)
        self.schedules.arm()

    def is_unheard(self, slot: int) -> bool:
        """Whether no reading of it has come yet."""
        return self.columns.arrived[slot] == NEVER

    @property
    def longest_window(self) -> int:
        """How far back its windows look, ms."""
        return max((spec.size_ms + spec.hop_ms for spec in self.graph.binder.windows), default=0)

    def rules(self) -> Iterable[RuleNode]:
        return self.graph.rule_nodes.values()

    def alarm_nodes(self) -> Iterable[AlarmNode]:
        return self.graph.alarm_nodes.values()

    def tag_nodes(self) -> Iterable[TagNode]:
        return self.graph.tag_nodes.values()
