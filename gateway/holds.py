"""What a person sets by hand for a while: kept over restarts, ended by time. Forced tags and maintenance are holds.

The end is a wall-clock time, since people mean one; while the process runs it is counted on the boot clock, so that a
clock that is set does not lengthen it. After a restart it lasts at most what it was given in the first place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.clock import Clock, Timer
from gateway.driver import Memory

LONGEST_S = 7 * 86400.0


class Hold(Struct, frozen=True):
    """`until` and `since` in UTC ms; `seconds` as it was asked for; `value` is what a forced tag shows;
    `via` the way it was asked for.
    """

    key: str
    since: int
    until: int
    seconds: float
    who: str
    reason: str = ""
    value: Any = None
    via: str = "local"


class Holds:
    """The holds of one kind. `ended(hold)` is called when one's time is up."""

    def __init__(self, memory: Memory, clock: Clock, ended: Callable[[Hold], None]) -> None:
        self._memory = memory
        self._clock = clock
        self._ended = ended
        self._active: dict[str, Hold] = {}
        self._timers: dict[str, Timer] = {}

    def __bool__(self) -> bool:
        return bool(self._active)

    def __contains__(self, key: str) -> bool:
        return key in self._active

    def get(self, key: str) -> Hold | None:
        return self._active.get(key)

    def all(self) -> Mapping[str, Hold]:
        return self._active

    def set(self, key: str, seconds: float, who: str, reason: str = "", value: Any = None, via: str = "local") -> Hold:
        """Begin one, or give one that is on another end."""
        now = self._clock.wall_ms()
        hold = Hold(key, now, now + round(seconds * 1000), seconds, who, reason, value, via)
        self._memory.put(key, asdict(hold))
        self._arm(hold, seconds)
        return hold

    def release(self, key: str) -> Hold | None:
        """End one before its time; None when there is none. `ended` is not called."""
        hold = self._active.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._memory.delete(key)
        return hold

    def restore(self) -> list[Hold]:
        """Take up what was set before the restart. Those whose time is up are dropped."""
        for key, row in list(self._memory.items().items()):
            try:
                hold = Hold(**row)
            except TypeError:
                self._memory.delete(key)
                continue
            left = min((hold.until - self._clock.wall_ms()) / 1000.0, hold.seconds)
            if left <= 0:
                self._memory.delete(key)
            else:
                self._arm(hold, left)
        return list(self._active.values())

    def _arm(self, hold: Hold, seconds: float) -> None:
        old = self._timers.pop(hold.key, None)
        if old is not None:
            old.cancel()
        self._active[hold.key] = hold
        self._timers[hold.key] = self._clock.call_later(seconds, lambda: self._expire(hold.key))

    def _expire(self, key: str) -> None:
        hold = self.release(key)
        if hold is not None:
            self._ended(hold)
