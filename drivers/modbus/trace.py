"""Frames as people read them: what was asked, what was answered, what belongs to nobody."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from drivers.modbus.address import Address, Table
from drivers.modbus.framing import Adu, BadSum, Framing, Garbage
from drivers.modbus.refusals import EXCEPTIONS
from gateway.clock import Clock
from gateway.driver import Frame

_TABLES = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
_WRITES = {5: Table.COIL, 6: Table.HOLDING, 15: Table.COIL, 16: Table.HOLDING, 22: Table.HOLDING}
_NAMES = {8: "loopback", 17: "report server id", 43: "read device identification"}
_MOST_WORDS = 10
_EXCEPTION = 0x80
_NOTHING = -1
"""Unit and code while nothing was asked."""


class Tracer:
    """Turns the bytes of one wire into frames. `listener` is called for each, in order."""

    def __init__(self, framing: Framing, clock: Clock, listener: Callable[[Frame], None]) -> None:
        self._framing = framing
        self._clock = clock
        self._listener = listener
        self._waiting = b""
        self._unit = self._code = self._number = _NOTHING
        self._sent = 0.0

    def __call__(self, sending: bool, data: bytes) -> None:
        """A piece of bytes; what was received stays until it is a frame, or until the next request goes out."""
        if sending:
            self._flush()
            self._ask(data)
            return
        self._waiting += data
        try:
            while self._waiting:
                adu, used = self._framing.take(self._waiting, self._unit, self._code)
                if adu is None:
                    return
                frame, self._waiting = self._waiting[:used], self._waiting[used:]
                self._tell(False, frame, self._answer(adu), adu.unit)
        except BadSum:
            self._flush("check sum is wrong")
        except Garbage as error:
            self._flush(str(error))

    def _flush(self, text: str = "no whole frame") -> None:
        data, self._waiting = self._waiting, b""
        if data:
            self._tell(False, data, text, -1)

    def _tell(self, sending: bool, data: bytes, text: str, unit: int) -> None:
        self._listener(Frame(self._clock.wall_ms(), sending, data, text, unit))

    def _ask(self, data: bytes) -> None:
        adu = self._request(data)
        self._unit, self._code, self._number = adu.unit, adu.pdu[0], adu.number
        self._sent = time.monotonic()
        self._tell(True, data, f"unit {adu.unit}: {request_text(adu.pdu)}", adu.unit)

    def _request(self, data: bytes) -> Adu:
        """A request of ours, which is whole and right by construction."""
        if self._framing.tagged:
            return Adu(int.from_bytes(data[:2], "big"), data[6], data[7:])
        if data[:1] == b":":
            body = bytes.fromhex(data[1:-2].decode())
            return Adu(0, body[0], body[1:-1])
        return Adu(0, data[0], data[1:-2])

    def _answer(self, adu: Adu) -> str:
        ms = (time.monotonic() - self._sent) * 1000
        text = f"unit {adu.unit}: {answer_text(adu.pdu)}"
        if self._unit == _NOTHING:
            return f"{text}; asked for before the trace began"
        if self._framing.tagged and adu.number != self._number:
            return f"{text}; answers another request ({adu.number}, asked was {self._number})"
        if adu.unit != self._unit or adu.pdu[0] & ~_EXCEPTION != self._code:
            return f"{text}; nobody asked for it now"
        return f"{text}; {ms:.1f} ms"


def request_text(pdu: bytes) -> str:
    """What a request asks for."""
    code = pdu[0]
    if code in _TABLES and len(pdu) == 5:
        start, count = struct.unpack(">HH", pdu[1:5])
        return f"read {Address(_TABLES[code], start)} x {count}"
    if code in _WRITES and len(pdu) >= 5:
        place = Address(_WRITES[code], int.from_bytes(pdu[1:3], "big"))
        if code == 5:
            return f"write {place} = {'on' if pdu[3] else 'off'}"
        if code == 22:
            return f"mask {place} and {pdu[3:5].hex()} or {pdu[5:7].hex()}"
        data = pdu[3:5] if code == 6 else pdu[6:]
        return f"write {place} = {_words(data) if code != 15 else data.hex()}"
    return _NAMES.get(code, f"function {code}")


def answer_text(pdu: bytes) -> str:
    """What an answer says."""
    code = pdu[0]
    if code & _EXCEPTION:
        return f"exception {pdu[1]}: {EXCEPTIONS.get(pdu[1], 'unknown')}"
    if code in {3, 4}:
        return f"{(len(pdu) - 2) // 2} registers: {_words(pdu[2:])}"
    if code in {1, 2}:
        return f"bits {pdu[2:].hex()}"
    if code in _WRITES:
        return "written"
    return _NAMES.get(code, f"function {code}")


def _words(data: bytes) -> str:
    words = [f"{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data) - 1, 2)]
    more = f" and {len(words) - _MOST_WORDS} more" if len(words) > _MOST_WORDS else ""
    return " ".join(words[:_MOST_WORDS]) + more
