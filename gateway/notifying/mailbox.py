"""The messages of one notification, in order: kept until the other side has them, bounded in number, rate and age."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from msgspec import Struct

from gateway.backoff import Backoff
from gateway.clock import Clock
from gateway.driver import Memory
from gateway.errors import StoreError
from gateway.health import Health
from gateway.notifying.limiting import PREFIX as LIMITS
from gateway.notifying.limiting import Allowance, said
from gateway.notifying.ports import NotDelivered
from gateway.notifying.wording import Fields, with_count
from gateway.rulebook import NotifySpec

WAITING = 100
"""Messages that may wait per notification. Overflow: the newest is left out and counted."""
OLDEST_S = 3600.0
"""A message that could not be delivered for so long is given up: whoever would get it looks at the alarms instead."""
ISSUE = "notify_failed"
_OTHER_ROWS = ("held", LIMITS.rstrip("/"))
_RETRY_FIRST_S, _RETRY_CAP_S = 2.0, 120.0
_REPAIR = "mend what the text names; the issue ends with the next message that is delivered"

_log = logging.getLogger("fieldpost.notifying")

Deliver = Callable[[NotifySpec, Fields, str], Awaitable[None]]


class _Waiting(Struct, frozen=True):
    """A message. `repetition`: which telling of how many; `since` in UTC ms, `at` on the boot clock."""

    row: str
    fields: Fields
    repetition: tuple[int, int] | None
    since: int
    at: float


class Mailbox:
    """One notification. `spec` may be replaced while it runs."""

    def __init__(self, spec: NotifySpec, deliver: Deliver, memory: Memory, clock: Clock, health: Health) -> None:
        self.spec = spec
        self._deliver = deliver
        self._memory = memory
        self._clock = clock
        self._health = health
        self._queue: deque[_Waiting] = deque()
        self._allowance = Allowance(spec.name, memory, clock, health)
        self._held = 0
        self._number = 0
        self._bell = asyncio.Event()

    @staticmethod
    def prefix(name: str) -> str:
        """What the rows of a notification's messages begin with."""
        return f"queue/{name}/"

    @staticmethod
    def is_row(row: str, names: Collection[str]) -> bool:
        """Whether a row is kept for one of these notifications."""
        kind, _, rest = row.partition("/")
        return (kind == "queue" and rest.partition("/")[0] in names) or (kind in _OTHER_ROWS and rest in names)

    def put(self, fields: Fields, repetition: tuple[int, int] | None = None, *, pressing: bool = False) -> str:
        """Take a message. Why it is held back: too many wait, or its limit is reached, which does not hold for a
        `pressing` one; empty when it is taken.
        """
        if len(self._queue) >= WAITING:
            self._tell(f"{WAITING} messages wait; further ones are left out")
            self._hold(1)
            return f"held back, as {WAITING} messages wait"
        limit = self.spec.limit
        if not self._allowance.take(limit, always=pressing) and limit is not None:
            self._hold(1)
            self._allowance.tell(limit)
            return f"held back by its {said(limit)}"
        self._number += 1
        wall = self._clock.wall_ms()
        row = f"{self.prefix(self.spec.name)}{wall:014}.{self._number % 10_000:04}"
        message = _Waiting(row, fields, repetition, wall, self._clock.mono())
        self._keep(row, {"fields": fields, "repetition": repetition, "since": wall})
        self._queue.append(message)
        self._bell.set()
        return ""

    def restore(self) -> None:
        """Take up what was not delivered before the start, and how much was sent."""
        self._allowance.restore(self.spec.limit)
        held = self._memory.get(self._held_row)
        self._held = held if isinstance(held, int) else 0
        prefix = self.prefix(self.spec.name)
        for row, kept in sorted(self._memory.items().items()):
            if not row.startswith(prefix):
                continue
            try:
                repetition = kept["repetition"]
                age_s = max(0.0, (self._clock.wall_ms() - kept["since"]) / 1000.0)
                fields = dict(kept["fields"])
                pair = None if repetition is None else (int(repetition[0]), int(repetition[1]))
            except (TypeError, KeyError, ValueError, IndexError):
                self._memory.delete(row)
                continue
            self._queue.append(_Waiting(row, fields, pair, kept["since"], self._clock.mono() - age_s))
        self._bell.set()

    def forget(self) -> None:
        """The notification is not there any more, nor what waits for it."""
        while self._queue:
            self._memory.delete(self._queue.popleft().row)
        self._hold(-self._held)
        self._allowance.forget()
        self._health.clear(ISSUE, self.spec.name)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._bell.clear()
            while self._queue:
                message = self._queue[0]
                await self._bring(message)
                if self._queue and self._queue[0] is message:
                    self._queue.popleft()
                self._memory.delete(message.row)
            await self._bell.wait()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def _bring(self, message: _Waiting) -> None:
        """Try until it is delivered or given up."""
        pause = Backoff(_RETRY_FIRST_S, _RETRY_CAP_S)
        while self._clock.mono() - message.at < OLDEST_S:
            held = self._held
            try:
                await self._deliver(self.spec, with_count(message.fields, held, message.repetition), self._key(message))
            except NotDelivered as error:
                self._tell(str(error))
                if not error.again:
                    break
            except Exception as error:
                _log.exception("notification %s failed", self.spec.name)
                self._tell(f"{type(error).__name__} (see the log)")
                break
            else:
                self._hold(-held)
                self._health.clear(ISSUE, self.spec.name)
                return
            await self._clock.sleep(pause.next())
        self._hold(1)
        _log.warning("notification %s: a message was given up", self.spec.name)

    def _hold(self, more: int) -> None:
        """So many more messages that nobody got; the next one that is delivered tells their number."""
        self._held += more
        if self._held:
            self._keep(self._held_row, self._held)
        elif more:
            self._memory.delete(self._held_row)

    @property
    def _held_row(self) -> str:
        return f"held/{self.spec.name}"

    def _key(self, message: _Waiting) -> str:
        return f"{message.row.rpartition('/')[2]}.{self.spec.name}"

    def _tell(self, text: str) -> None:
        self._health.set(ISSUE, self.spec.name, f"notification {self.spec.name}: {text}", _REPAIR)

    def _keep(self, row: str, value: Any) -> None:
        try:
            self._memory.put(row, value)
        except StoreError as error:  # it is delivered all the same
            _log.warning("notification %s: a message is not kept over a restart: %s", self.spec.name, error)
