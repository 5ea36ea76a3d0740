"""Answers of a simulated unit: Modbus Application Protocol V1.1b3, functions 1 to 6, 8, 15, 16, 22, 43/14."""

from __future__ import annotations

import struct
import time
from collections import deque

from msgspec import Struct

from drivers.modbus.address import Table
from drivers.modbus.simulator.faults import Faults
from drivers.modbus.simulator.image import Image

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
_READS = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
_LOG = 10_000


class Refused(Exception):
    """The unit says no; `code` is the exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Seen(Struct, frozen=True):
    """A request that reached the unit: when in seconds, function, first address, count or value, and the exception it
    got (0: none).
    """

    at: float
    function: int
    address: int
    count: int
    exception: int


class Unit:
    """One unit with its cells and faults. `seen`: the last 10,000 requests; `total`: all that ever came."""

    def __init__(self, image: Image, faults: Faults, name: str = "") -> None:
        self.image = image
        self.faults = faults
        self.name = name
        self.seen: deque[Seen] = deque(maxlen=_LOG)
        self.total = 0

    def answer(self, pdu: bytes) -> bytes:
        """The answer's PDU; a refusal is an exception."""
        code = 0
        try:
            answer = self._answer(pdu)
        except Refused as refused:
            code = refused.code
            answer = bytes((pdu[0] | 0x80, code))
        except (struct.error, IndexError):
            code = ILLEGAL_VALUE
            answer = bytes((pdu[0] | 0x80, code))
        self.total += 1
        first, count = struct.unpack(">HH", pdu[1:5]) if len(pdu) >= 5 else (0, 0)
        self.seen.append(Seen(time.time(), pdu[0], first, count, code))
        return answer

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        for code, place in self.faults.exceptions:
            if place is None:
                raise Refused(code)
        if function in _READS:
            return self._read(function, *struct.unpack(">HH", pdu[1:5]))
        if function in {5, 6, 15, 16, 22}:
            return self._write(function, pdu)
        if function == 8:
            return pdu
        if function == 43 and pdu[1:2] == b"\x0e":
            return self._identify()
        raise Refused(ILLEGAL_FUNCTION)

    def _read(self, function: int, first: int, count: int) -> bytes:
        table = _READS[function]
        most = self.faults.most_bits if table.is_bits else self.faults.most_registers
        if not 0 < count <= min(most, 2000 if table.is_bits else 125):
            raise Refused(ILLEGAL_VALUE)
        self._check(table, first, count)
        cells = self.image.cells[table]
        try:
            values = [cells[place] for place in range(first, first + count)]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None
        if table.is_bits:
            data = sum(1 << i for i, bit in enumerate(values) if bit).to_bytes((count + 7) // 8, "little")
        else:
            data = struct.pack(f">{count}H", *values)
        return bytes((function, len(data))) + data

    def _check(self, table: Table, first: int, count: int) -> None:
        for code, place in self.faults.exceptions:
            if place is not None and place.table is table and place.overlaps(first, first + count):
                raise Refused(code)

    def _write(self, function: int, pdu: bytes) -> bytes:
        first, second = struct.unpack(">HH", pdu[1:5])
        table = Table.COIL if function in {5, 15} else Table.HOLDING
        if function == 5:
            values = [int(second == 0xFF00)]
        elif function == 6:
            values = [second]
        elif function == 15:
            values = [pdu[6 + i // 8] >> i % 8 & 1 for i in range(second)]
        elif function == 16:
            values = list(struct.unpack(f">{second}H", pdu[6 : 6 + 2 * second]))
        else:
            old = self.image.cells[table].get(first, 0)
            values = [(old & second) | (int.from_bytes(pdu[5:7], "big") & ~second & 0xFFFF)]
        self._check(table, first, len(values))
        places = range(first, first + len(values))
        if not all(place in self.image.writable[table] for place in places):
            raise Refused(ILLEGAL_ADDRESS)
        for place, value in zip(places, values, strict=True):
            self.image.cells[table][place] = value
        return pdu[:5] if function in {15, 16} else pdu

    def _identify(self) -> bytes:
        objects = [(0, b"Fieldpost"), (1, self.name.encode()[:60] or b"simulated"), (2, b"1")]
        body = b"".join(bytes((number, len(text))) + text for number, text in objects)
        return bytes((43, 14, 1, 1, 0, 0, len(objects))) + body
