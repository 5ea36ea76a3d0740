"""What all checks stand on: the driver under test, its channel, ways to call it that end, and a context that ends."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.conformance.bench import Bench
from gateway.conformance.loopwatch import LoopWatch
from gateway.conformance.proxy import Fault, Pattern, Proxy
from gateway.conformance.report import NotApplicable
from gateway.driver import DriverSpec, PollingDriver
from gateway.errors import AuthError, BadFrame, DeviceUnavailable, PermanentError, RequestRefused
from gateway.fake_context import FakeContext
from gateway.model import ChannelSpec, Value
from gateway.whence import whence

GRACE_S = 2.0
"""What a call may take beyond twice its timeout before it counts as one that does not end: a busy machine."""
HASTY_S = 0.2
"""The timeout of a channel whose peer is made faulty."""
WIRE_ERRORS = (DeviceUnavailable, RequestRefused, BadFrame, AuthError, PermanentError)
"""What read and write may raise. DeviceUnavailable includes LinkLost."""
LINK_ERRORS = (DeviceUnavailable, AuthError, PermanentError)
"""What connect and run may raise."""


class Outcome(Struct, frozen=True):
    """How a call ended: with a value, an error, or not at all (`hung`)."""

    value: Any = None
    error: BaseException | None = None
    hung: bool = False

    @property
    def text(self) -> str:
        if self.hung:
            return "did not end"
        if self.error is None:
            return "returned"
        known = isinstance(self.error, (*WIRE_ERRORS, asyncio.CancelledError, TimeoutError))
        return f"raised {type(self.error).__name__}: {self.error}" if known else f"raised {whence(self.error)}"


class Subject:
    """The driver under test. `channel` leads to its peer, through `proxy` where there is one."""

    def __init__(
        self,
        spec: DriverSpec,
        channel: ChannelSpec,
        *,
        bench: Bench | None,
        proxy: Proxy | None,
        unreachable: ChannelSpec | None,
        writes: Mapping[str, Value] | None,
        patience_s: float,
        quiet: str,
    ) -> None:
        self.spec = spec
        self.channel = channel
        self._bench = bench
        self._proxy = proxy
        self.unreachable = unreachable
        self.writes = writes
        self.patience_s = patience_s
        self.quiet = quiet
        """Why the driver gives no values by itself here; empty: it does."""
        self.found: list[str] = []
        self.polling = False
        self.abandoned: list[asyncio.Task[Any]] = []
        self.watch: LoopWatch | None = None

    @property
    def hasty(self) -> ChannelSpec:
        """The channel with a short timeout: for peers that do not answer."""
        return replace(self.channel, timeout_s=min(self.channel.timeout_s, HASTY_S))

    @property
    def folder(self) -> Path:
        """Where the driver's code stands: a folder, or the one file of a driver that is no package."""
        code = type(self.spec.create())
        file = Path(inspect.getfile(code))
        package = getattr(sys.modules.get(code.__module__), "__package__", "") or ""
        return file if package.startswith("tests") or not package else file.parent

    def whence(self, error: BaseException) -> str:
        """An error of the driver, and where in its code it was raised."""
        return whence(error, str(self.folder))

    @property
    def proxy(self) -> Proxy:
        """Raises NotApplicable without one."""
        if self._proxy is None:
            raise NotApplicable("no proxy can stand before the peer: its settings have no url")
        return self._proxy

    @property
    def tcp(self) -> Proxy:
        """A proxy with connections. Raises NotApplicable."""
        if hasattr(self.proxy, "_near"):
            raise NotApplicable("there are no connections over UDP")
        return self.proxy

    @property
    def has_proxy(self) -> bool:
        return self._proxy is not None

    async def fault(self, fault: Fault, *, pause_s: float = 0.05, pattern: Pattern | None = None) -> None:
        """Make the peer faulty from now on."""
        assert self._bench is not None
        await self._bench.do(self.proxy.set(fault, pause_s=pause_s, pattern=pattern))

    async def heal(self) -> None:
        """No faults, and no connection of before."""
        if self._bench is not None and self._proxy is not None:
            await self._bench.do(self._proxy.set(Fault.NONE))
            await self._bench.do(self._proxy.reset())

    @property
    def told_s(self) -> float:
        """How long a driver that pushes may take to tell of a trouble."""
        return max(self.limit_s(self.hasty), self.patience_s + GRACE_S)

    def create(self) -> Any:
        return self.spec.create()

    def say(self, text: str) -> None:
        """A finding, once."""
        if text not in self.found:
            self.found.append(text)

    def want(self, condition: bool, text: str) -> bool:
        if not condition:
            self.say(text)
        return condition

    # --- calls that end

    def limit_s(self, channel: ChannelSpec) -> float:
        """The longest that a call may take."""
        return channel.timeout_s * 2.0 + GRACE_S

    async def call(self, what: Awaitable[Any], within_s: float) -> Outcome:
        """Await in a task of its own. One that does not end is cancelled, and left alone if that does not help."""
        task = asyncio.ensure_future(_awaited(what))
        await asyncio.wait({task}, timeout=within_s)
        if task.done():
            return outcome_of(task)
        await self.end(task)
        return Outcome(hung=True)

    async def end(self, task: asyncio.Task[Any], grace_s: float = GRACE_S) -> bool:
        """Cancel and wait. False: it swallows its cancellation, and is left behind."""
        task.cancel()
        await asyncio.wait({task}, timeout=grace_s)
        if not task.done():
            self.abandoned.append(task)
            return False
        return True

    async def connect(self, driver: PollingDriver, context: FakeContext) -> bool:
        """Connect to a good peer, with some tries. False when it never worked: that is another check's finding."""
        for _ in range(5):
            outcome = await self.call(driver.connect(context), self.limit_s(context.channel))
            if outcome.error is None and not outcome.hung:
                return True
            await self.call(driver.close(), GRACE_S)
        return False

    @asynccontextmanager
    async def context(self, channel: ChannelSpec) -> AsyncIterator[FakeContext]:
        """A context whose tasks end with it. Those that do not, and those that fail, are findings."""
        context = FakeContext(channel)
        over, ready = asyncio.Event(), asyncio.Event()

        async def host() -> None:
            async with context:
                ready.set()
                await over.wait()

        hosting = asyncio.create_task(host(), name="conformance")
        await ready.wait()
        try:
            yield context
        finally:
            over.set()
            await asyncio.wait({hosting}, timeout=GRACE_S)
            if not hosting.done():
                self.say("a task of ctx.task_group did not end when it was cancelled")
                self.abandoned.append(hosting)
                hosting.cancel()
            elif not hosting.cancelled() and (error := hosting.exception()) is not None:
                for cause in causes(error):
                    if not isinstance(cause, LINK_ERRORS):
                        self.say(f"a task of the driver ended with {self.whence(cause)}")


def causes(error: BaseException) -> list[BaseException]:
    """The leaves of an exception group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in causes(inner)]
    return [error]


def outcome_of(task: asyncio.Task[Any]) -> Outcome:
    if task.cancelled():
        return Outcome(error=asyncio.CancelledError("cancelled"))
    return Outcome(value=None if task.exception() else task.result(), error=task.exception())


async def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Look again and again; for things that give no event."""
    end = asyncio.get_running_loop().time() + within_s
    while not condition():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.01)
    return True


async def _awaited(what: Awaitable[Any]) -> Any:
    return await what
