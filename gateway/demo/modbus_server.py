"""A small Modbus TCP server for simulated devices (MODBUS Application Protocol 1.1b3, MODBUS Messaging on TCP/IP 1.0b).

Functions 1-6, 15 and 16. One unit per listening port, as with most devices that have an Ethernet port of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

COIL, DISCRETE, INPUT, HOLDING = "coil", "discrete", "input", "holding"
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, NO_SUCH_TARGET = 1, 2, 3, 4, 0x0B

_MBAP = struct.Struct(">HHHB")
_READS = {1: (COIL, 2000), 2: (DISCRETE, 2000), 3: (HOLDING, 125), 4: (INPUT, 125)}
_IDLE_S = 300.0
_MOST_CONNECTIONS = 16


class Refused(Exception):
    """The device says no; `code` is the Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


def _read_only(_table: str, _address: int, _value: int) -> None:
    raise Refused(ILLEGAL_ADDRESS)


@dataclass(slots=True)
class Image:
    """A unit's four tables, address (0-based) to value; what is not in them does not exist.

    `on_write` takes a written coil (0 or 1) or register and may raise Refused; it updates the tables itself.
    """

    unit_id: int = 1
    tables: Mapping[str, MutableMapping[int, int]] = field(
        default_factory=lambda: {COIL: {}, DISCRETE: {}, INPUT: {}, HOLDING: {}}
    )
    on_write: Callable[[str, int, int], None] = _read_only

    def read(self, table: str, address: int, count: int) -> list[int]:
        cells = self.tables[table]
        try:
            return [cells[place] for place in range(address, address + count)]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None


def float32(value: float) -> tuple[int, int]:
    """Two registers, high word first (ABCD)."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def uint32(value: float) -> tuple[int, int]:
    """Two registers, high word first."""
    whole = int(value) & 0xFFFFFFFF
    return whole >> 16, whole & 0xFFFF


def int16(value: float) -> int:
    """One register, two's complement, limited to what fits."""
    return max(-32768, min(32767, round(value))) & 0xFFFF


def fill(cells: MutableMapping[int, int], address: int, words: Sequence[int]) -> None:
    """Put consecutive registers."""
    for offset, word in enumerate(words):
        cells[address + offset] = word


def answer(image: Image, pdu: bytes) -> bytes:
    """The response PDU for a request PDU; a refusal becomes an exception response."""
    function = pdu[0]
    try:
        if function in _READS:
            return _answer_read(image, pdu)
        if function in {5, 6}:
            return _answer_single(image, pdu)
        if function in {15, 16}:
            return _answer_multiple(image, pdu)
    except Refused as refused:
        return bytes((function | 0x80, refused.code))
    except struct.error:
        return bytes((function | 0x80, ILLEGAL_VALUE))
    return bytes((function | 0x80, ILLEGAL_FUNCTION))


def _answer_read(image: Image, pdu: bytes) -> bytes:
    function, address, count = struct.unpack(">BHH", pdu)
    table, most = _READS[function]
    if not 0 < count <= most:
        raise Refused(ILLEGAL_VALUE)
    values = image.read(table, address, count)
    if most == 125:
        return struct.pack(f">BB{count}H", function, 2 * count, *values)
    packed = sum(1 << place for place, value in enumerate(values) if value).to_bytes((count + 7) // 8, "little")
    return bytes((function, len(packed))) + packed


def _answer_single(image: Image, pdu: bytes) -> bytes:
    function, address, value = struct.unpack(">BHH", pdu)
    if function == 5:
        if value not in {0, 0xFF00}:
            raise Refused(ILLEGAL_VALUE)
        image.on_write(COIL, address, int(value == 0xFF00))
    else:
        image.on_write(HOLDING, address, value)
    return pdu


def _answer_multiple(image: Image, pdu: bytes) -> bytes:
    function, address, count, size = struct.unpack_from(">BHHB", pdu)
    data = pdu[6:]
    if function == 16:
        if not 0 < count <= 123 or size != 2 * count or len(data) != size:
            raise Refused(ILLEGAL_VALUE)
        for offset, value in enumerate(struct.unpack(f">{count}H", data)):
            image.on_write(HOLDING, address + offset, value)
    else:
        if not 0 < count <= 1968 or size != (count + 7) // 8 or len(data) != size:
            raise Refused(ILLEGAL_VALUE)
        bits = int.from_bytes(data, "little")
        for offset in range(count):
            image.on_write(COIL, address + offset, bits >> offset & 1)
    return struct.pack(">BHH", function, address, count)


class ModbusServer:
    """Serves one image on one port until closed."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._open = 0

    async def run(self, port: int, listening: asyncio.Future[int]) -> None:
        """Listen on loopback; `listening` gets the port. Ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            server = await asyncio.start_server(
                lambda reader, writer: self._accept(group, reader, writer), "127.0.0.1", port
            )
            listening.set_result(int(server.sockets[0].getsockname()[1]))
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()

    def _accept(self, group: asyncio.TaskGroup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        group.create_task(self._serve(reader, writer), name="modbus:connection")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its response. False when the peer does not speak Modbus."""
        async with asyncio.timeout(_IDLE_S):
            transaction, protocol, length, unit = _MBAP.unpack(await reader.readexactly(_MBAP.size))
            if protocol != 0 or not 2 <= length <= 254:
                return False
            pdu = await reader.readexactly(length - 1)
        if unit in {self._image.unit_id, 0xFF}:
            response = answer(self._image, pdu)
        else:
            response = bytes((pdu[0] | 0x80, NO_SUCH_TARGET))
        writer.write(_MBAP.pack(transaction, 0, len(response) + 1, unit) + response)
        async with asyncio.timeout(_IDLE_S):
            await writer.drain()
        return True
