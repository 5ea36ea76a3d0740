"""How far one write may move a value (`write.max_change`): judged from what the device is known to hold.

Known is a value that is good now, or what was written well since. Not known is a value of before the start, a forced
one, one that is read on demand only, and any value after a write whose outcome nobody knows: such a tag is read from
the device first. While a write is under way either value may be there, so the next one is judged from both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import GatewayError, WriteRejected
from gateway.latest import LatestValues
from gateway.model import Quality, Tag, Value, WriteResult, WriteState

_EXACT = 1e-9
"""Share of a value that is rounding: 1.1 - 0.9 is no more than 0.2."""

Row = tuple[Tag, Value, int, int | None]


class Readable(Protocol):
    """A running channel that can be asked."""

    async def read(self, tags: Sequence[Tag]) -> Sequence[Row]: ...


class ChangeLimit:
    """Knows what the limited tags hold. Tags without `max_change` cost nothing."""

    def __init__(self, latest: LatestValues, target: Callable[[str], Readable | None], clock: Clock) -> None:
        self._latest = latest
        self._target = target
        self._clock = clock
        self._under_way: dict[str, list[float]] = {}
        self._certain: dict[str, tuple[float, float, int]] = {}
        """Name -> (value that was written well or looked up, boot-clock time of it, its turn)."""
        self._turn = 0
        self._unsure: set[str] = set()

    def turn(self) -> int:
        """A call begins: for its checks, what is looked up or written from now on is fresh."""
        return self._turn

    async def look(self, tags: Iterable[Tag], limit_s: float) -> None:
        """Read from the devices what is not known. What gives no value stays unknown."""
        now = self.turn()
        by_device: dict[str, list[Tag]] = {}
        for tag in tags:
            if tag.spec.write.max_change is not None and self._known(tag, now) is None:
                by_device.setdefault(tag.device, []).append(tag)
        await asyncio.gather(*(self._read(device, each, limit_s) for device, each in by_device.items()))

    async def _read(self, device: str, tags: list[Tag], limit_s: float) -> None:
        target = self._target(device)
        if target is None:
            return
        try:
            async with asyncio.timeout(limit_s):
                rows = await target.read(tags)
        except (GatewayError, OSError):  # a TimeoutError is an OSError
            return
        for tag, value, quality, _ in rows:
            if quality == Quality.GOOD and isinstance(value, int | float) and tag.name not in self._under_way:
                self._unsure.discard(tag.name)
                self._know(tag, value)

    def _know(self, tag: Tag, value: float) -> None:
        self._turn += 1
        self._certain[tag.name] = (value, self._clock.mono(), self._turn)

    def check(self, tag: Tag, value: Value, since: int) -> None:
        """Raises WriteRejected: 422 when `value` is too far away, 409 when nothing is known. `since`: the call's."""
        most = tag.spec.write.max_change
        if most is None or not isinstance(value, int | float):
            return
        before = self._known(tag, since)
        if before is None:
            text = f"{tag.name} takes steps of at most {most:g}, and its value now could not be read"
            raise WriteRejected(text, code=409)
        for start, word in ((before, ""), *((each, ", which is being written") for each in self._others(tag))):
            if abs(value - start) > most + _EXACT * max(abs(value), abs(start), most):
                text = f"{tag.name}: {value!r} is more than {most:g} away from {start!r}{word}"
                raise WriteRejected(text, code=422)

    def _others(self, tag: Tag) -> Sequence[float]:
        return self._under_way.get(tag.name, ())

    def begin(self, tag: Tag, value: Value) -> None:
        """A checked write is under way."""
        if tag.spec.write.max_change is not None and isinstance(value, int | float):
            self._under_way.setdefault(tag.name, []).append(value)

    def end(self, tag: Tag, value: Value, result: WriteResult) -> None:
        """It has ended. After `failed` the device may hold either value."""
        if tag.spec.write.max_change is None or not isinstance(value, int | float):
            return
        waiting = self._under_way[tag.name]
        waiting.remove(value)
        if not waiting:
            del self._under_way[tag.name]
        if result.state is WriteState.FAILED:
            self._unsure.add(tag.name)
            self._certain.pop(tag.name, None)
        elif result.state is WriteState.OK:
            self._unsure.discard(tag.name)
            self._know(tag, value)

    def _known(self, tag: Tag, since: int) -> float | None:
        value, at, turn = self._certain.get(tag.name, (0.0, -1.0, 0))
        if turn > since:
            return value
        current = self._latest.current(tag)
        if tag.name in self._unsure or tag.spec.on_demand or current.quality is not Quality.GOOD:
            return None
        # What was written may be held back by a deadband: it counts until something newer was heard.
        if turn and at >= self._latest.heard(tag):
            return value
        return current.value if isinstance(current.value, int | float) else None
