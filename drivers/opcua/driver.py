"""The OPC UA client driver: one session, its subscriptions, and the reconnecting of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

from drivers.opcua.check import address_of
from drivers.opcua.connecting import OBSTACLES, Obstacle
from drivers.opcua.feed import Feed
from drivers.opcua.nodes import Namespaces
from drivers.opcua.session import Left, Session
from drivers.opcua.settings import ChannelSettings
from drivers.opcua.work import Work
from gateway.driver import Columns, DriverContext, Frame
from gateway.errors import LinkLost
from gateway.model import Device, Tag, Value
from gateway.reconnecting import Reconnect

_STATE = "opcua_server_state"
_BREATH_S = (0.3, 1.0)
_AGAIN_S = 1.0
_RUNNING = 0
_STATES = {1: "failed", 2: "no configuration", 3: "suspended", 4: "shutting down", 5: "test", 6: "communication fault"}


class OpcUaDriver:
    """A channel. Everything of one connection is in a `Work`, which is made anew for each."""

    def __init__(self) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what matters is told as issues and states
        self._ctx: DriverContext | None = None
        self._work: Work | None = None
        self._why = "the channel is not connected yet"
        self._left: Left | None = None
        self._totals: dict[str, int] = {}
        self._listener: Callable[[Frame], None] | None = None

    async def run(self, ctx: DriverContext) -> None:
        """Connect, work, and begin again, for ever."""
        self._ctx = ctx
        settings: ChannelSettings = ctx.channel.settings
        feed = Feed(ctx, lambda tag: address_of(settings, _settings_of(ctx, tag), tag.spec.source).selectors)
        namespaces = Namespaces(ctx.memory, settings.namespaces)
        pauses = Reconnect(ctx.channel.probe_s)
        loop = asyncio.get_running_loop()
        while True:
            # a fresh task for each attempt: a cancellation that went astray in one does not meet the next
            attempt = ctx.task_group.create_task(self._attempt(ctx, feed, namespaces, pauses))
            try:
                error = await asyncio.shield(attempt)
            finally:
                attempt.cancel()
                await asyncio.wait({attempt})  # until its session is closed
            self._why = str(error)
            ctx.link(up=False, why=self._why)
            for device in ctx.devices:
                ctx.offline(device.id, self._why)
            if isinstance(error, Obstacle):
                ctx.issue(error.issue, str(error), error.repair)
            pause = pauses.refused() if self._opened_at is None else pauses.lost(loop.time())
            # a server that is stopping still listens for a moment: nobody is helped by coming back within it
            await asyncio.sleep(max(pause, random.uniform(*_BREATH_S)))  # noqa: S311 - a pause, no secret

    _opened_at: float | None = None

    async def _attempt(
        self, ctx: DriverContext, feed: Feed, namespaces: Namespaces, pauses: Reconnect
    ) -> LinkLost | Obstacle:
        """One connection, from its beginning to its end. Returns why it ended."""
        settings: ChannelSettings = ctx.channel.settings
        session = Session(settings, ctx.channel.timeout_s)
        self._opened_at = None
        session.trace(self._listener, ctx.clock)
        try:
            await session.open(self._left)
        except (LinkLost, Obstacle) as error:
            return error
        finally:
            await _heed(session)
        self._left = None
        self._opened_at = asyncio.get_running_loop().time()
        pauses.opened(self._opened_at)
        work = Work(ctx, session, feed, namespaces, pauses.answered)
        try:
            for key in OBSTACLES:
                ctx.clear(key)
            ctx.link(up=True)
            self._work = work
            self._count("connections", 1)
            return await self._until_it_ends(ctx, work)
        finally:
            self._work = None
            self._keep_totals(work)
            left = session.leave()
            self._left = None if await session.close() else left

    async def _until_it_ends(self, ctx: DriverContext, work: Work) -> LinkLost:
        parts = (*work.parts(), work.session.renew_for_ever(), self._watch(ctx, work.session))
        tasks = [ctx.task_group.create_task(_outcome(part)) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
        error = next(iter(done)).result()
        if not isinstance(error, LinkLost):
            raise error if error is not None else RuntimeError("a part of the connection ended unasked")
        return error

    async def _watch(self, ctx: DriverContext, session: Session) -> None:
        """Whether somebody is at the other end: a question whenever nothing came for a while. Raises LinkLost."""
        settings: ChannelSettings = ctx.channel.settings
        every_s = settings.subscription.keep_alive
        told = _RUNNING
        while True:
            await asyncio.sleep(every_s)
            await session.look()
            if session.state != told:
                told = session.state
                if told == _RUNNING:
                    ctx.clear(_STATE)
                else:
                    ctx.issue(_STATE, f"the server says of itself: {_STATES.get(told, 'unknown state')}")

    # --- abilities

    async def ask(self, device: Device, tags: Sequence[Tag]) -> Sequence[Columns]:
        """Read these tags now."""
        return await self._connected().ask(device, tags)

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Write one tag, converted to the node's type."""
        await self._connected().write(device, tag, value)

    async def call(self, device: Device, method: str, args: Mapping[str, Any]) -> Any:
        """Run a method."""
        return await self._connected().call(device, method, args)

    def methods(self, device: Device) -> Sequence[Mapping[str, Any]]:
        """The methods that are configured."""
        return [
            {"method": name, "arguments": {}, "text": method.address}
            for name, method in device.spec.settings.methods.items()
        ]

    def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The server's address space."""
        return self._connected().browse(options)

    def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """What the server offers: endpoints, policies, identities."""
        from drivers.opcua.scanning import scan

        ctx = self._context()
        return scan(ctx.channel.settings, ctx.channel.timeout_s, options)

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        """Show messages to `listener`."""
        self._listener = listener
        if self._work is not None:
            self._work.session.trace(listener, self._context().clock)

    def owns_frame(self, device: Device, frame: Frame) -> bool:  # noqa: ARG002 - a session's messages are its devices'
        """A message of a session belongs to all its devices."""
        return True

    def counters(self) -> Mapping[str, int]:
        """Totals since the channel was started."""
        totals = dict(self._totals)
        if self._work is not None:
            for name, count in self._work.counters().items():
                totals[name] = totals.get(name, 0) + count
            totals["bad_nodes"] = self._work.bad_nodes
        return totals

    def _count(self, name: str, by: int) -> None:
        self._totals[name] = self._totals.get(name, 0) + by

    def _keep_totals(self, work: Work) -> None:
        for name, count in work.counters().items():
            self._count(name, count)

    def _connected(self) -> Work:
        if self._work is None:
            raise LinkLost(self._why)
        return self._work

    def _context(self) -> DriverContext:
        if self._ctx is None:
            raise LinkLost(self._why)
        return self._ctx


def _settings_of(ctx: DriverContext, tag: Tag) -> Any:
    return next(device.spec.settings for device in ctx.devices if device.id == tag.device)


async def _heed(session: Session) -> None:
    """Find a cancellation that was dropped, before the connection works for nobody: asyncua waits with
    asyncio.wait_for, which on Python 3.11 loses one that comes together with the answer.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        await session.close()
        raise asyncio.CancelledError


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel, and again where a cancellation was dropped (see above)."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)


async def _outcome(part: Coroutine[Any, Any, None]) -> BaseException | None:
    """A part's error as a value, so that no task group ends by it."""
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await part
        except Exception as error:
            return error
    return None


__all__ = ["OpcUaDriver"]
