"""A TCP proxy on loopback with faults that can be switched while connections are open.

It runs a loop of its own in a thread, so that tests with and without a loop use it alike. All methods may be called
from any thread; they return when the new behaviour holds.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class Mode(enum.Enum):
    """What happens to bytes, in both directions."""

    PASS = "pass"
    BLACK_HOLE = "black_hole"  # held back until the link heals, as TCP would send them again
    SWALLOW = "swallow"  # taken and lost for good; the connection never delivers again


class Proxy:
    """Forwards 127.0.0.1:`port` of its own to 127.0.0.1:`target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.accepted = 0
        """Connections accepted so far."""
        self.up_bytes = 0
        """Bytes from client to server so far, delivered or not."""
        self.down_bytes = 0
        self._mode = Mode.PASS
        self._cut_after: int | None = None
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._listen())

    # What a test does

    def pass_(self) -> None:
        """Forward everything again, without a cut. What a black hole held back arrives now."""
        self._set(Mode.PASS)

    def black_hole(self) -> None:
        """Take connections, deliver nothing: a dead link with TCP open. Heals without loss, as TCP does."""
        self._set(Mode.BLACK_HOLE)

    def swallow(self) -> None:
        """Like a black hole, but the connections that carried bytes stay dead for ever (a forgotten NAT entry)."""
        self._set(Mode.SWALLOW)

    def cut_after(self, count: int) -> None:
        """Reset each connection once `count` more bytes came from its client."""

        async def change() -> None:
            self._cut_after = self.up_bytes + count

        self._call(change())

    def reset(self) -> None:
        """Send RST on every open connection; new ones are served as before."""

        async def change() -> None:
            for link in list(self._links):
                link.abort()

        self._call(change())

    def close(self) -> None:
        """End everything; harmless when repeated."""
        if not self._thread.is_alive():
            return

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            await asyncio.sleep(0.02)  # a connection that was accepted just now gets its handler first
            while self._tasks:
                for link in list(self._links):
                    link.abort()
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0.02)  # aborted transports close their sockets in the next rounds of the loop

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # The loop's side

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        future: concurrent.futures.Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result(20)

    def _set(self, mode: Mode) -> None:
        async def change() -> None:
            self._mode = mode
            self._cut_after = None
            async with self._changed:
                self._changed.notify_all()

        self._call(change())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, start_serving=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._forward(link, reader, writer)
        except* (OSError, asyncio.CancelledError):
            # Cancelled only by close(): on Python 3.11 the stream protocol trips over a handler that ends cancelled.
            pass
        finally:
            link.abort()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _forward(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        link.add(server_writer)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, server_writer, link, self._count_up))
            group.create_task(self._pump(server_reader, writer, link, self._count_down))

    def _count_up(self, count: int) -> bool:
        self.up_bytes += count
        return self._cut_after is not None and self.up_bytes >= self._cut_after

    def _count_down(self, count: int) -> bool:
        self.down_bytes += count
        return False

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, count: Callable[[int], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                cut = count(len(data))
                await self._healed()
                if self._mode is Mode.SWALLOW:
                    link.swallowed = True
                # A stream with a hole in it is broken for good: it never delivers again.
                if link.swallowed:
                    continue
                writer.write(data)
                await writer.drain()
                if cut:
                    link.abort()
                    return
        await self._healed()
        if not link.swallowed:
            link.end(writer)

    async def _healed(self) -> None:
        if self._mode is Mode.BLACK_HOLE:
            async with self._changed:
                await self._changed.wait_for(lambda: self._mode is not Mode.BLACK_HOLE)


class _Link:
    """Both sides of one connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writers = [writer]
        self._half_closed = 0
        self.swallowed = False

    def add(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writers.append(writer)

    def end(self, writer: asyncio.StreamWriter) -> None:
        """One direction is over; both over ends the link."""
        with contextlib.suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()
        self._half_closed += 1
        if self._half_closed == 2:
            for each in self._writers:
                each.close()

    def abort(self) -> None:
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
