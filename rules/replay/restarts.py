"""Restarts of the gateway within a replay, done as the gateway does them: from the rows that were kept at each change,
and from what was known when the process before ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from gateway.model import Tag
from gateway.rulebook import RuleBook
from rules import keeping
from rules.engine import Engine
from rules.values import Do, Outlet, RuleEvent, Transition


class Restart(Struct, frozen=True):
    """A start of the gateway. `ts`: UTC ms; `boot`: of the machine; `alive`: UTC ms up to which the process before is
    known to have watched, 0: nobody knows.
    """

    ts: int
    boot: str
    alive: int = 0


class Upkeep(Struct, frozen=True):
    """People begin to work on a device, or end it. `ts`: UTC ms."""

    ts: int
    device: str
    on: bool


def upkeep_from(row: dict[str, Any]) -> Upkeep | None:
    """What an audit entry tells of work on a device; None where it tells of something else, or was refused."""
    what, device = row.get("what"), row.get("device")
    if what not in UPKEEP or not device or row.get("state", "ok") != "ok":
        return None
    return Upkeep(int(row["ts"]), str(device), what == UPKEEP[0])


UPKEEP = ("maintenance", "maintenance_end")
"""`what` of audit entries of work on devices: its begin and its end."""


class Rows:
    """An outlet around another one that remembers the rows which are to be kept."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._rows: dict[str, Any] = {}
        self._alarms: dict[str, Any] = {}

    def do(self, action: Do) -> None:
        self._outlet.do(action)

    def computed(self, tags: Sequence[Tag], values: Sequence[Any], quality: Sequence[int], ts: int, at: int) -> None:
        self._outlet.computed(tags, values, quality, ts, at)

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        _keep(self._alarms, transition.spec.key, row)
        self._outlet.alarm(transition, row)

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        _keep(self._alarms, key, row)
        self._outlet.keep_alarm(key, row)

    def rule(self, event: RuleEvent) -> None:
        self._outlet.rule(event)

    def keep(self, key: str, row: Any) -> None:
        _keep(self._rows, key, row)
        self._outlet.keep(key, row)

    def kept(self, alive: int, maintained: frozenset[str]) -> keeping.Kept:
        """For going live again."""
        return keeping.Kept(dict(self._rows), dict(self._alarms), alive, maintained=maintained)


def _keep(rows: dict[str, Any], key: str, row: Any) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row


def begun_again(
    old: Engine, book: RuleBook, tags: Sequence[Tag], rows: Rows, at: int, maintained: frozenset[str]
) -> Engine:
    """The engine of the next process, which starts at `at`; `old` is where its process ended."""
    alive, offset = old.now.at, old.now.wall - old.now.at
    engine = Engine(book, tags, rows, at=alive, offset=offset, budget=False, silent=True)
    keeping.restore(engine, keeping.snapshot(old), 0)
    keeping.restore_windows(engine, keeping.windows(old), 0)
    keeping.go_live(engine, rows.kept(alive, maintained), at, offset)
    return engine
