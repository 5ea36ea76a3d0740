"""Why an alarm became active or a rule ran: from what happened back to what it looked at, and on to what was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from gateway.runtime.alarmdesk import Orders
from gateway.runtime.lookback import Lookback, thinned
from gateway.runtime.ops import OpRefused
from gateway.store import Store
from rules.alarms.book import AlarmBook
from rules.alarms.catalogue import spec_of
from rules.alarms.machine import UNACK_ACTIVE
from rules.alarms.refusal import AlarmRefused
from rules.alarms.views import row_of
from rules.values import Instant

MOST_RUNS = 20
MOST_ENTRIES = 200
"""Of one kind, that are told of one run."""
SCREENFUL = 32
"""Readings that are shown of one run, of all tags."""
_FEWEST = 6
_BEFORE_MS = 60_000
_LONGEST_MS = 600_000
"""Of a condition that took longer to become active only its beginning and its end are looked at."""
_SLACK_MS = 100
"""So far times of one moment lie apart: the engine reckons on the boot clock, others read the wall clock."""
_ANNOUNCES = frozenset(("active", "unshelve", "unsuppress", "in_service"))
_STARTS = frozenset(("started", "ran"))

Row = dict[str, Any]


class Rules(Orders, Protocol):
    """The rules at work (gateway.runtime.ruling.Ruling)."""

    def rules(self) -> list[Row]: ...

    def inputs(self, name: str) -> list[Row]:
        """What a rule or alarm looks at now. Raises KeyError."""
        ...

    def details(self, name: str) -> Row:
        """Its parts, and how they are now (gateway.runtime.rulelook). Raises KeyError."""
        ...


class HasRules(Protocol):
    """What is needed of a node."""

    @property
    def ruling(self) -> Rules: ...

    @property
    def store(self) -> Store: ...


class Subject(Struct, frozen=True):
    """What is asked about: a rule, an alarm, or both. `alarm` and `rule` as they are listed; `on` and `off` are the
    conditions of an alarm that has its own.
    """

    name: str
    rule: Row | None
    alarm: Row | None
    on: str = ""
    off: str = ""
    by_alarm: bool = False

    @property
    def rule_id(self) -> str:
        return str(self.rule["id"]) if self.rule else ""

    @property
    def looks_at(self) -> str:
        """Under which name the rules know what it looks at: the rule, else the alarm."""
        return self.rule_id or str(self.alarm["key"] if self.alarm else "")

    def is_transition(self, row: Row) -> bool:
        """Whether an entry of stream `alarm` is about it."""
        alarm = self.alarm
        if alarm is None or row.get("id") != alarm["id"]:
            return False
        return bool((row.get("entity") or row.get("device", "")) == alarm["entity"])

    def is_event(self, row: Row) -> bool:
        """Whether an entry of stream `event` tells of the rule's phases."""
        return self.rule is not None and row.get("kind") == "rule" and row.get("rule") == self.rule["id"]

    def is_action(self, row: Row) -> bool:
        """Whether an entry of stream `event` tells what the rule did."""
        return self.rule is not None and row.get("kind") == "audit" and row.get("who") == f"rule:{self.rule['id']}"

    def begins(self, row: Row) -> bool:
        """Whether a run begins with this entry."""
        if self.by_alarm:
            return row.get("state") == UNACK_ACTIVE and row.get("event") in _ANNOUNCES
        return row.get("what") in _STARTS


class Run(Struct):
    """One activation. `begin` is the entry it began with, `inputs` what was looked at then; `readings` of these tags
    before, `left_out` of them are not shown. `transitions`, `events`, `actions`: entries of the journal until the next.
    """

    begin: Row
    inputs: list[Row] = []
    readings: list[Row] = []
    left_out: int = 0
    transitions: list[Row] = []
    events: list[Row] = []
    actions: list[Row] = []


class Hindsight:
    """Answers over one running node. Raises AlarmRefused 404 for a name that nothing has, 400 for one of several."""

    def __init__(self, node: HasRules) -> None:
        self._node = node

    async def why(self, name: str, last: int) -> dict[str, Any]:
        """The last activations with the readings that led to them, newest last."""
        return await self._tell(name, last, readings=True)

    async def show(self, name: str, last: int) -> dict[str, Any]:
        """What there is under a name, what it looks at now, and its last runs."""
        return await self._tell(name, last, readings=False)

    async def _tell(self, name: str, last: int, *, readings: bool) -> dict[str, Any]:
        subject = find_subject(self._node.ruling, name)
        back = Lookback(self._node.store)
        await back.settle()
        runs = [Run(begin) for begin in await _begins(back, subject, min(last, MOST_RUNS))]
        await _fill(back, subject, runs)
        now = self._inputs(subject)
        for run in runs:
            run.inputs = list(run.begin.get("inputs", ()))
            if readings:
                await _look_around(back, run, [row["tag"] for row in run.inputs or now])
        return {
            "name": subject.name,
            "rule": subject.rule,
            "alarm": subject.alarm,
            "on": subject.on,
            "off": subject.off,
            "details": self._details(subject),
            "inputs": now,
            "runs": [asdict(run) for run in runs],
        }

    def _inputs(self, subject: Subject) -> list[Row]:
        """What it looks at now; an alarm that follows an issue looks at no tag."""
        try:
            return self._node.ruling.inputs(subject.looks_at)
        except KeyError:
            return []

    def _details(self, subject: Subject) -> Row:
        try:
            return self._node.ruling.details(subject.looks_at)
        except KeyError:
            return {}


