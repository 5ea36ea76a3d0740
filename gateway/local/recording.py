"""The op `record`: what the rules get and what they do, as it happens, for `fieldpost record`.

The first item is `{"head": {...}}`, the others `{"lines": [...]}` in order; the last line of all says why it ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.clock import Clock
from gateway.latest import LatestValues
from gateway.local.arguments import seconds
from gateway.local.wire import OpError
from gateway.runtime.ruling import Ruling
from gateway.settings.types import GatewaySettings
from gateway.tags import TagTable

LONGEST_S = 86400.0
MOST_LINES = 50_000
"""Lines that wait for a slow reader; beyond that the recording ends: one with a hole proves nothing."""
_PAGE = 500
_WAIT_S = 1.0


class HasRules(Protocol):
    """What the op needs of a running node."""

    @property
    def ruling(self) -> Ruling: ...

    @property
    def latest(self) -> LatestValues: ...

    @property
    def tags(self) -> TagTable: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def settings(self) -> GatewaySettings: ...

    @property
    def version(self) -> str: ...


class RecordOps:
    """The op over one running node."""

    def __init__(self, node: HasRules) -> None:
        self._node = node

    async def record(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Lines for `for_s` seconds."""
        lasting = seconds(args, "for_s", LONGEST_S)
        from rules.replay.recording import head_line  # asked for rarely: a start does without it
        from rules.replay.tape import Tape

        queue, node = _Queue(), self._node
        tape = Tape(queue.put)
        try:
            engine = node.ruling.record(tape)
        except RuntimeError as error:
            raise OpError(str(error), code=503) from error
        try:
            head = head_line(engine, node.settings.id, node.version, self._latest())
            yield {"head": head}
            end = node.clock.mono() + lasting
            while not queue.ended:
                left = end - node.clock.mono()
                if left <= 0:
                    tape.end("time")
                else:
                    await queue.wait(min(left, _WAIT_S))
                while lines := queue.take(_PAGE):
                    yield {"lines": lines}
        finally:
            node.ruling.unrecord(tape)

    def _latest(self) -> list[Any]:
        from rules.replay.recording import Latest

        current = [self._node.latest.current(tag) for tag in self._node.tags.tags()]
        return [Latest(one.tag.name, one.value, int(one.quality), one.ts) for one in current if one.ts is not None]


class _Queue:
    """Lines between the engine and a reader."""

    def __init__(self) -> None:
        self._lines: deque[dict[str, Any]] = deque()
        self._ready = asyncio.Event()
        self.ended = False

    def put(self, line: dict[str, Any]) -> None:
        """Called from inside the engine's work: never waits, never raises."""
        if self.ended:
            return
        if len(self._lines) >= MOST_LINES:
            line = {"end": "its reader did not keep up"}
        self.ended = "end" in line
        self._lines.append(line)
        self._ready.set()

    async def wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._ready.wait()
        except TimeoutError:
            pass

    def take(self, most: int) -> list[dict[str, Any]]:
        self._ready.clear()
        return [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
