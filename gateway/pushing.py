"""What is asked of a driver that pushes: writes one at a time, each within its deadline; reads, methods, looks at what
is there. No call lasts longer than twice the channel's timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.abilities import Asking, Calling, Echoing
from gateway.clock import Clock
from gateway.driver import Columns, Driver, Writer
from gateway.errors import DeviceUnavailable, RequestRefused
from gateway.model import Block, Quality, Tag, Write, WriteResult, WriteState
from gateway.ondemand import Row, nothing
from gateway.plans import Line
from gateway.publishing import Publisher
from gateway.refining import Refiner
from gateway.scanning import Begin, Finding
from gateway.wire import CallGuard, DriverStalled
from gateway.writes import PendingWrite, matches, read_back_tag

T = TypeVar("T")

STEP_S = 30.0
"""The longest that one step of a scan or of browsing may take: passive protocols listen in between."""


class Pushing:
    """One attempt of a pushing driver. `linked`: its wire is up (`ctx.link`)."""

    def __init__(
        self,
        driver: Driver,
        lines: Mapping[str, Line],
        publisher: Publisher,
        refiner: Refiner,
        clock: Clock,
        *,
        name: str,
        timeout_s: float,
    ) -> None:
        self._driver = driver
        self._lines = lines
        self._publisher = publisher
        self._refiner = refiner
        self._clock = clock
        self._name = name
        self._limit_s = timeout_s * 2.0
        self._lock = asyncio.Lock()
        self.linked = False

    @staticmethod
    def unavailable(write: Write, reason: str) -> WriteResult:
        """The result of a write that cannot be tried now."""
        return WriteResult(write.tag.device, write.tag.path, WriteState.FAILED, 504, text=reason)

    # --- writes

    async def write(self, write: Write) -> WriteResult:
        """Write one value. A driver that can be asked is asked what the tag reads then, like a polled one; of one
        that reports by itself the result is `ok` and not verified. A tag without a wire has what was written.
        """
        pending = PendingWrite(write)
        line = self._lines.get(pending.device)
        driver = self._driver
        if line is None:
            pending.end(WriteState.REJECTED, 404, f"there is no device {pending.device} on this channel")
        elif not isinstance(driver, Writer):
            pending.end(WriteState.REJECTED, 403, "this driver cannot write")
        elif line.monitor.away:
            pending.fail(f"the device is {line.monitor.state}: {line.monitor.reason}")
        elif await self._turn(write):
            try:
                await self._perform(pending, line, driver)
            finally:
                self._lock.release()
        else:
            pending.end(WriteState.EXPIRED, 408, "expired before it could be written")
        return await pending.done

    async def _turn(self, write: Write) -> bool:
        """Wait for the lock until the write's deadline. False: too late, the lock is not held."""
        left = write.deadline - self._clock.mono()
        if left <= 0:
            return False
        guard = CallGuard(self._clock, left)
        try:
            await guard.call(self._lock.acquire())
        except DriverStalled:
            return False
        finally:
            guard.close()
        return True

    async def _perform(self, pending: PendingWrite, line: Line, driver: Writer) -> None:
        write = pending.write
        line.stats.writes += 1
        try:
            await self._guarded(driver.write(line.device, write.tag, write.value))
        except Exception as error:
            line.stats.write_errors += 1
            pending.end_with(error)
            return
        if write.tag.spec.virtual is not None:
            pending.end(WriteState.OK, 200, value=write.value, verified=True)
        elif isinstance(driver, Asking):
            await self._read_back(pending, line)
        elif isinstance(driver, Echoing):
            await self._await_echo(pending, line, driver)
        else:
            pending.end(WriteState.OK, 200)

    async def _read_back(self, pending: PendingWrite, line: Line) -> None:
        tag = pending.write.tag
        shown = read_back_tag(tag, line.device.tags)
        if shown is None:
            pending.end(WriteState.OK, 200)
            return
        if tag.spec.verify.settle_s > 0:
            await self._clock.sleep(tag.spec.verify.settle_s)
        try:
            (row,) = await self._ask(line, [shown])
        except Exception as error:
            code = 504 if isinstance(error, DeviceUnavailable) else 500
            pending.end(WriteState.FAILED, code, f"written, but not read back: {error}")
            return
        got = row[1]
        if matches(tag.spec, pending.write.value, got):
            pending.end(WriteState.OK, 200, value=got, verified=True)
        else:
            line.stats.write_errors += 1
            pending.end(WriteState.FAILED, 500, f"written {pending.write.value!r}, but {shown.path} reads {got!r}", got)

    async def _await_echo(self, pending: PendingWrite, line: Line, driver: Echoing) -> None:
        """Verified by what the device says by itself. One that says nothing has taken the write: that is all known."""
        write = pending.write
        shown = read_back_tag(write.tag, line.device.tags)
        if shown is None:
            pending.end(WriteState.OK, 200)
            return
        within = write.tag.spec.verify.settle_s or self._limit_s / 2.0
        try:
            fitting, got = await self._guarded(
                driver.echoed(shown, lambda value: matches(write.tag.spec, write.value, value), within),
                within + self._limit_s,
            )
        except Exception as error:
            pending.end(WriteState.OK, 200, text=f"written, not verified: {error}")
            return
        if fitting or got is None:
            pending.end(WriteState.OK, 200, value=got, verified=fitting)
        else:
            line.stats.write_errors += 1
            pending.end(WriteState.FAILED, 500, f"written {write.value!r}, but {shown.path} is {got!r}", got)

    # --- reads

    async def read(self, tags: Sequence[Tag], *, publish: bool = True) -> list[Row]:
        """Read tags of one device now. Raises RequestRefused when the driver cannot be asked, or the device refuses."""
        line = self._lines.get(tags[0].device)
        if not isinstance(self._driver, Asking):
            raise RequestRefused(f"driver {self._name} sends its values by itself and cannot be asked", code=501)
        if line is None or line.monitor.away:
            return nothing(tags)
        try:
            return await self._ask(line, tags, publish=publish)
        except DeviceUnavailable:
            return nothing(tags)

    async def _ask(self, line: Line, tags: Sequence[Tag], *, publish: bool = True) -> list[Row]:
        driver = self._driver
        assert isinstance(driver, Asking)
        found = await self._guarded(driver.ask(line.device, tags))
        answers = [found] if isinstance(found, Columns) else sorted(found, key=lambda each: each.ts or 0)
        block = Block(line.device.id, tags)
        if block.expects:
            answers = [self._refiner.check(block, columns) for columns in answers]
        for columns in answers if publish else ():
            if columns.values:
                self._publisher.pass_on(block, columns)
        return _rows(tags, answers, self._clock.wall_ms())

    async def call(self, device: str, method: str, args: Mapping[str, Any]) -> Any:
        """Run a method of a device. Raises as Calling.call does, RequestRefused when the driver has none."""
        line = self._lines.get(device)
        if line is None or not isinstance(self._driver, Calling):
            raise RequestRefused(f"driver {self._name} has no methods", code=404)
        if line.monitor.away:
            raise DeviceUnavailable(f"the device is {line.monitor.state}: {line.monitor.reason}")
        return await self._guarded(self._driver.call(line.device, method, args))

    # --- what is there

    async def steps(self, begin: Begin, options: Mapping[str, Any]) -> AsyncGenerator[Finding, None]:
        """Items of a scan or of browsing, each within STEP_S. Raises ValueError, LinkLost."""
        steps = begin(options)
        try:
            while True:
                try:
                    item = await self._guarded(anext(steps), max(self._limit_s, STEP_S))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if isinstance(steps, AsyncGenerator):
                with contextlib.suppress(RuntimeError):
                    await steps.aclose()

    async def _guarded(self, what: Awaitable[T], limit_s: float | None = None) -> T:
        guard = CallGuard(self._clock, self._limit_s if limit_s is None else limit_s)
        try:
            return await guard.call(what)
        finally:
            guard.close()


def _rows(tags: Sequence[Tag], answers: Sequence[Columns], now_ms: int) -> list[Row]:
    found: dict[Tag, Row] = {}
    for columns in answers:
        ts = now_ms if columns.ts is None else columns.ts
        places = range(len(columns.values)) if columns.index is None else columns.index
        codes = [0] * len(columns.values) if columns.quality is None else columns.quality
        for place, value, code in zip(places, columns.values, codes, strict=True):
            found[tags[place]] = (tags[place], value, int(code), ts)
    return [found.get(tag, (tag, None, int(Quality.BAD_CONFIG), None)) for tag in tags]
