"""A plant of Modbus TCP devices in a process of its own: cheap, countable, and wrong on demand.

Run by tests/support/plant.py:  python -m tests.support.plant_server '{"lines": [[1], [1, 2]], "registers": 100}'
Each line is one listening port with its unit ids. It prints one JSON line with its ports, then obeys a control
connection: one JSON request a line, one JSON answer a line.

Registers below `registers` all carry the unit's poll count as uint16 (with `noise` only the first does, the others are
a hash of unit, count and place, which does not compress): the count goes up by one with each read that starts at
address 0. Addresses from `registers` on are plain memory. Behaviour of a unit ("ok", "silent", "garbage", "slow", or an exception code) is switched by `fault`;
a line can refuse connections or take them and never answer. Modbus: MODBUS Application Protocol 1.1b3.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

READ_BITS = (1, 2)
READ_WORDS = (3, 4)
_HEADER = struct.Struct(">HHHB")


@dataclass
class Unit:
    """One device."""

    id: int
    registers: int
    noise: bool
    count: int = 0
    requests: int = 0
    fault: str | int = "ok"
    delay: float = 0.0
    memory: dict[int, int] = field(default_factory=dict)
    coils: dict[int, bool] = field(default_factory=dict)
    writes: list[list[Any]] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0
    longest: float = 0.0

    def words(self, address: int, count: int) -> bytes:
        if address == 0:
            self.count += 1
            self.first = self.first or time.time()
            now = time.monotonic()
            self.longest = max(self.longest, now - self.last if self.last else 0.0)
            self.last = now
        if address + count <= self.registers:
            return self._counted(address, count)
        return b"".join(
            self._counted(at, 1) if at < self.registers else self.memory.get(at, 0).to_bytes(2, "big")
            for at in range(address, address + count)
        )

    def _counted(self, address: int, count: int) -> bytes:
        word = (self.count & 0xFFFF).to_bytes(2, "big")
        if not self.noise:
            return word * count
        seed = self.id.to_bytes(2, "big") + self.count.to_bytes(8, "big")
        words = word + hashlib.shake_128(seed).digest(2 * self.registers - 2)
        return words[2 * address : 2 * (address + count)]

    def answer(self, pdu: bytes) -> bytes:
        """The answer to one request PDU."""
        self.requests += 1
        if isinstance(self.fault, int):
            return bytes((pdu[0] | 0x80, self.fault))
        function = pdu[0]
        if function in READ_WORDS:
            address, count = struct.unpack_from(">HH", pdu, 1)
            if not 1 <= count <= 125:
                return bytes((function | 0x80, 3))
            return bytes((function, 2 * count)) + self.words(address, count)
        if function in READ_BITS:
            return self._bits(pdu)
        return self._write(pdu)

    def _bits(self, pdu: bytes) -> bytes:
        address, count = struct.unpack_from(">HH", pdu, 1)
        packed = bytearray((count + 7) // 8)
        for index in range(count):
            if self.coils.get(address + index, False):
                packed[index // 8] |= 1 << index % 8
        return bytes((pdu[0], len(packed))) + bytes(packed)

    def _write(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function not in (5, 6, 15, 16):
            return bytes((function | 0x80, 1))
        address, value = struct.unpack_from(">HH", pdu, 1)
        if function == 5:
            self.coils[address] = value == 0xFF00
            self.writes.append([address, value == 0xFF00, time.time()])
        elif function == 6:
            self.memory[address] = value
            self.writes.append([address, value, time.time()])
        elif function == 15:
            for index in range(value):
                self.coils[address + index] = bool(pdu[6 + index // 8] >> index % 8 & 1)
            self.writes.append([address, value, time.time()])
        else:
            words = list(struct.unpack_from(f">{value}H", pdu, 6))
            self.memory.update(zip(range(address, address + value), words, strict=True))
            self.writes.append([address, words, time.time()])
        return pdu[:5]


@dataclass
class Line:
    """One port and the units behind it."""

    units: dict[int, Unit]
    port: int = 0
    accepted: int = 0
    black_hole: bool = False
    server: asyncio.Server | None = None
    peers: set[Peer] = field(default_factory=set)


class Peer(asyncio.Protocol):
    """One connection of a master."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.line.accepted += 1
        self.line.peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.line.peers.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.line.black_hole:
            return
        buffer = self.buffer + data
        while len(buffer) >= 8:
            transaction, _protocol, length, unit_id = _HEADER.unpack_from(buffer)
            end = 6 + length
            if len(buffer) < end:
                break
            self._serve(transaction, unit_id, buffer[7:end])
            buffer = buffer[end:]
        self.buffer = buffer

    def _serve(self, transaction: int, unit_id: int, pdu: bytes) -> None:
        unit = self.line.units.get(unit_id)
        assert self.transport is not None
        if unit is None:
            self._send(transaction, unit_id, bytes((pdu[0] | 0x80, 0x0B)))
        elif unit.fault == "silent":
            unit.requests += 1
        elif unit.fault == "garbage":
            unit.requests += 1
            self.transport.write(bytes((transaction + 7 * index) & 0xFF for index in range(61)))
        elif unit.fault == "foreign":
            # The right length, another transaction: what a late answer of another request looks like.
            self._send((transaction + 1) & 0xFFFF, unit_id, unit.answer(pdu))
        elif unit.fault == "slow":
            self._drip(self._frame(transaction, unit_id, unit.answer(pdu)))
        elif unit.delay:
            frame = self._frame(transaction, unit_id, unit.answer(pdu))
            asyncio.get_running_loop().call_later(unit.delay, self._late, frame)
        else:
            self._send(transaction, unit_id, unit.answer(pdu))

    @staticmethod
    def _frame(transaction: int, unit_id: int, pdu: bytes) -> bytes:
        return _HEADER.pack(transaction, 0, len(pdu) + 1, unit_id) + pdu

    def _send(self, transaction: int, unit_id: int, pdu: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self._frame(transaction, unit_id, pdu))

    def _late(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def _drip(self, frame: bytes) -> None:
        """One byte every 2 ms."""
        self._late(frame[:1])
        if len(frame) > 1:
            asyncio.get_running_loop().call_later(0.002, self._drip, frame[1:])


class Plant:
    """All lines and the control connection."""

    def __init__(self, spec: dict[str, Any]) -> None:
        registers, noise = spec.get("registers", 100), spec.get("noise", False)
        self.lines = [Line({unit: Unit(unit, registers, noise) for unit in units}) for units in spec["lines"]]
        self.ports = spec.get("ports", [0] * len(self.lines))
        self.host = spec.get("host", "127.0.0.1")
        self.ended = asyncio.Event()

    async def run(self) -> None:
        for line, port in zip(self.lines, self.ports, strict=True):
            line.port = port
            await self.listen(line)
        control = await asyncio.start_server(self.control, "127.0.0.1", 0, limit=1 << 24)
        port = control.sockets[0].getsockname()[1]
        print(json.dumps({"ports": [line.port for line in self.lines], "control": port}), flush=True)
        await self.ended.wait()

    async def listen(self, line: Line) -> None:
        if line.server is None:
            loop = asyncio.get_running_loop()
            line.server = await loop.create_server(lambda: Peer(line), self.host, line.port)
            line.port = line.server.sockets[0].getsockname()[1]

    def hang_up(self, line: Line) -> None:
        for peer in list(line.peers):
            if peer.transport is not None:
                peer.transport.abort()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while text := await reader.readline():
            answer = await self.obey(json.loads(text))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        # The test is gone, and so is the plant: nothing stays behind when a test process is killed.
        self.ended.set()

    async def obey(self, request: dict[str, Any]) -> Any:
        what = request["do"]
        if what == "state":
            return [
                {
                    "accepted": line.accepted,
                    "open": len(line.peers),
                    "units": {
                        unit.id: {
                            "count": unit.count,
                            "requests": unit.requests,
                            "first": unit.first,
                            "longest": unit.longest,
                        }
                        for unit in line.units.values()
                    },
                }
                for line in self.lines
            ]
        if what == "watch gaps":
            for unit in (unit for line in self.lines for unit in line.units.values()):
                unit.longest = 0.0
            return True
        line = self.lines[request["line"]]
        if what == "line":
            await self.switch(line, request["mode"])
            return True
        unit = line.units[request["unit"]]
        if what == "fault":
            unit.fault, unit.delay = request["fault"], request.get("delay", 0.0)
            return True
        if what == "memory":
            if request.get("value") is not None:
                unit.memory[request["address"]] = request["value"]
            return unit.memory.get(request["address"], 0)
        assert what == "writes"
        return unit.writes

    async def switch(self, line: Line, mode: str) -> None:
        line.black_hole = mode == "black_hole"
        if mode == "refuse" and line.server is not None:
            line.server.close()
            line.server = None
        elif mode in ("pass", "black_hole"):
            await self.listen(line)
        if mode in ("refuse", "hang_up"):
            self.hang_up(line)


if __name__ == "__main__":
    asyncio.run(Plant(json.loads(sys.argv[1])).run())
