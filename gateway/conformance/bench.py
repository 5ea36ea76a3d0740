"""A test bench beside the driver's event loop: peers and proxies run in a thread of their own.

So they answer, and count, also while a driver blocks the loop that it shares with the gateway.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar

from gateway.conformance.proxy import Proxy, TcpProxy, UdpProxy

T = TypeVar("T")

Peer = Callable[[], AbstractAsyncContextManager[Any]]
"""Serves until its end; what it gives is a TCP or UDP port on 127.0.0.1, or whatever else its user knows."""

_PATIENCE_S = 20.0
_END_S = 0.5


class Bench:
    """`async with Bench() as bench`: `await bench.peer(serve)` runs a peer, `await bench.proxy(port)` puts a proxy
    before one. Everything ends with the bench.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._orders: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]] | None] = asyncio.Queue()
        self._thread = threading.Thread(target=self._run, name="bench", daemon=True)

    async def __aenter__(self) -> Bench:  # noqa: PYI034 - Self needs an import that only this line would use
        self._thread.start()
        self._keeper = asyncio.run_coroutine_threadsafe(self._keep(), self._loop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._orders.put_nowait, None)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await asyncio.wrap_future(self._keeper)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, _PATIENCE_S)

    async def peer(self, serve: Peer) -> Any:
        """Run a peer. Returns what it gives."""
        return await self._order(lambda: self._stack.enter_async_context(serve()))

    async def proxy(self, port: int, *, udp: bool = False, host: str = "127.0.0.1") -> Proxy:
        """A proxy before `host`:`port`, with a port of its own."""
        made = UdpProxy(host, port) if udp else TcpProxy(host, port)
        await self._order(lambda: self._stack.enter_async_context(made))
        return made

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the bench's loop."""
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _order(self, what: Callable[[], Awaitable[T]]) -> T:
        """In the keeper's task: what was entered in a task must be left in the same one."""

        async def ask() -> T:
            done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._orders.put_nowait((what, done))
            return await done

        return await self.do(ask())

    async def _keep(self) -> None:
        async with self._stack:
            while (order := await self._orders.get()) is not None:
                what, done = order
                try:
                    result = await what()
                except Exception as error:
                    if not done.done():
                        done.set_exception(error)
                else:
                    if not done.done():
                        done.set_result(result)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(_emptied())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _emptied() -> None:
    """Handlers of peers end with their connections; those that do not are cancelled."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=_END_S)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_END_S)
    await asyncio.sleep(0.01)  # transports that were closed just now close their sockets
