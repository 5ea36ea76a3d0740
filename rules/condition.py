"""A condition with delays: how long it must hold until it counts, and how long it must be over. Pure.

    idle --on--> pending --on for on_ms--> active --off--> ending --off for off_ms--> idle

While an input is not good nothing begins and, with `hold`, nothing ends: a delay that is running stands still and
goes on where it was. With `reset` a running delay begins anew and an active condition ends.
"""

from __future__ import annotations

import enum
from typing import Any

from rules.values import Instant

ROW = 1


class Phase(enum.StrEnum):
    IDLE = "idle"
    PENDING = "pending"
    ACTIVE = "active"
    ENDING = "ending"


class Step(enum.Enum):
    """What a look at the condition brought."""

    NOTHING = 0
    STARTED = 1
    ENDED = 2


class Condition:
    """One condition at work. UTC ms: `t_cond` when what made it active (or may) became true, `t_active` when it did."""

    __slots__ = ("_edge", "_elapsed", "_hold", "_off_ms", "_on_ms", "_ready", "_since", "phase", "t_active", "t_cond")

    def __init__(self, on_ms: int, off_ms: int = 0, *, hold: bool = True, edge: bool = False) -> None:
        """`edge`: it becomes active only after it was seen false."""
        self._on_ms = on_ms
        self._off_ms = off_ms
        self._hold = hold
        self._edge = edge
        self._ready = not edge
        self._since: int | None = None
        self._elapsed = 0
        self.phase = Phase.IDLE
        self.t_cond = 0
        self.t_active = 0

    @property
    def is_active(self) -> bool:
        return self.phase in (Phase.ACTIVE, Phase.ENDING)

    @property
    def due(self) -> int | None:
        """When the delay that runs is over, ms on the boot clock."""
        if self._since is None:
            return None
        wanted = self._on_ms if self.phase is Phase.PENDING else self._off_ms
        return self._since + max(0, wanted - self._elapsed)

    @property
    def is_held(self) -> bool:
        """Whether a delay stands still, for want of a good input."""
        return self.phase in (Phase.PENDING, Phase.ENDING) and self._since is None

    def left(self, now: Instant) -> int:
        """Ms of the delay that are left; 0 where none runs."""
        if self.phase not in (Phase.PENDING, Phase.ENDING):
            return 0
        wanted = self._on_ms if self.phase is Phase.PENDING else self._off_ms
        passed = self._elapsed + (0 if self._since is None else now.at - self._since)
        return max(0, wanted - passed)

    def see(self, on: bool | None, off: bool | None, now: Instant) -> Step:
        """Look at it: `on` begins it, `off` ends it; None where an input is not good."""
        match self.phase:
            case Phase.IDLE:
                return self._idle(on, now)
            case Phase.PENDING:
                return self._pending(on, now)
            case Phase.ACTIVE:
                return self._active(on, off, now)
            case Phase.ENDING:
                return self._ending(on, off, now)

    def expire(self, now: Instant) -> Step:
        """The delay may be over."""
        due = self.due
        if due is None or due > now.at:
            return Step.NOTHING
        if self.phase is Phase.PENDING:
            return self._start(now)
        return self._end(ready=True)

    def _idle(self, on: bool | None, now: Instant) -> Step:
        if on is False:
            self._ready = True
        if not on or not self._ready:
            return Step.NOTHING
        self.t_cond = now.wall
        if self._on_ms <= 0:
            return self._start(now)
        self.phase, self._since, self._elapsed = Phase.PENDING, now.at, 0
        return Step.NOTHING

    def _pending(self, on: bool | None, now: Instant) -> Step:
        if on is False or (on is None and not self._hold):
            self._rest(Phase.IDLE)
        elif on is None:
            self._stand_still(now)
        else:
            self._go_on(now)
            return self.expire(now)
        return Step.NOTHING

    def _active(self, on: bool | None, off: bool | None, now: Instant) -> Step:
        if off is None and not self._hold:
            return self._end(ready=not self._edge)
        if not off:
            return Step.NOTHING
        if self._off_ms <= 0:
            return self._end(ready=on is not True)
        self.phase, self._since, self._elapsed = Phase.ENDING, now.at, 0
        return Step.NOTHING

    def _ending(self, on: bool | None, off: bool | None, now: Instant) -> Step:
        if off is None and not self._hold:
            return self._end(ready=not self._edge)
        if off is None:
            self._stand_still(now)
        elif not off:
            self._rest(Phase.ACTIVE)
        else:
            self._go_on(now)
            if self.due is not None and self.due <= now.at:
                return self._end(ready=on is not True)
        return Step.NOTHING

    def _stand_still(self, now: Instant) -> None:
        if self._since is not None:
            self._elapsed += now.at - self._since
            self._since = None

    def _go_on(self, now: Instant) -> None:
        if self._since is None:
            self._since = now.at

    def _rest(self, phase: Phase) -> None:
        self.phase, self._since, self._elapsed = phase, None, 0

    def _start(self, now: Instant) -> Step:
        self._rest(Phase.ACTIVE)
        self.t_active = now.wall
        return Step.STARTED

    def _end(self, *, ready: bool) -> Step:
        """`ready`: it may begin again at once; else it has to be seen false first."""
        self._rest(Phase.IDLE)
        self._ready = ready
        return Step.ENDED

    def take_over(self, old: Condition) -> None:
        """It replaces one of another form: what is active stays so, delays that run begin anew."""
        self.t_cond, self.t_active = old.t_cond, old.t_active
        if old.is_active:
            self._rest(Phase.ACTIVE)

    def row(self) -> dict[str, Any] | None:
        """What is kept over a restart; None when there is nothing to keep."""
        if self.phase is Phase.IDLE and self._ready:
            return None
        row: dict[str, Any] = {"v": ROW, "p": self.phase.value, "c": self.t_cond, "a": self.t_active}
        row |= {"e": self._elapsed, "s": self._since}
        return row if self._ready else {**row, "r": False}

    def restore(self, row: Any, alive: int, shift: int) -> bool:
        """Take up a row. `alive`: ms on the boot clock up to which somebody watched: later time does not count.
        `shift`: what is added to the row's times (another boot). False: unusable.
        """
        try:
            if row["v"] != ROW:
                return False
            phase, elapsed, since = Phase(row["p"]), int(row["e"]), row["s"]
            self.t_cond, self.t_active = int(row["c"]), int(row.get("a", row["c"]))
        except (KeyError, TypeError, ValueError):
            return False
        self.phase, self._since = phase, None
        self._elapsed = elapsed + (max(0, alive - int(since) - shift) if since is not None else 0)
        self._ready = bool(row.get("r", True))
        return True
