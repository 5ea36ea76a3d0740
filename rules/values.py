"""What the parts of the engine hand to each other and to the world outside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from gateway.model import Quality, Tag, Value
from gateway.rulebook import AlarmSpec, Step

GOOD_BELOW = int(Quality.UNCERTAIN)
"""Quality codes under it are good."""


class Instant(NamedTuple):
    """A moment: milliseconds on the boot clock, which orders and measures, and UTC milliseconds, for people."""

    at: int
    wall: int


class NoValue(Exception):
    """An expression has no value now: an input is not good, or a window is empty. Not a fault of the rule."""


class Input(Struct, frozen=True):
    """A reading that a rule or an alarm looked at. `ts` in UTC ms, `quality` as on the wire."""

    tag: str
    value: Value
    quality: str
    ts: int


class Do(Struct, frozen=True):
    """A step that is due. Values and texts are resolved: `values` for write, desired and set, `text` for the others.

    `edge`: start, end or every. `seq`: counts the engine's actions, for comparing runs. `dry_run`: told, not done.
    """

    seq: int
    rule: str
    edge: str
    step: Step
    when: Instant
    values: tuple[tuple[str, Value], ...] = ()
    text: str = ""
    dry_run: bool = False


class RuleEvent(Struct, frozen=True):
    """A rule changed its phase: `what` is started, ended, ran (by the clock), failed (stopped for good until it is
    changed), cut (a chain of rules was cut), skipped (an action could not be resolved). `inputs`: what it looked at.
    """

    rule: str
    what: str
    when: Instant
    t_cond: int = 0
    inputs: tuple[Input, ...] = ()
    text: str = ""


class Transition(Struct, frozen=True):
    """An alarm changed its state (ISA-18.2). Times in UTC ms; 0 where there is none.

    `event`: what happened: active, clear, ack, reset, shelve, unshelve, suppress, unsuppress, out_of_service,
    in_service, bad, good. `n`: counts the alarm's transitions. `first_out`: the first of its group. `inputs`: what the
    condition looked at when it became active.
    """

    spec: AlarmSpec
    event: str
    old: str
    state: str
    when: Instant
    t_cond: int = 0
    t_active: int = 0
    value: Value = None
    quality: str = ""
    text: str = ""
    who: str = ""
    comment: str = ""
    until: int = 0
    first_out: bool = False
    n: int = 0
    chattering: bool = False
    inputs: tuple[Input, ...] = ()


class Outlet(Protocol):
    """Where the engine's effects go. Called synchronously, in order; must not raise, must not call back into the engine
    except where it says so.
    """

    def do(self, action: Do) -> None:
        """An action is due."""
        ...

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        """Virtual tags of one device have new values: for bus and journal. The engine knows them already."""
        ...

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        """An alarm changed; `row` is its persistent state (None: nothing to keep, it is normal again)."""
        ...

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        """What is underneath an alarm has changed, and nobody is told of it: keep its row (None: forget it)."""
        ...

    def rule(self, event: RuleEvent) -> None: ...

    def keep(self, key: str, row: Any) -> None:
        """Keep a small row over restarts, with the next commit (None: forget it)."""
        ...
