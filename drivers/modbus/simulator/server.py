"""Serves simulated units: Modbus TCP, RTU or ASCII over TCP, and a pseudo-terminal as a serial line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from drivers.modbus import served
from drivers.modbus.framing import checked
from drivers.modbus.simulator.faults import Faults
from drivers.modbus.simulator.unit import Unit
from drivers.modbus.transports import Line

_MOST_CONNECTIONS = 16
_SILENCE_S = 0.05
"""A request that stops in its middle for so long is none: units know the end of a frame by silence."""


class Server:
    """Answers for its units, one request at a time on each wire. `response_s`: what a unit needs to answer;
    `line`: a serial line whose time is simulated.
    """

    def __init__(
        self, units: Mapping[int, Unit], faults: Faults, *, response_s: float = 0.0, line: Line | None = None
    ) -> None:
        self._units = units
        self._faults = faults
        self._response = response_s
        self._wire = line
        self._count = 0
        self._open: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def tcp(self, host: str, port: int, *, rtu: bool = False) -> AsyncIterator[int]:
        """Listen; gives the port. Raises OSError."""
        handler = self._serve_rtu if rtu else self._serve_mbap
        server = await asyncio.start_server(handler, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await server.wait_closed()

    @contextlib.asynccontextmanager
    async def pty(self, link: Path | None = None) -> AsyncIterator[str]:
        """A serial line of its own; gives the port's path, which is `link` where one is wanted. Raises OSError."""
        master, slave = os.openpty()
        tty.setraw(slave, termios.TCSANOW)
        port = os.ttyname(slave)
        if link is not None:
            await asyncio.to_thread(_put_link, link, port)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        file = os.fdopen(master, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        task = asyncio.create_task(self._line(reader, master))
        try:
            yield str(link or port)
        finally:
            task.cancel()
            await asyncio.wait({task})
            transport.close()
            os.close(slave)
            if link is not None:
                await asyncio.to_thread(_take_link, link, port)

    async def _serve_mbap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._connection(writer):
            while True:
                number, unit, pdu = await served.read_request(reader)
                answer = await self._react(unit, pdu, len(pdu) + 7)
                if answer is None:
                    continue
                number ^= 0x5555 if self._faults.wrong_id else 0
                unit += self._faults.wrong_unit
                self._send(writer, served.frame(number, unit & 0xFF, answer))

    async def _serve_rtu(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._connection(writer):
            while True:
                frame = await _request(reader)
                if (answer := await self._rtu(frame)) is not None:
                    self._send(writer, answer)

    async def _line(self, reader: asyncio.StreamReader, master: int) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _request(reader)
                # A line cannot hang up: that fault is silence there. An answer that nobody takes is lost.
                with contextlib.suppress(ConnectionResetError, BlockingIOError):
                    if (answer := await self._rtu(frame)) is not None:
                        os.write(master, self._spoilt(answer))

    async def _rtu(self, frame: bytes) -> bytes | None:
        answer = await self._react(frame[0], frame[1:-2], len(frame))
        if answer is None:
            return None
        return checked(bytes(((frame[0] + self._faults.wrong_unit) & 0xFF,)) + answer)

    async def _react(self, number: int, pdu: bytes, size: int) -> bytes | None:
        """A unit's answer after its time, None for silence. Raises ConnectionError when the fault is to hang up."""
        unit = self._units.get(number)
        if unit is None:
            return None
        answer = unit.answer(pdu)
        self._count += 1
        pause = self._response
        slow = self._faults.slow
        if slow is not None and self._count % slow.every == 0:
            pause += slow.seconds
        if self._wire is not None:  # both frames, and the silence by which a unit knows the end of a request
            pause += (size + len(answer) + 3) * self._wire.char_s + self._wire.gap_s
        if pause:
            await asyncio.sleep(pause)
        if self._faults.drop:
            raise ConnectionResetError
        if self._faults.silent:
            return None
        return answer[:-2] if self._faults.short and len(answer) > 4 else answer

    def _send(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        writer.write(self._spoilt(frame))

    def _spoilt(self, frame: bytes) -> bytes:
        if self._faults.garbage:
            return bytes((byte ^ 0xA5) for byte in frame)
        return frame[: len(frame) // 2] if self._faults.half else frame

    @contextlib.asynccontextmanager
    async def _connection(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._open.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, served.Garbage):
                if len(self._open) > _MOST_CONNECTIONS:
                    writer.transport.abort()  # reading then ends at once
                yield
        finally:
            self._open.discard(writer)
            writer.close()


def _put_link(link: Path, port: str) -> None:
    """A link to the port; one that a killed simulator left is replaced. Raises OSError for anything else there."""
    if link.is_symlink() and (not link.exists() or str(link.readlink()) == port):
        link.unlink()
    try:
        link.symlink_to(port)
    except FileExistsError as error:
        raise FileExistsError(error.errno, "there is a file of that name", str(link)) from None
    except OSError as error:  # its own name would be the port's
        raise OSError(error.errno, os.strerror(error.errno or 0), str(link)) from None


def _take_link(link: Path, port: str) -> None:
    if link.is_symlink() and str(link.readlink()) == port:
        link.unlink()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One RTU request with its check sum. What is none ends, as on a line, with a silence."""
    while True:
        frame = await reader.readexactly(1)
        while (missing := _size(frame) - len(frame)) > 0 and (more := await _soon(reader, missing)):
            frame += more
        if len(frame) > 3 and checked(frame[:-2]) == frame:
            return frame
        while await _soon(reader, 4096):
            pass


async def _soon(reader: asyncio.StreamReader, most: int) -> bytes:
    """What comes before a silence, b"" for nothing."""
    try:
        async with asyncio.timeout(_SILENCE_S):
            return await reader.read(most)
    except TimeoutError:
        return b""


def _size(frame: bytes) -> int:
    """Bytes of the request that begins so, as far as can be told."""
    if len(frame) < 2:
        return 2
    if frame[1] in {15, 16}:
        return 9 + frame[6] if len(frame) > 6 else 7
    if frame[1] == 23:
        return 13 + frame[10] if len(frame) > 10 else 11
    return {7: 4, 11: 4, 12: 4, 17: 4, 22: 10, 43: 7}.get(frame[1], 8)
