"""How many messages a notification may send in a time. What was sent is kept over restarts, so that one gives no new
allowance; while messages are held back an issue says so.
"""

from __future__ import annotations

import logging
from collections import deque

from gateway.clock import Clock, Timer
from gateway.driver import Memory
from gateway.errors import StoreError
from gateway.health import Health

ISSUE = "notify_limited"
PREFIX = "limit/"
_PARTS = 60
"""Where more messages than this are counted, those within such a part of the time are counted as one: what is kept
stays small.
"""
_REPAIR = "see why so many alarms come with `fieldpost alarms --stats`, or raise `limit`"
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

_log = logging.getLogger("fieldpost.notifying")

Limit = tuple[int, float]
"""(messages, per seconds)"""


class Allowance:
    """What one notification may still send."""

    def __init__(self, name: str, memory: Memory, clock: Clock, health: Health) -> None:
        self._name = name
        self._memory = memory
        self._clock = clock
        self._health = health
        self._sent: deque[tuple[float, int]] = deque()  # (when on the boot clock, how many)
        self._timer: Timer | None = None

    @property
    def row(self) -> str:
        """The key of what is kept."""
        return f"{PREFIX}{self._name}"

    def take(self, limit: Limit | None, *, always: bool) -> bool:
        """Count a message. False when there is no room for it; `always`: it goes all the same, and is counted."""
        if limit is None:
            if self._sent:
                self.forget()
            return True
        if self._has_room(limit):
            self._health.clear(ISSUE, self._name)
        elif not always:
            return False
        now = self._clock.mono()
        if len(self._sent) >= _PARTS and now - self._sent[-1][0] < limit[1] / _PARTS:
            at, count = self._sent[-1]
            self._sent[-1] = (at, count + 1)
        else:
            self._sent.append((now, 1))
        self._keep()
        return True

    def tell(self, limit: Limit) -> None:
        """A message was held back: say so until there is room again."""
        text = f"notification {self._name}: messages are held back by its {said(limit)}"
        self._health.set(ISSUE, self._name, text, _REPAIR)
        if self._timer is None:
            self._wait(limit)

    def restore(self, limit: Limit | None) -> None:
        """What was sent before the start."""
        kept = self._memory.get(self.row)
        if kept is None or limit is None:
            self.forget()
            return
        mono, wall = self._clock.mono(), self._clock.wall_ms()
        try:
            sent = [(max(0.0, (wall - int(when)) / 1000.0), int(count)) for when, count in kept]
        except (TypeError, ValueError):
            self.forget()
            return
        self._sent.extend(sorted((mono - min(age_s, limit[1]), count) for age_s, count in sent))

    def forget(self) -> None:
        """There is no limit, or no notification any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sent.clear()
        self._memory.delete(self.row)
        self._health.clear(ISSUE, self._name)

    def _has_room(self, limit: Limit) -> bool:
        count, per_s = limit
        now = self._clock.mono()
        while self._sent and now - self._sent[0][0] >= per_s:
            self._sent.popleft()
        return sum(number for _, number in self._sent) < count

    def _wait(self, limit: Limit) -> None:
        left_s = self._sent[0][0] + limit[1] - self._clock.mono() if self._sent else 0.0
        self._timer = self._clock.call_later(max(left_s, 0.0), lambda: self._look(limit))

    def _look(self, limit: Limit) -> None:
        self._timer = None
        if self._has_room(limit):
            self._health.clear(ISSUE, self._name)
        else:
            self._wait(limit)

    def _keep(self) -> None:
        mono, wall = self._clock.mono(), self._clock.wall_ms()
        rows = [[wall - round((mono - at) * 1000), count] for at, count in self._sent]
        try:
            self._memory.put(self.row, rows)
        except StoreError as error:
            _log.warning("notification %s: its limit begins anew after a restart: %s", self._name, error)


def said(limit: Limit) -> str:
    """`limit of 20 an hour`, for people."""
    count, per_s = limit
    for size, unit in _UNITS:
        if per_s >= size and per_s % size == 0:
            times = round(per_s / size)
            article = "an" if unit == "hour" else "a"
            return f"limit of {count} {article} {unit}" if times == 1 else f"limit of {count} in {times} {unit}s"
    return f"limit of {count} in {per_s:g} s"
