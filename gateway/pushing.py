"""Writes of drivers that push: one at a time, straight to the driver, within their deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.clock import Clock
from gateway.driver import Driver, Writer
from gateway.model import Write, WriteResult, WriteState
from gateway.plans import Line
from gateway.wire import CallGuard, DriverStalled
from gateway.writes import PendingWrite


class PushWrites:
    """The write side of one attempt of a pushing driver. Such a driver reports the new value by itself: the result
    is `ok` and not verified. A tag without a wire has what was written, and there is nothing to verify.
    """

    def __init__(self, driver: Driver, lines: Mapping[str, Line], timeout_s: float, clock: Clock) -> None:
        self._driver = driver
        self._lines = lines
        self._limit_s = timeout_s * 2.0
        self._clock = clock
        self._lock = asyncio.Lock()

    @staticmethod
    def unavailable(write: Write, reason: str) -> WriteResult:
        """The result of a write that cannot be tried now."""
        return WriteResult(write.tag.device, write.tag.path, WriteState.FAILED, 504, text=reason)

    async def write(self, write: Write) -> WriteResult:
        """Write one value."""
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
        guard = CallGuard(self._clock, self._limit_s)
        try:
            await guard.call(driver.write(line.device, write.tag, write.value))
        except Exception as error:
            line.stats.write_errors += 1
            pending.end_with(error)
        else:
            held = write.tag.spec.virtual is not None
            pending.end(WriteState.OK, 200, value=write.value if held else None, verified=held)
        finally:
            guard.close()
