"""The rules engine in the running gateway: it gets readings, time, issues and orders, and is brought over restarts.

One engine for the whole life of the process; a new configuration is a reload of it. Everything here runs on the event
loop and at once: between a reading and what a rule does about it there is no queue and no task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.bus import Feed
from gateway.clock import Clock, Timer
from gateway.health import Health, Issue
from gateway.latest import LatestValues
from gateway.maintenance import ISSUE as MAINTENANCE
from gateway.model import Batch, Block, Tag
from gateway.rulebook import RuleBook
from gateway.runtime import rulekeeping, rulelook, ruleviews
from gateway.runtime.effects import Effects
from gateway.store import Store
from gateway.tags import TagTable
from rules import keeping
from rules.alarms.book import AlarmBook
from rules.alarms.machine import ACTIVE, UNACK_ACTIVE
from rules.alarms.refusal import AlarmRefused
from rules.engine import Engine
from rules.values import Instant

if TYPE_CHECKING:
    from gateway.runtime.windowfilling import Filling
    from rules.replay.tape import Tape

T = TypeVar("T")

SWEEP_S = 60.0
"""So long after the start an issue may be found again; an alarm of one that was not is over."""
_PAST_S = 0.0002
"""A deadline is woken up for only when the clock's milliseconds have surely reached it, whatever the rounding."""
_FAILED = "rules_failed"

_log = logging.getLogger("fieldpost.rules")


