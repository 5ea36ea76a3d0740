"""A Modbus TCP server that misbehaves on demand. Written from the specification, shares no code with the driver.

Register n of unit u holds (1000 * u + n) mod 65536; coil n is on when n is odd. Writes to registers and coils are
kept. `mode` may be changed at any time and holds for the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

HEADER = struct.Struct(">HHHB")


class FaultServer:
    """One listening port. `requests`: (unit, function, address, count or value) of every request seen."""

    def __init__(self) -> None:
        self.mode = "good"
        self.exception = 0
        self.refuse_next = 0
        """So many of the next requests are answered with exception 2."""
        self.mute: set[int] = set()
        """Register addresses that are met with silence."""
        self.silent_from = 0
        """From this request on nothing is answered; 0 switches that off."""
        self.silent_at = 0
        """The number of the one request, counted from 1, that stays without an answer."""
        self.unknown_functions: set[int] = set()
        self.forbidden: set[int] = set()
        """Register addresses that are answered with exception 2."""
        self.max_registers = 125
        self.silent_above = 0
        """Reads of more registers than this stay without an answer; 0 switches that off."""
        self.slow_s = 0.0
        """How long mode `slow` takes for an answer."""
        self.requests: list[tuple[int, int, int, int]] = []
        self.connections = 0
        self.registers: dict[tuple[int, int], int] = {}
        self.coils: dict[tuple[int, int], bool] = {}
        self._late: bytes = b""
        self._late_to: asyncio.StreamWriter | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultServer]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.drop()
            self._server.close()
            await self._server.wait_closed()
            while self._writers:
                await asyncio.sleep(0)

    def drop(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    tid, _, length, unit = HEADER.unpack(await reader.readexactly(7))
                    pdu = await reader.readexactly(length - 1)
                    self._react(writer, tid, unit, pdu)
        finally:
            self._writers.discard(writer)
            writer.close()

    def _react(self, writer: asyncio.StreamWriter, tid: int, unit: int, pdu: bytes) -> None:
        if len(pdu) < 5:  # functions that this device does not know
            writer.write(_frame(tid, unit, bytes([pdu[0] | 0x80, 1])))
            return
        address, count = struct.unpack(">HH", pdu[1:5])
        self.requests.append((unit, pdu[0], address, count))
        if len(self.requests) == self.silent_at or 0 < self.silent_from <= len(self.requests):
            return
        if pdu[0] in {3, 4} and self.mute & set(range(address, address + count)):
            return
        if self.silent_above and pdu[0] in {3, 4} and count > self.silent_above:
            return
        good = _frame(tid, unit, self._answer(unit, pdu))
        match self.mode:
            case "good":
                writer.write(good)
            case "silent":
                pass
            case "slow":
                asyncio.get_running_loop().call_later(self.slow_s, _send, writer, good)
            case "late":  # kept back, and sent in one segment with the next answer
                self._late += good
                self.mode = "late-then-good"
            case "half-then-rest":  # the rest is sent in one segment with the next answer on this connection
                writer.write(good[: len(good) // 2])
                self._late, self._late_to = good[len(good) // 2 :], writer
                self.mode = "late-then-good"
            case "late-then-good":
                writer.write((self._late if self._late_to in {None, writer} else b"") + good)
                self._late, self.mode = b"", "good"
            case "wrong-tid":
                writer.write(_frame(tid ^ 0x5555, unit, self._answer(unit, pdu)))
            case "foreign-then-good":
                writer.write(_frame(tid ^ 0x5555, unit, self._answer(unit, pdu)) + good)
            case "wrong-unit":
                writer.write(_frame(tid, unit + 1, self._answer(unit + 1, pdu)))
            case "wrong-function":
                writer.write(_frame(tid, unit, b"\x04" + self._answer(unit, pdu)[1:]))
            case "half":
                writer.write(good[: len(good) // 2])
            case "noise":
                writer.write(bytes(range(0x80, 0x98)))
            case "short-data":
                writer.write(_frame(tid, unit, bytes([pdu[0], 2, 0x12, 0x34])))
            case "lying-count":
                body = self._answer(unit, pdu)
                writer.write(_frame(tid, unit, bytes([body[0], body[1] - 2]) + body[2:]))
            case "byte-by-byte":
                for byte in good:
                    writer.write(bytes([byte]))
            case "drop":
                writer.transport.abort()

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        function = pdu[0]
        address, count = struct.unpack(">HH", pdu[1:5])
        if self.exception:
            return bytes([function | 0x80, self.exception])
        if self.refuse_next:
            self.refuse_next -= 1
            return bytes([function | 0x80, 2])
        if function in self.unknown_functions:
            return bytes([function | 0x80, 1])
        if function in {3, 4} and count > self.max_registers:
            return bytes([function | 0x80, 3])
        if function in {3, 4} and self.forbidden & set(range(address, address + count)):
            return bytes([function | 0x80, 2])
        if function in {3, 4}:
            words = [self.register(unit, address + i) for i in range(count)]
            return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)
        if function in {1, 2}:
            bits = sum(self.coil(unit, address + i) << i for i in range(count))
            data = bits.to_bytes((count + 7) // 8, "little")
            return bytes([function, len(data)]) + data
        return self._written(unit, pdu, address, count)

    def _written(self, unit: int, pdu: bytes, address: int, count: int) -> bytes:
        if pdu[0] == 5:
            self.coils[unit, address] = count == 0xFF00
        elif pdu[0] == 6:
            self.registers[unit, address] = count
        elif pdu[0] == 15:
            for i in range(count):
                self.coils[unit, address + i] = bool(pdu[6 + i // 8] >> (i % 8) & 1)
            return pdu[:5]
        elif pdu[0] == 16:
            for i, word in enumerate(struct.unpack(f">{count}H", pdu[6:])):
                self.registers[unit, address + i] = word
            return pdu[:5]
        elif pdu[0] == 22:
            old, or_mask = self.register(unit, address), struct.unpack(">H", pdu[5:7])[0]
            self.registers[unit, address] = (old & count) | (or_mask & ~count & 0xFFFF)
        return pdu

    def register(self, unit: int, address: int) -> int:
        return self.registers.get((unit, address), (1000 * unit + address) % 65536)

    def coil(self, unit: int, address: int) -> bool:
        return self.coils.get((unit, address), address % 2 == 1)


def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.transport.is_closing():
        writer.write(data)


def _frame(tid: int, unit: int, pdu: bytes) -> bytes:
    return HEADER.pack(tid, 0, len(pdu) + 1, unit) + pdu
