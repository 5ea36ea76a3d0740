"""A node as far as alarms need one: a real book of alarms, its transitions, and what the audit log was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gateway.bus import Feed
from gateway.rulebook import AlarmSpec
from rules.alarms.book import AlarmBook
from rules.alarms.entry import entry_of
from rules.values import Instant
from tests.unit.rules.alarm_kit import Desk, spec

T = TypeVar("T")


class Audited:
    """Entries as they would be written."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        self.entries.append({"who": who, "via": via, "what": what, **details})


class Kept:
    """The store as far as an answer waits for it: `failing` is what the next commits raise."""

    def __init__(self) -> None:
        self.commits = 0
        self.failing: Exception | None = None

    async def commit(self) -> None:
        if self.failing is not None:
            raise self.failing
        self.commits += 1


class Bench:
    """`desk` moves its clock and conditions; it is the node and its `ruling` at once."""

    def __init__(self, *specs: AlarmSpec, rules: list[dict[str, Any]] | None = None) -> None:
        self.desk = Desk(*(specs or (spec(), spec("hot", "boiler"), spec("hot", "oven", latched=True))))
        self.audit = Audited()
        self.store: Any = Kept()
        self.ruling = self
        self.started = True
        self.known = rules or []
        self.seen: dict[str, list[dict[str, Any]]] = {}
        self.feeds: list[Feed[dict[str, Any]]] = []

    def order(self, what: Callable[[AlarmBook, Instant], T]) -> T:
        if not self.started:
            raise RuntimeError("the rules have not started yet")
        told = len(self.desk.told)
        found = what(self.desk.book, self.desk.now)
        self.tell(told)
        return found

    def tell(self, first: int) -> None:
        """Hand the transitions from number `first` on to whoever watches."""
        for transition in self.desk.told[first:]:
            for feed in self.feeds:
                feed.put(entry_of(transition))

    def rules(self) -> list[dict[str, Any]]:
        return self.known

    def alarms(self, *, every: bool = False) -> list[dict[str, Any]]:
        return self.order(lambda book, now: book.rows(now, every=every))

    def alarm_stats(self) -> dict[str, Any]:
        return self.order(lambda book, now: book.stats(now))

    def inputs(self, name: str) -> list[dict[str, Any]]:
        return self.seen[name]

    def details(self, name: str) -> dict[str, Any]:
        """This one's rules are words only."""
        raise KeyError(name)

    def virtuals(self) -> list[dict[str, Any]]:
        return []

    def watch_alarms(self) -> Feed[dict[str, Any]]:
        feed: Feed[dict[str, Any]] = Feed(3)
        self.feeds.append(feed)
        return feed

    def unwatch_alarms(self, feed: Feed[dict[str, Any]]) -> None:
        self.feeds.remove(feed)
