"""The answering side of Modbus, shared by the simulator and the server to the plant: requests taken apart, answers put
together. Modbus Application Protocol V1.1b3, section 6; Messaging on TCP/IP V1.0b, 3.1.3.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from msgspec import Struct

from drivers.modbus.address import Table

HEADER = struct.Struct(">HHHB")
LONGEST_MBAP = 254  # unit, function code and 252 bytes: V1.1b3, 4.1
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, DEVICE_BUSY = 1, 2, 3, 4, 6
NO_TARGET = 0x0B
READS = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
WRITE_COIL, WRITE_REGISTER, ECHO, WRITE_COILS, WRITE_REGISTERS, MASK_REGISTER, IDENTIFY = 5, 6, 8, 15, 16, 22, 43
MOST_BITS, MOST_REGISTERS = 2000, 125
_ON = 0xFF00


class Refused(Exception):
    """The unit says no; `code` is the exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Garbage(Exception):
    """What came is no Modbus TCP, and where the next frame begins cannot be told."""


class Change(Struct, frozen=True):
    """What a write asks for: bits (0 or 1) or registers from `first` on."""

    table: Table
    first: int
    values: tuple[int, ...]


async def read_request(
    reader: asyncio.StreamReader, *, strict: bool = False, first: bytes = b""
) -> tuple[int, int, bytes]:
    """Number, unit and PDU of the next request. Raises IncompleteReadError when the client is gone, Garbage.

    `strict`: a protocol id other than 0 is garbage too. `first`: what of it was read already.
    """
    head = first + await reader.readexactly(HEADER.size - len(first))
    number, protocol, length, unit = HEADER.unpack(head)
    if not 2 <= length <= LONGEST_MBAP or (strict and protocol != 0):
        raise Garbage(f"a header of {protocol}, {length}")
    return number, unit, await reader.readexactly(length - 1)


def frame(number: int, unit: int, pdu: bytes) -> bytes:
    """The bytes of an answer."""
    return HEADER.pack(number, 0, len(pdu) + 1, unit) + pdu


def refusal(pdu: bytes, code: int) -> bytes:
    """The PDU that says no to a request."""
    return bytes((pdu[0] | 0x80, code))


def asked(pdu: bytes) -> tuple[Table, int, int]:
    """Table, first place and count of a read. Raises Refused; struct.error when it is too short."""
    table = READS[pdu[0]]
    first, count = struct.unpack(">HH", pdu[1:5])
    if not 0 < count <= (MOST_BITS if table.is_bits else MOST_REGISTERS):
        raise Refused(ILLEGAL_VALUE)
    if first + count > 0x10000:
        raise Refused(ILLEGAL_ADDRESS)
    return table, first, count


def bits_answer(function: int, bits: Sequence[int | bool]) -> bytes:
    """The PDU that gives bits."""
    data = sum(1 << i for i, bit in enumerate(bits) if bit).to_bytes((len(bits) + 7) // 8, "little")
    return bytes((function, len(data))) + data


def registers_answer(function: int, data: bytes) -> bytes:
    """The PDU that gives registers."""
    return bytes((function, len(data))) + data


def change(pdu: bytes) -> Change:
    """What a write of 5, 6, 15 or 16 asks for. Raises Refused; struct.error when it is too short."""
    function = pdu[0]
    first, second = struct.unpack(">HH", pdu[1:5])
    if function == WRITE_COIL:
        if second not in (0, _ON):
            raise Refused(ILLEGAL_VALUE)
        return Change(Table.COIL, first, (int(second == _ON),))
    if function == WRITE_REGISTER:
        return Change(Table.HOLDING, first, (second,))
    size = (second + 7) // 8 if function == WRITE_COILS else 2 * second
    if len(pdu) < 6 + size or pdu[5] != size or not second:
        raise Refused(ILLEGAL_VALUE)
    if first + second > 0x10000:
        raise Refused(ILLEGAL_ADDRESS)
    if function == WRITE_COILS:
        return Change(Table.COIL, first, tuple(pdu[6 + i // 8] >> i % 8 & 1 for i in range(second)))
    return Change(Table.HOLDING, first, struct.unpack(f">{second}H", pdu[6 : 6 + size]))


def confirmed(pdu: bytes) -> bytes:
    """The PDU that says that a write was done."""
    return pdu[:5] if pdu[0] in {WRITE_COILS, WRITE_REGISTERS} else pdu


def identification(name: str) -> bytes:
    """Who answers: Read Device Identification (6.21), basic."""
    objects = [(0, b"Fieldpost"), (1, name.encode()[:60] or b"Fieldpost"), (2, b"1")]
    body = b"".join(bytes((number, len(text))) + text for number, text in objects)
    return bytes((IDENTIFY, 14, 1, 1, 0, 0, len(objects))) + body
