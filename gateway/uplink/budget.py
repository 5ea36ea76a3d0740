"""A daily byte budget for metered links: what may wait, waits until the next UTC day once the budget is used up."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.clock import Clock
from gateway.health import Health
from gateway.uplink.memory import Memory

DAY_S = 86_400
_STATE = "budget"
_MIN_STEP = 4096


class DailyBudget:
    """Counts the bytes of all PUBLISH packets of one UTC day (without TCP and TLS). `limit` None allows all.

    The count is kept in `memory` ahead of what was sent, in steps of 1/200 of the limit, so that a restart neither
    resets it nor costs more than a step; `run` writes it.
    """

    def __init__(self, name: str, limit: int | None, memory: Memory, clock: Clock, health: Health) -> None:
        self._name = name
        self._limit = limit
        self._memory = memory
        self._clock = clock
        self._health = health
        self._step = max(_MIN_STEP, (limit or 0) // 200)
        self._write = asyncio.Event()
        self._told = False
        day, used = (memory.get(_STATE) if limit else None) or (self._today(), 0)
        self._day, self._used, self._stored = int(day), int(used), int(used)

    def spend(self, size: int) -> None:
        """That many bytes were sent, of whatever kind."""
        if self._limit is None:
            return
        self._roll()
        self._used += size
        if self._used + self._step // 2 > self._stored:
            self._write.set()

    def delay(self, amount: int) -> float:
        """Seconds until `amount` bytes that can wait may go: 0.0 is now, else the time to the next UTC day.

        A message over a tenth of the budget counts as a tenth, so that no message is too large for ever.
        """
        if self._limit is None:
            return 0.0
        self._roll()
        if self._used + min(amount, self._limit // 10) <= self._limit:
            return 0.0
        self._tell()
        return max(1.0, (self._day + 1) * DAY_S - self._clock.wall_ms() / 1000.0)

    async def run(self) -> None:
        """Keep the count; runs as long as a connection."""
        while True:
            await self._write.wait()
            self._write.clear()
            stored, self._stored = self._used + self._step, self._used + self._step
            await self._memory.set(_STATE, [self._day, stored])

    def snapshot(self) -> dict[str, Any] | None:
        """For status; None without a budget."""
        if self._limit is None:
            return None
        self._roll()
        return {"limit": self._limit, "used": self._used, "exhausted": self._told}

    def _today(self) -> int:
        return self._clock.wall_ms() // (DAY_S * 1000)

    def _roll(self) -> None:
        """A new day begins the count anew. An earlier day is a clock that is not set yet, unless it is synchronised."""
        today = self._today()
        if today == self._day or (today < self._day and not self._clock.synced()):
            return
        self._day, self._used, self._stored = today, 0, 0
        self._write.set()
        if self._told:
            self._told = False
            self._health.clear("uplink_budget", self._name)

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        self._health.set(
            "uplink_budget",
            self._name,
            f"the day's {self._limit} bytes of {self._name} are used up: telemetry waits until 00:00 UTC, alarms, "
            "gaps and events still go",
            "raise `rate.bytes_per_day`, report by exception, or use codec native",
        )