class Ruling:
    """The engine at work. Until `start` it takes nothing and does nothing."""

    def __init__(
        self,
        *,
        tags: TagTable,
        latest: LatestValues,
        store: Store,
        clock: Clock,
        health: Health,
        effects: Effects,
    ) -> None:
        self._tags = tags
        self._latest = latest
        self._store = store
        self._clock = clock
        self._health = health
        self._effects = effects
        self._timer: Timer | None = None
        self._armed: int | None = None
        self._busy = False
        self._later: list[Callable[[], object]] = []
        self._version = -1
        self._book = RuleBook()
        self._keeper = rulekeeping.Keeper(store, clock)
        self._tapes: list[Tape] = []
        self._filling: Filling | None = None
        self.engine: Engine | None = None
        self.errors = 0

    # --- life

    async def start(self, book: RuleBook, maintained: Collection[str] = ()) -> None:
        """Make the engine, go silently through what the journal has since the last snapshot, and go live.
        `maintained`: devices that people work on. Never raises: a gateway without rules still reads and delivers.
        """
        self._book = book
        self._version = self._tags.version
        try:
            await self._start(book, maintained)
        except Exception as error:
            self.engine = None
            _log.exception("the rules cannot start; everything else runs")
            text = f"no rule and no alarm runs: {type(error).__name__}: {error}"
            self._health.set(_FAILED, "gateway", text, "apply another configuration, or restart the gateway")

    async def _start(self, book: RuleBook, maintained: Collection[str]) -> None:
        engine = Engine(book, self._tags.tags(), self._effects, at=self._at(), offset=self._store.offset, silent=True)
        await self._keeper.bring_back(engine)
        kept = self._keeper.kept(maintained, self._store.offset)
        keeping.go_live(engine, kept, self._at(), self._store.offset)
        self.engine = engine
        self._effects.note(rulekeeping.BOOT, self._keeper.boot_row(self._at(), self._store.offset))
        if self._keeper.is_new:  # from here on the journal has the rest, however soon the end comes
            self._keeper.checkpoint(engine)
        self._arm()
        for issue in self._health.open():
            self.issue(issue, is_set=True)
        self._clock.call_later(SWEEP_S, self._sweep)

    async def switch(self, book: RuleBook) -> None:
        """Another configuration is switched in: reload, then fill windows that are new from the journal. Raises
        whatever goes wrong.
        """
        if self.engine is None:
            self._book, self._version = book, self._tags.version
            self._health.clear(_FAILED, "gateway")
            await self._start(book, [issue.entity for issue in self._health.open() if issue.id == MAINTENANCE])
            return
        self.reload(book)
        engine = self.engine
        new = {spec: window for spec, window in engine.graph.binder.made.items() if spec.size_ms}
        engine.graph.binder.made.clear()
        if new:
            from gateway.runtime.windowfilling import Filling  # windows are imported where there are any

            self._filling = filling = Filling(engine, new)
            try:
                await filling.run(self._store)
            finally:
                self._filling = None
            self._run(engine.look_again)

    def reload(self, book: RuleBook) -> None:
        """Another rule book, or other tags. Nothing happens when both are the same. Raises whatever goes wrong: then
        the configuration before is to be switched in again.
        """
        engine = self.engine
        if engine is None or (book == self._book and self._tags.version == self._version):
            return
        self._run(lambda: self._reload(engine, book), guarded=False)

    def _reload(self, engine: Engine, book: RuleBook) -> None:
        for tape in self._tapes:
            tape.end("another configuration")
        keeping.reload(engine, book, self._tags.tags(), self._at(), self._store.offset)
        self._book, self._version = book, self._tags.version
        self._effects.forget({rule.id for rule in book.rules} | {spec.key for spec in engine.orders.specs()})
        self._seed(engine)

    def _seed(self, engine: Engine) -> None:
        """Tags that are watched from now on have a value already."""
        for tag in self._tags.tags():
            if tag.slot not in engine.graph.watched or not engine.is_unheard(tag.slot):
                continue
            current = self._latest.current(tag)
            if current.ts is not None and current.age_ms is not None:
                block = Block(tag.device, [tag])
                batch = Batch(block, [current.value], current.ts, self._clock.mono(), quality=[int(current.quality)])
                engine.on_batch(batch, self._at(), self._store.offset)

    def close(self) -> None:
        """Wake up no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._armed = None
        self.engine = None

    def checkpoint(self, *, last: bool = False) -> None:
        """Keep what the engine remembers; `last`: all of it, the gateway stops."""
        if last:
            self._effects.flush()
        if self.engine is not None:
            self._effects.note(rulekeeping.BOOT, self._keeper.boot_row(self._at(), self._store.offset))
            self._keeper.checkpoint(self.engine, windows=last)

    # --- in

    def on_batch(self, batch: Batch) -> None:
        """A batch is on the bus and in the journal's buffer. Never raises."""
        engine = self.engine
        if engine is None or self._effects.publishing or not (self._tapes or engine.watches(batch.block)):
            return
        if self._busy:  # a driver that publishes from inside a write that the engine began
            self._later.append(lambda: self.on_batch(batch))
            return
        self._run(lambda: self._take(engine, batch, int(batch.mono * 1000), self._store.offset))

    def _take(self, engine: Engine, batch: Batch, at: int, offset: int) -> None:
        for tape in self._tapes:
            tape.batch(batch, at, offset)
        if self._filling is not None:
            self._filling.batch(batch, at, offset)
        engine.on_batch(batch, at, offset)

    def polled(self, device: str, mono: float) -> None:
        """A good poll came whose readings were all held back."""
        if self.engine is not None:
            at = int(mono * 1000)
            for tape in self._tapes:
                tape.polled(device, at)
            self.engine.polled(device, at)

    def issue(self, issue: Issue, *, is_set: bool) -> None:
        """An issue of the gateway was raised or is over. Maintenance is one, and suppresses its device's alarms."""
        engine = self.engine
        if engine is not None:
            self._run(lambda: self._take_issue(engine, issue, self._at(), self._store.offset, is_set=is_set))

    def _take_issue(self, engine: Engine, issue: Issue, at: int, offset: int, *, is_set: bool) -> None:
        for tape in self._tapes:
            if issue.id == MAINTENANCE:
                tape.maintenance(issue.entity, at, offset, on=is_set)
            tape.issue(issue.id, issue.entity, issue.text, at, offset, is_set=is_set)
        if issue.id == MAINTENANCE:
            engine.orders.maintenance(issue.entity, at, offset, on=is_set)
        engine.orders.issue(issue.id, issue.entity, issue.text, at, offset, is_set=is_set)

    def order(self, what: Callable[[AlarmBook, Instant], T]) -> T:
        """Do something to the alarms. Raises AlarmRefused, also when the rules do not run."""
        engine = self.engine
        if engine is None:
            raise AlarmRefused("the rules of this gateway do not run", 503)
        if self._busy:
            raise RuntimeError("the rules are in the middle of an event")
        found: list[T] = []
        self._run(lambda: found.append(engine.orders.order(what, self._at(), self._store.offset)), guarded=False)
        return found[0]

    def interlock(self, tag: Tag) -> str:
        """Why a tag may not be written now; empty when it may."""
        if not tag.spec.write.interlock:
            return ""
        return "the rules have not started yet" if self.engine is None else self.engine.interlock(tag, self._at())

    # --- recording

    def record(self, tape: Tape) -> Engine:
        """Tell `tape` from now on what the engine gets and does. Raises RuntimeError before the start."""
        from rules.replay.tape import Heard

        if self.engine is None:
            raise RuntimeError("the rules have not started yet")
        self._tapes.append(tape)
        self.engine.outlet = Heard(self._effects, self._tapes)
        return self.engine

    def unrecord(self, tape: Tape) -> None:
        """No more."""
        self._tapes.remove(tape)
        if not self._tapes and self.engine is not None:
            self.engine.outlet = self._effects

    # --- views

    def alarms(self, *, every: bool = False) -> list[dict[str, Any]]:
        """The alarms that are not normal (`every`: all), the most urgent first. An issue's says what the issue does."""
        if self.engine is None:
            return []
        texts = {f"{issue.id}@{issue.entity}": issue.text for issue in self._health.open()}
        rows = self.order(lambda book, now: book.rows(now, every=every))
        return [{**row, "text": texts.get(row["key"], row["text"])} for row in rows]

    def alarm_stats(self) -> dict[str, Any]:
        """Figures of alarms per time, and which stand."""
        return self.order(lambda book, now: book.stats(now))

    def waiting_for_ack(self) -> list[str]:
        """Keys of the alarms that are active and that nobody has acknowledged."""
        return [row["key"] for row in self.alarms() if row["state"] == UNACK_ACTIVE]

    def blocking_updates(self) -> list[str]:
        """Keys of the alarms that are active, not put away, and do not want an update meanwhile."""
        return [row["key"] for row in self.alarms() if row["blocks_updates"] and row["state"] in ACTIVE]

    def rules(self) -> list[dict[str, Any]]:
        """Each rule with its phase."""
        return [] if self.engine is None else ruleviews.rules(self.engine)

    def inputs(self, name: str) -> list[dict[str, Any]]:
        """What a rule or alarm looks at now. Raises KeyError."""
        return [] if self.engine is None else ruleviews.inputs(self.engine, name)

    def details(self, name: str) -> dict[str, Any]:
        """What a rule or alarm consists of, and how that is now (gateway.runtime.rulelook). Raises KeyError."""
        if self.engine is None:
            return {}
        at = self._at()
        return rulelook.details(self.engine, name, Instant(at, at + self._store.offset))

    def virtuals(self) -> list[dict[str, Any]]:
        """The tags without an address."""
        return [] if self.engine is None else ruleviews.virtuals(self.engine)

    def watch_alarms(self) -> Feed[dict[str, Any]]:
        """Transitions as they come, for a slow reader. End it with `unwatch_alarms`."""
        return self._effects.watch_alarms()

    def unwatch_alarms(self, feed: Feed[dict[str, Any]]) -> None:
        self._effects.unwatch_alarms(feed)

    # --- inside

    def _at(self) -> int:
        return int(self._clock.mono() * 1000)

    def _run(self, work: Callable[[], object], *, guarded: bool = True) -> None:
        """Let the engine work, one event after the other: what its effects bring about waits for its end."""
        if self._busy:
            self._later.append(work)
            return
        self._busy = True
        try:
            self._guarded(work) if guarded else work()
            while self._later:
                self._guarded(self._later.pop(0))
        finally:
            self._busy = False
            self._arm()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # a bug here must not stop the driver whose reading brought it out
            self.errors += 1
            if self.errors == 1:
                _log.exception("the rules engine failed on an event; further failures are counted only")
            text = f"the rules engine failed on an event: {type(error).__name__}: {error}"
            self._health.set(_FAILED, "gateway", text, "restart the gateway; send its log to the maintainers")

    def _arm(self) -> None:
        """One timer for the engine's next deadline."""
        due = self.engine.due if self.engine is not None else None
        if due == self._armed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = due
        if due is None:
            self._timer = None
            return
        wait_s = due / 1000.0 - self._clock.mono() + _PAST_S
        self._timer = self._clock.call_later(max(wait_s, _PAST_S), self._expire)

    def _expire(self) -> None:
        self._timer, self._armed = None, None
        engine = self.engine
        if engine is not None:
            self._run(lambda: self._wake(engine, self._at(), self._store.offset))

    def _wake(self, engine: Engine, at: int, offset: int) -> None:
        for tape in self._tapes:
            tape.time(at, offset)
        engine.advance(at, offset)

    def _sweep(self) -> None:
        engine = self.engine
        if engine is not None:
            known = [(issue.id, issue.entity) for issue in self._health.open()]
            self._run(lambda: engine.orders.sweep(known, self._at(), self._store.offset))
