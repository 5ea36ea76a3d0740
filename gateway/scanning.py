"""A scan, or browsing, as a job on a wire: one step at a time, with writes and due polls in between.

After each step the job waits as long as the step took, so that a scan never takes more than half of a wire that is
polled, however long silent addresses make it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

from gateway.abilities import Browsing
from gateway.driver import Scanning
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused
from gateway.ondemand import OnDemand

MOST_WAITING = 200
"""Findings that wait for whoever asked; the scan waits when there are more."""
_LOOK_AGAIN_S = 0.05

Finding = Mapping[str, Any]


Begin = Callable[[Mapping[str, Any]], AsyncIterator[Finding]]


def looking(driver: object, what: str, name: str) -> Begin:
    """What begins a scan or browsing (`what`) of a driver. Raises RequestRefused when it cannot."""
    if what == "scan" and isinstance(driver, Scanning):
        return driver.scan
    if what == "browse" and isinstance(driver, Browsing):
        return driver.browse
    raise RequestRefused(f"driver {name} cannot {what}", code=501)


class ScanJob:
    """One scan, by its steps. `findings` gives what it finds; `cancel` ends it."""

    def __init__(self, steps: AsyncIterator[Finding]) -> None:
        self._steps = steps
        self._found: asyncio.Queue[Finding | Exception | None] = asyncio.Queue()
        self._over = False

    async def run(self, desk: OnDemand) -> None:
        """Do one step on the wire and queue the next. Raises LinkLost only."""
        if self._over:
            await self._close()
            return
        if self._found.qsize() >= MOST_WAITING:
            desk.again(self, _LOOK_AGAIN_S)
            return
        begin = desk.now()
        try:
            self._found.put_nowait(await desk.guarded(anext(self._steps)))
        except StopAsyncIteration:
            self._end(None)
        except LinkLost as error:
            self._end(error)
            raise
        except Exception as error:
            self._end(error)
        except BaseException:
            self._end(DeviceUnavailable("the channel stopped"))
            raise
        else:
            desk.again(self, 0.0 if desk.alone else desk.now() - begin)

    def fail(self, reason: str) -> None:
        self._end(DeviceUnavailable(reason))

    def cancel(self) -> None:
        """Whoever asked has gone."""
        self._over = True

    def _end(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._found.put_nowait(error)

    async def _close(self) -> None:
        close = getattr(self._steps, "aclose", None)
        if close is not None:
            await close()

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """What is found, as it is found. Raises what ended the scan too early."""
        try:
            while True:
                item = await self._found.get()
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.cancel()
