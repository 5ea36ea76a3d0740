"""What the rules engine brings about in the gateway: actions, computed values, alarm entries, events, kept rows.

Implements rules.values.Outlet. Nothing here waits and nothing calls back into the engine.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gateway.audit import Audit
from gateway.bus import Feed
from gateway.clock import Clock
from gateway.driver import Memory
from gateway.errors import StoreError
from gateway.health import Health
from gateway.journal import Level, Tx
from gateway.model import Batch, Block, Tag, Value
from gateway.runtime.node import plain
from gateway.runtime.rulekeeping import ALARMS
from gateway.runtime.ruleviews import rows
from gateway.store import Store
from rules.alarms.entry import ChatterGroup
from rules.values import Do, RuleEvent, Transition

EVENTS_PER_MINUTE = 30
"""Of one rule, in the journal; a rule that comes and goes faster is counted."""
CHATTER_S = 1.0
_WATCH_BOUND = 1000
_URGENT = ("rule/", "sequence/")
_ISSUES = {"failed": "rule_failed", "cut": "rule_cycle"}
_REPAIRS = {
    "failed": "correct the rule and apply, or restart the gateway",
    "cut": "break the circle: let one of the rules set something else",
}

_log = logging.getLogger("fieldpost.rules")


class Acts(Protocol):
    """Who does what rules ask for (gateway.acting)."""

    def do(self, action: Do) -> None: ...


class Notifies(Protocol):
    """Who tells people (gateway.notifying)."""

    def take(self, transition: Transition) -> None: ...


class Effects:
    """The outlet of one engine. `publish` takes a batch to bus and journal; `actor`, `notifier`: set when wired."""

    actor: Acts
    notifier: Notifies

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        health: Health,
        audit: Audit,
        memory: Memory,
        publish: Callable[[Batch], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._health = health
        self._audit = audit
        self._memory = memory
        self._publish = publish
        self._blocks: dict[tuple[int, ...], Block] = {}
        self._chatter = ChatterGroup()
        self._flushing = False
        self._asked = False
        self._recent: dict[str, deque[float]] = {}
        self._left_out: dict[str, int] = {}
        self._phases: dict[str, deque[float]] = {}
        self._feeds: list[Feed[dict[str, Any]]] = []
        self.publishing = False
        """A batch of the engine's own is on its way: it knows it already."""

    def do(self, action: Do) -> None:
        """Memory tags are set by the engine itself; everything else goes to the actor. What is only tried is audited
        here: nobody else does anything about it.
        """
        if action.step.kind == "set" or action.dry_run:
            self._record(action)
        if action.step.kind != "set":
            self.actor.do(action)

    def _record(self, action: Do) -> None:
        who, what = f"rule:{action.rule}", action.step.kind
        more = {"dry_run": True} if action.dry_run else {}
        for name, value in action.values:
            device, _, path = name.partition(".")
            self._audit.record(who, "rule", what, device=device, tag=path, new=plain(value), **more)
        if not action.values:
            self._audit.record(who, "rule", what, text=action.text, **more)

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        slots = tuple(tag.slot for tag in tags)
        block = self._blocks.get(slots)
        if block is None or any(known is not tag for known, tag in zip(block.tags, tags, strict=True)):
            if len(self._blocks) >= _WATCH_BOUND:
                self._blocks.clear()
            block = self._blocks[slots] = Block(tags[0].device, tags)
        self.publishing = True
        try:
            self._publish(Batch(block, values, ts, at / 1000.0, quality=quality if any(quality) else None))
        finally:
            self.publishing = False

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        """The entry and the alarm's row in one transaction: they never disagree."""
        found = self._chatter.take(transition)
        if transition.inputs and found:
            found[-1]["inputs"] = rows(transition.inputs)
        self._write(found, transition.spec.key, row)
        if transition.chattering and not self._flushing:
            self._flushing = True
            self._clock.call_later(CHATTER_S, self.flush)
        for feed in self._feeds:
            for entry in found:
                feed.put(entry)
        self.notifier.take(transition)

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        self._write([], key, row)

    def _write(self, entries: list[dict[str, Any]], key: str, row: dict[str, Any] | None) -> None:
        def work(tx: Tx) -> None:
            for entry in entries:
                tx.append("alarm", entry)
            if key:
                tx.delete(ALARMS, key) if row is None else tx.put(ALARMS, key, row)

        self._store.submit(work, Level.NOW if entries else Level.SOON).add_done_callback(_told)

    def flush(self) -> None:
        """What chattering alarms did since the last time, as one entry each."""
        self._flushing = False
        if found := self._chatter.flush():
            self._write(found, "", None)
            for feed in self._feeds:
                for entry in found:
                    feed.put(entry)

    def rule(self, event: RuleEvent) -> None:
        """An event of the journal; trouble is an issue, too."""
        if (issue := _ISSUES.get(event.what)) is not None:
            self._health.set(issue, event.rule, f"rule {event.rule}: {event.text}", _REPAIRS[event.what])
        if event.what == "skipped":
            _log.warning("rule %s: %s", event.rule, event.text)
        if not self._may_tell(event.rule):
            return
        entry: dict[str, Any] = {"ts": event.when.wall, "kind": "rule", "rule": event.rule, "what": event.what}
        if event.t_cond:
            entry["t_cond"] = event.t_cond
        if event.inputs:
            entry["inputs"] = rows(event.inputs)
        if event.text:
            entry["text"] = event.text
        if left_out := self._left_out.pop(event.rule, 0):
            entry["left_out"] = left_out
        try:
            self._store.append_entry("event", entry, Level.SOON)
        except StoreError as error:
            _log.error("an event of rule %s is not in the journal: %s", event.rule, error)

    def _may_tell(self, rule: str) -> bool:
        if not _is_seldom(self._recent, rule, self._clock.mono()):
            self._left_out[rule] = self._left_out.get(rule, 0) + 1
            return False
        return True

    def keep(self, key: str, row: Any) -> None:
        """Rows ride on the next commit. It comes at once for the phase of a rule and for its sequences: what was done
        must not be done again after a kill. One that changes all the time takes the usual commit.
        """
        try:
            if row is None:
                self._memory.delete(key)
            else:
                self._memory.put(key, row)
        except StoreError as error:
            _log.error("%s is not kept over a restart: %s", key, error)
            return
        urgent = key.startswith(_URGENT) and _is_seldom(self._phases, key, self._clock.mono())
        if urgent or not self._asked:
            self._asked = True
            self._store.submit(_nothing, Level.NOW if urgent else Level.SOON).add_done_callback(self._kept)

    def note(self, key: str, row: Any) -> None:
        """Keep a row with whatever is committed next."""
        self._memory.put(key, row)

    def _kept(self, done: Any) -> None:
        self._asked = False
        _told(done)

    def watch_alarms(self) -> Feed[dict[str, Any]]:
        """Entries as they are written, for a slow reader."""
        feed: Feed[dict[str, Any]] = Feed(_WATCH_BOUND)
        self._feeds.append(feed)
        return feed

    def unwatch_alarms(self, feed: Feed[dict[str, Any]]) -> None:
        self._feeds.remove(feed)

    def forget(self, rules: set[str]) -> None:
        """Only these rules are there now: issues of others are over."""
        for issue in self._health.open():
            if issue.id in _ISSUES.values() and issue.entity not in rules:
                self._health.clear(issue.id, issue.entity)
        for known in (self._recent, self._left_out):
            for name in known.keys() - rules:
                del known[name]
        self._phases.clear()


def _is_seldom(times: dict[str, deque[float]], key: str, now: float) -> bool:
    """Whether this is not more than EVENTS_PER_MINUTE; those above are not counted."""
    recent = times.setdefault(key, deque(maxlen=EVENTS_PER_MINUTE))
    if len(recent) == EVENTS_PER_MINUTE and now - recent[0] < 60.0:
        return False
    recent.append(now)
    return True


def _nothing(_tx: Tx) -> None:
    """A commit is wanted; what is kept rides on it."""


def _told(done: Any) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.error("what the rules keep is not on disk: %s", error)
