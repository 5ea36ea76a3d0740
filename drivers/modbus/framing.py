"""The three framings of Modbus: bytes of a request, and the next frame in what has come.

MBAP: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3. RTU and ASCII: MODBUS over Serial Line V1.02, 2.5.
Check sums are pymodbus' own. A framing is `tagged` when an answer carries the number of its request; RTU and ASCII
answers do not, which is why wire.py must know what is still owed (owed.py).
"""

from __future__ import annotations

import struct
from typing import Protocol

from msgspec import Struct
from pymodbus.framer.ascii import FramerAscii
from pymodbus.framer.rtu import FramerRTU

_MBAP = struct.Struct(">HHHBB")
_MBAP_BEFORE_LENGTH = 6
_LONGEST_MBAP = 254  # unit, function code and 252 bytes: V1.1b3, 4.1
_LONGEST = 256
_EXCEPTION = 0x80
_COUNTED = frozenset({1, 2, 3, 4, 17, 23})
"""Functions whose answer says its length in the first byte after the code."""
_FIXED = {5: 8, 6: 8, 8: 8, 15: 8, 16: 8, 22: 10}
"""Bytes of an RTU answer, check sum included. 8 (loopback) is asked with two bytes of data only."""
_IDENTIFICATION = 43


class Adu(Struct, frozen=True):
    """One frame: the number it carries (0 where it carries none), the unit, and the PDU (function code first)."""

    number: int
    unit: int
    pdu: bytes


class Garbage(Exception):
    """What came cannot be a frame, and where the next one begins cannot be told."""


class BadSum(Exception):
    """The answer came, but not as it was sent."""


class Framing(Protocol):
    """How frames look on one kind of wire."""

    tagged: bool

    def build(self, number: int, unit: int, pdu: bytes) -> bytes:
        """The bytes of a request."""
        ...

    def take(self, data: bytes, unit: int, code: int) -> tuple[Adu | None, int]:
        """The first frame in `data` and how many bytes are used up with it; (None, n) when more must come.

        `unit` and `code` are of the request in flight: noise before its answer is passed over. Raises Garbage, or
        BadSum when the answer to it is there and damaged.
        """
        ...


class Mbap:
    """Modbus TCP, with or without TLS."""

    tagged = True

    def build(self, number: int, unit: int, pdu: bytes) -> bytes:
        return _MBAP.pack(number, 0, len(pdu) + 1, unit, pdu[0]) + pdu[1:]

    def take(self, data: bytes, unit: int, code: int) -> tuple[Adu | None, int]:  # noqa: ARG002 - the protocol's form
        if len(data) < _MBAP.size:
            return None, 0
        number, protocol, length, of_unit, _ = _MBAP.unpack_from(data)
        if protocol != 0 or not 3 <= length <= _LONGEST_MBAP:
            raise Garbage("noise on the connection")
        end = length + _MBAP_BEFORE_LENGTH
        if len(data) < end:
            return None, 0
        return Adu(number, of_unit, bytes(data[_MBAP_BEFORE_LENGTH + 1 : end])), end


class Rtu:
    """Binary frames with a check sum and no length: the function code tells where a frame ends."""

    tagged = False

    def build(self, number: int, unit: int, pdu: bytes) -> bytes:  # noqa: ARG002 - the protocol's form
        return checked(bytes((unit,)) + pdu)

    def take(self, data: bytes, unit: int, code: int) -> tuple[Adu | None, int]:
        size = rtu_size(data, 0)
        if 0 < size <= len(data) and _sum_is_right(data, 0, size):
            return Adu(0, data[0], bytes(data[1 : size - 2])), size
        if size > len(data) and data[0] == unit and data[1] & ~_EXCEPTION == code:
            return None, 0  # the answer is coming; what its data look like says nothing
        # Noise, an echo, or the rest of a frame that began before we listened: look for the answer behind it.
        for place in range(1, len(data) - 3):
            if data[place] != unit or data[place + 1] & ~_EXCEPTION != code:
                continue
            size = rtu_size(data, place)
            if 0 < size <= len(data) - place and _sum_is_right(data, place, size):
                return Adu(0, unit, bytes(data[place + 1 : place + size - 2])), place + size
        size = rtu_size(data, 0)
        if 0 < size <= len(data) and data[0] == unit and data[1] & ~_EXCEPTION == code:
            raise BadSum
        return None, max(0, len(data) - _LONGEST)


class Ascii:
    """Hexadecimal text between a colon and CR LF, with a longitudinal check sum."""

    tagged = False

    def build(self, number: int, unit: int, pdu: bytes) -> bytes:  # noqa: ARG002 - the protocol's form
        body = bytes((unit,)) + pdu
        return b":" + body.hex().upper().encode() + f"{FramerAscii.compute_LRC(body):02X}\r\n".encode()

    def take(self, data: bytes, unit: int, code: int) -> tuple[Adu | None, int]:
        at, damaged = 0, False
        while (end := data.find(b"\r\n", at)) >= 0:
            begin = data.rfind(b":", at, end)
            body = _from_hex(data[begin + 1 : end]) if begin >= 0 else b""
            if len(body) > 3 and FramerAscii.compute_LRC(body[:-1]) == body[-1]:
                return Adu(0, body[0], body[1:-1]), end + 2
            head = _from_hex(data[begin + 1 : begin + 5]) if begin >= 0 else b""
            damaged |= len(head) == 2 and head[0] == unit and head[1] & ~_EXCEPTION == code
            at = end + 2
        if damaged:
            raise BadSum
        return None, max(at, len(data) - 2 * _LONGEST)


def checked(frame: bytes) -> bytes:
    """A frame with its RTU check sum behind it."""
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


def rtu_size(data: bytes, at: int) -> int:
    """Bytes of the answer that begins at `at`, 0 while that cannot be told (or never)."""
    left = len(data) - at
    if left < 3:
        return 0
    code = data[at + 1]
    if code & _EXCEPTION:
        return 5
    if code in _COUNTED:
        return 5 + data[at + 2]
    if code == _IDENTIFICATION:
        return _identification_size(data, at)
    return _FIXED.get(code, 0)


def _identification_size(data: bytes, at: int) -> int:
    """Read Device Identification (V1.1b3, 6.21): a list of objects, each with its own length."""
    end = at + 8
    if len(data) < end:
        return 0
    for _ in range(data[at + 7]):
        if len(data) < end + 2:
            return 0
        end += 2 + data[end + 1]
    return end + 2 - at


def _sum_is_right(data: bytes, at: int, size: int) -> bool:
    end = at + size - 2
    return FramerRTU.compute_CRC(bytes(data[at:end])) == int.from_bytes(data[end : end + 2], "big")


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return b""