def find_subject(ruling: Rules, name: str) -> Subject:
    """The rule or alarm that a person means: a rule's id, an alarm as AlarmBook.resolve takes it, or the name of a
    rule that only one device has.
    """
    rules = {row["id"]: row for row in ruling.rules()}
    try:
        return ruling.order(lambda book, now: _subject(book, now, rules, name))
    except RuntimeError as error:
        raise OpRefused(str(error), code=503) from error


def _subject(book: AlarmBook, now: Instant, rules: dict[str, Row], name: str) -> Subject:
    rule = _rule_named(rules, name)
    if rule is not None:
        key = next((spec.key for spec in book.specs if spec.rule == rule["id"]), "")
        return Subject(name, rule, _alarm_row(book, now, key))
    try:
        key = book.resolve(name)
    except AlarmRefused as refused:
        if refused.code != 404:
            raise
        issue, _, entity = name.partition("@")
        quiet = spec_of(issue, entity)
        if quiet is None:
            raise AlarmRefused(f"there is no rule and no alarm {name}", 404) from refused
        if not entity:
            raise AlarmRefused(f"{name} is an alarm of the gateway's own: say of what, {name}@ENTITY", 400) from refused
        return Subject(name, None, row_of(quiet, now), by_alarm=True)
    spec = book.spec(key)
    return Subject(name, rules.get(spec.rule), _alarm_row(book, now, key), spec.on, spec.off, by_alarm=True)


def _alarm_row(book: AlarmBook, now: Instant, key: str) -> Row | None:
    return next((row for row in book.rows(now, every=True) if row["key"] == key), None)


def _rule_named(rules: dict[str, Row], name: str) -> Row | None:
    if name in rules:
        return rules[name]
    found = sorted(id for id in rules if id.partition("@")[0] == name)
    if len(found) > 1:
        raise AlarmRefused(f"{name} is the name of several rules: {', '.join(found[:5])}", 400)
    return rules[found[0]] if found else None


async def _begins(back: Lookback, subject: Subject, last: int) -> list[Row]:
    """The entries with which the last runs began, oldest first."""
    found: list[Row] = []
    is_ours = subject.is_transition if subject.by_alarm else subject.is_event
    async for row in back.newest("alarm" if subject.by_alarm else "event"):
        if is_ours(row) and subject.begins(row):
            found.append(row)
            if len(found) >= last:
                break
    return found[::-1]


async def _fill(back: Lookback, subject: Subject, runs: Sequence[Run]) -> None:
    """Give every run the entries between its begin and the next one's."""
    if not runs:
        return
    since = runs[0].begin["ts"] - _SLACK_MS
    if subject.alarm is not None:
        async for row in back.newest("alarm", since):
            _put(runs, row, subject.is_transition, "transitions")
    if subject.rule is not None:
        async for row in back.newest("event", since):
            _put(runs, row, subject.is_event, "events")
            _put(runs, row, subject.is_action, "actions")
    for run in runs:
        for kind in ("transitions", "events", "actions"):
            getattr(run, kind).reverse()


def _put(runs: Sequence[Run], row: Row, is_ours: Callable[[Row], bool], kind: str) -> None:
    """Rows come newest first; of one run the first are kept when there are too many."""
    if not is_ours(row):
        return
    run = next((run for run in reversed(runs) if run.begin["ts"] - _SLACK_MS <= row["ts"]), None)
    if run is not None:
        rows = getattr(run, kind)
        rows.append(row)
        if len(rows) > MOST_ENTRIES:
            del rows[0]


async def _look_around(back: Lookback, run: Run, tags: Sequence[str]) -> None:
    """The readings from a minute before the condition began until the activation."""
    active = run.begin.get("t_active") or run.begin["ts"]
    began = run.begin.get("t_cond") or active
    until = active + _SLACK_MS
    spans = [(began - _BEFORE_MS, until)]
    if until - began > _LONGEST_MS:
        spans = [(began - _BEFORE_MS, began + _BEFORE_MS), (active - _BEFORE_MS, until)]
    names = list(dict.fromkeys(tags))
    found = await back.readings(names, spans)
    shown = thinned(found, max(_FEWEST, SCREENFUL // max(1, len(names))), began)
    run.readings = [asdict(reading) for reading in shown]
    run.left_out = len(found) - len(shown)
