"""Small values that an uplink keeps over restarts: in its cursor's rows, or in RAM for an uplink that has none."""

from __future__ import annotations

from typing import Any

from gateway.journal import Consumer

_SESSIONS_AHEAD = 16


class Memory:
    """What the uplink remembers. Without a consumer (codec `flat`) it lasts as long as the process."""

    def __init__(self, consumer: Consumer | None) -> None:
        self._consumer = consumer
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key) if self._consumer is None else self._consumer.state(key)

    async def set(self, key: str, value: Any) -> None:
        """Returns when it is on disk."""
        if self._consumer is None:
            self._values[key] = value
        else:
            await self._consumer.set_state(key, value)


class Sessions:
    """Session numbers: one more per attempt to connect, never one twice within an epoch, over restarts too.

    Numbers are reserved ahead, so that attempts during a long outage cost no writes to flash.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._reserved = int(memory.get("session") or 0)
        self.current = self._reserved

    async def next(self) -> int:
        if self.current >= self._reserved:
            await self._memory.set("session", self.current + _SESSIONS_AHEAD)
            self._reserved = self.current + _SESSIONS_AHEAD
        self.current += 1
        return self.current
