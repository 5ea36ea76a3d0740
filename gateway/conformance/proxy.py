"""Proxies with faults, between a driver and its real peer. TCP and UDP; both count what passes.

Numbers may be read from any thread; `set` belongs to the proxy's own loop (`await bench.do(proxy.set(...))`).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any

_CHUNK = 65536
_SENDERS = 3


class Fault(enum.StrEnum):
    """What becomes of bytes from the peer (SILENT, HELD: of bytes from the driver, too)."""

    NONE = "none"
    SILENT = "silent"  # taken and lost, both ways
    HELD = "held"  # answers wait, and come with the next NONE
    SLOW = "slow"  # each answer later, by `pause_s`
    TRICKLE = "trickle"  # one byte each `pause_s`; the last is withheld and an endless row of zeros follows
    GARBAGE = "garbage"  # `pattern` instead of each answer
    HALF = "half"  # the first half of each answer, then nothing
    CUT = "cut"  # the connection is reset as soon as the driver has sent something
    HANG_UP = "hang_up"  # accepted, and closed at once
    FLOOD = "flood"  # an endless stream without an end of line, as fast as it is taken
    REFUSE = "refuse"  # nobody listens


Pattern = Callable[[bytes], bytes]
"""Rubbish for a true answer."""


class Proxy:
    """What both kinds have in common. `accepted`: connections so far; `up_bytes`, `down_bytes`: from the driver, and
    to it.
    """

    def __init__(self, host: str, target: int) -> None:
        self.host = host
        self.target = target
        self.port = 0
        self.accepted = 0
        self.up_bytes = 0
        self.down_bytes = 0
        self.fault = Fault.NONE
        self.pause_s = 0.05
        self.pattern: Pattern = lambda _answer: b"\x00" * 16
        self.random = random.Random(1)  # noqa: S311 - rubbish, not secrets

    @property
    def open_links(self) -> int:
        """Connections that are open now; 0 where there are none by nature."""
        return 0

    async def set(self, fault: Fault, *, pause_s: float = 0.05, pattern: Pattern | None = None) -> None:
        """From now on; open connections stay, but for CUT's later and REFUSE's."""
        self.pause_s = pause_s
        if pattern is not None:
            self.pattern = pattern
        self.fault = fault

    async def reset(self) -> None:
        """Abort what is open."""

    async def __aenter__(self) -> Proxy:  # noqa: PYI034
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError


class TcpProxy(Proxy):
    """Forwards 127.0.0.1:`port` to a TCP server."""

    def __init__(self, host: str, target: int) -> None:
        super().__init__(host, target)
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._changed = asyncio.Condition()

    @property
    def open_links(self) -> int:
        return len(self._links)

    async def __aenter__(self) -> Proxy:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._deafen()

    async def set(self, fault: Fault, *, pause_s: float = 0.05, pattern: Pattern | None = None) -> None:
        await super().set(fault, pause_s=pause_s, pattern=pattern)
        async with self._changed:
            self._changed.notify_all()
        if fault is Fault.REFUSE:
            await self._deafen()
        else:
            await self._listen()

    async def reset(self) -> None:
        for _ in range(200):  # what was accepted just now has its handler first
            for writers in list(self._links.values()):
                _abort(writers)
            for task in list(self._links):
                task.cancel()
            await asyncio.sleep(0.005)
            if not self._links:
                return

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        writers = self._links[task] = [writer]
        try:
            if self.fault is not Fault.HANG_UP:
                await self._forward(reader, writer, writers)
        except* (OSError, asyncio.CancelledError):
            pass  # cancelled by reset: a handler that ends cancelled trips the stream's own code on Python 3.11
        finally:
            _abort(writers)
            del self._links[task]

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, writers: list[asyncio.StreamWriter]
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(self.host, self.target)
        writers.append(far_writer)
        async with asyncio.TaskGroup() as group:
            pumps = [
                group.create_task(self._up(reader, far_writer, writers)),
                group.create_task(self._down(far_reader, writer)),
                group.create_task(self._flood(writer)),
            ]
            await asyncio.wait(pumps[:2], return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, writers: list[asyncio.StreamWriter]
    ) -> None:
        while data := await reader.read(_CHUNK):
            self.up_bytes += len(data)
            if self.fault is Fault.CUT:
                _abort(writers)
                return
            if self.fault is not Fault.SILENT:
                writer.write(data)
                await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if self.fault is Fault.HELD:
                async with self._changed:
                    await self._changed.wait_for(lambda: self.fault is not Fault.HELD)
            await self._answer(data, writer)

    async def _answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        match self.fault:
            case Fault.SILENT | Fault.FLOOD:
                return
            case Fault.GARBAGE:
                data = self.pattern(data)
            case Fault.HALF:
                data = data[: len(data) // 2]
                self.fault = Fault.SILENT
            case Fault.SLOW:
                await asyncio.sleep(self.pause_s)
            case Fault.TRICKLE:
                await self._trickle(data, writer)
                return
            case _:
                pass
        await self._send(data, writer)

    async def _trickle(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        rest = list(data[:-1])
        while self.fault is Fault.TRICKLE:
            await self._send(bytes((rest.pop(0) if rest else 0,)), writer)
            await asyncio.sleep(self.pause_s)

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self.fault is Fault.FLOOD)
            while self.fault is Fault.FLOOD:
                await self._send(b"\x55" * _CHUNK, writer)
                await asyncio.sleep(0)

    async def _send(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        self.down_bytes += len(data)


class UdpProxy(Proxy):
    """Forwards datagrams to 127.0.0.1:`port` to a UDP server. CUT and HANG_UP are SILENT here."""

    def __init__(self, host: str, target: int) -> None:
        super().__init__(host, target)
        self._near: asyncio.DatagramTransport | None = None
        self._far: dict[Any, asyncio.DatagramTransport] = {}
        self._held: list[tuple[bytes, Any]] = []

    async def __aenter__(self) -> Proxy:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deafen()

    async def set(self, fault: Fault, *, pause_s: float = 0.05, pattern: Pattern | None = None) -> None:
        await super().set(fault, pause_s=pause_s, pattern=pattern)
        if fault is Fault.REFUSE:
            self._deafen()
        else:
            await self._listen()
        if fault is Fault.NONE:
            held, self._held = self._held, []
            for data, address in held:
                self._to_driver(data, address)

    async def reset(self) -> None:
        self._held.clear()
        for transport in self._far.values():
            transport.close()
        self._far.clear()

    async def _listen(self) -> None:
        if self._near is None:
            loop = asyncio.get_running_loop()
            self._near, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._from_driver), local_addr=("127.0.0.1", self.port)
            )
            self.port = self._near.get_extra_info("sockname")[1]

    def _deafen(self) -> None:
        if self._near is not None:
            self._near.close()
            self._near = None
        for transport in self._far.values():
            transport.close()
        self._far.clear()

    def _from_driver(self, data: bytes, address: Any) -> None:
        self.up_bytes += len(data)
        if self.fault not in {Fault.SILENT, Fault.CUT, Fault.HANG_UP, Fault.REFUSE}:
            self._later = asyncio.get_running_loop().create_task(self._pass_on(data, address))

    async def _pass_on(self, data: bytes, address: Any) -> None:
        if address not in self._far:
            self.accepted += 1
            loop = asyncio.get_running_loop()
            made, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(lambda answer, _from: self._from_peer(answer, address)),
                remote_addr=(self.host, self.target),
            )
            if address in self._far:  # made by another datagram meanwhile
                made.close()
            else:
                self._far[address] = made
                while len(self._far) > _SENDERS:  # nobody says when a sender is gone: the eldest makes room
                    self._far.pop(next(iter(self._far))).close()
        self._far[address].sendto(data)

    def _from_peer(self, data: bytes, address: Any) -> None:
        match self.fault:
            case Fault.HELD:
                self._held = [*self._held[-_SENDERS:], (data, address)]
                return
            case Fault.GARBAGE:
                data = self.pattern(data)
            case Fault.HALF | Fault.TRICKLE:
                data = data[: len(data) // 2]
            case Fault.FLOOD:
                for _ in range(200):
                    self._to_driver(b"\x55" * 1400, address)
                return
            case Fault.SLOW:
                asyncio.get_running_loop().call_later(self.pause_s, self._to_driver, data, address)
                return
            case _:
                pass
        if self.fault is not Fault.SILENT:
            self._to_driver(data, address)

    def _to_driver(self, data: bytes, address: Any) -> None:
        if self._near is not None:
            self.down_bytes += len(data)
            self._near.sendto(data, address)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Any], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """A peer that is gone answers nothing: that is all the driver should see."""


def _abort(writers: list[asyncio.StreamWriter]) -> None:
    """End connections with a reset."""
    for writer in writers:
        sock = writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
