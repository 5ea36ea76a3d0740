"""Answers of a simulated unit: Modbus Application Protocol V1.1b3, functions 1 to 6, 8, 15, 16, 22, 43/14."""

from __future__ import annotations

import struct
import time
from collections import deque

from msgspec import Struct

from drivers.modbus import served
from drivers.modbus.address import Table
from drivers.modbus.served import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, READS, Refused
from drivers.modbus.simulator.faults import Faults
from drivers.modbus.simulator.image import Image

_LOG = 10_000


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
            answer = served.refusal(pdu, code)
        except (struct.error, IndexError):
            code = ILLEGAL_VALUE
            answer = served.refusal(pdu, code)
        self.total += 1
        first, count = struct.unpack(">HH", pdu[1:5]) if len(pdu) >= 5 else (0, 0)
        self.seen.append(Seen(time.time(), pdu[0], first, count, code))
        return answer

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        for code, place in self.faults.exceptions:
            if place is None:
                raise Refused(code)
        if function in READS:
            return self._read(pdu)
        if function in {5, 6, 15, 16, 22}:
            return self._write(function, pdu)
        if function == 8:
            return pdu
        if function == 43 and pdu[1:2] == b"\x0e":
            return served.identification(self.name or "simulated")
        raise Refused(ILLEGAL_FUNCTION)

    def _read(self, pdu: bytes) -> bytes:
        table, first, count = served.asked(pdu)
        if count > (self.faults.most_bits if table.is_bits else self.faults.most_registers):
            raise Refused(ILLEGAL_VALUE)
        self._check(table, first, count)
        cells = self.image.cells[table]
        try:
            values = [cells[place] for place in range(first, first + count)]
        except KeyError:
            raise Refused(ILLEGAL_ADDRESS) from None
        if table.is_bits:
            return served.bits_answer(pdu[0], values)
        return served.registers_answer(pdu[0], struct.pack(f">{count}H", *values))

    def _check(self, table: Table, first: int, count: int) -> None:
        for code, place in self.faults.exceptions:
            if place is not None and place.table is table and place.overlaps(first, first + count):
                raise Refused(code)

    def _write(self, function: int, pdu: bytes) -> bytes:
        if function == served.MASK_REGISTER:
            first, keep, put = struct.unpack(">HHH", pdu[1:7])
            old = self.image.cells[Table.HOLDING].get(first, 0)
            wanted = served.Change(Table.HOLDING, first, ((old & keep) | (put & ~keep & 0xFFFF),))
        else:
            wanted = served.change(pdu)
        places = range(wanted.first, wanted.first + len(wanted.values))
        self._check(wanted.table, places.start, len(places))
        if not all(place in self.image.writable[wanted.table] for place in places):
            raise Refused(ILLEGAL_ADDRESS)
        for place, value in zip(places, wanted.values, strict=True):
            self.image.cells[wanted.table][place] = value
        return served.confirmed(pdu)
