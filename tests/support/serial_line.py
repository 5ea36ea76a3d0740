"""A serial line with devices on it, without hardware: a pseudo-terminal and a thread that answers as devices do.

One request after the other, in the order they came, each answered before the next is looked at: what a real unit
does, and what makes late answers dangerous. Check sums are computed here, bit by bit, not by the library under test.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

READS = {1, 2, 3, 4}


def crc(data: bytes) -> bytes:
    """The RTU check sum (MODBUS over Serial Line V1.02, 6.2.2), low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


@dataclass
class Answer:
    """What a device does with a request: wait, then put these bytes on the line. `raw` is sent as it is."""

    pdu: bytes = b""
    delay: float = 0.0
    raw: bytes | None = None
    silent: bool = False


Device = Callable[[int, bytes], Answer]
"""Given the unit and the request's PDU."""


def value_at(unit: int, address: int) -> int:
    """What a register holds unless a test says otherwise: tells unit and address apart."""
    return (unit * 1000 + address) & 0xFFFF


def plain_device(_unit: int, pdu: bytes) -> Answer:
    """A device whose registers hold `value_at`; loopback is answered."""
    code = pdu[0]
    if code in {3, 4}:
        address, count = struct.unpack(">HH", pdu[1:5])
        words = [value_at(_unit, address + i) for i in range(count)]
        return Answer(bytes((code, 2 * count)) + struct.pack(f">{count}H", *words))
    if code in {5, 6, 8}:
        return Answer(pdu)
    if code in {15, 16}:
        return Answer(pdu[:5])
    return Answer(bytes((code | 0x80, 1)))


@dataclass
class SerialLine:
    """Runs while it is entered. `port` is the client's end; `log` what reached the devices: (unit, pdu, time)."""

    device: Device = plain_device
    units: tuple[int, ...] = (1, 2, 3)
    baud: int = 0
    """Bits per second that are simulated for both directions (11 bits a character); 0: as fast as it goes."""
    log: list[tuple[int, bytes, float]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        self.port = os.ttyname(self._slave)
        self._stop_read, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="serial line", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop, b"x")
        self._thread.join(10)
        for number in (self._master, self._slave, self._stop, self._stop_read):
            with contextlib.suppress(OSError):
                os.close(number)

    def unplug(self) -> None:
        """The adapter vanishes: both ends close."""
        os.write(self._stop, b"x")
        self._thread.join(10)
        os.close(self._slave)
        os.close(self._master)

    def _run(self) -> None:
        waiting = b""
        while True:
            ready, _, _ = select.select([self._master, self._stop_read], [], [])
            if self._stop_read in ready:
                os.read(self._stop_read, 1)
                return
            try:
                waiting += os.read(self._master, 4096)
            except OSError:
                return
            while (size := request_size(waiting)) and len(waiting) >= size:
                frame, waiting = waiting[:size], waiting[size:]
                if crc(frame[:-2]) == frame[-2:]:
                    self._serve(frame[0], frame[1:-2], size)
                else:
                    waiting = b""

    def _serve(self, unit: int, pdu: bytes, size: int) -> None:
        begin = time.monotonic()
        self.log.append((unit, pdu, begin))
        if unit not in self.units:
            return
        answer = self.device(unit, pdu)
        if answer.silent:
            return
        frame = answer.raw
        if frame is None:
            frame = bytes((unit,)) + answer.pdu
            frame += crc(frame)
        pause = answer.delay
        if self.baud:
            pause += (size + len(frame)) * 11 / self.baud
        if pause:
            time.sleep(max(0.0, begin + pause - time.monotonic()))
        os.write(self._master, frame)


def request_size(data: bytes) -> int:
    """Bytes of the request at the beginning, 0 while that cannot be told."""
    if len(data) < 2:
        return 0
    if data[1] in {15, 16}:
        return 9 + data[6] if len(data) > 6 else 0
    return {22: 10, 17: 4, 43: 7}.get(data[1], 8)


@contextlib.contextmanager
def joined_ports() -> Iterator[tuple[str, str]]:
    """Two serial ports that are each other's line: what is written to one is read from the other."""
    masters, slaves = zip(os.openpty(), os.openpty(), strict=True)
    for number in slaves:
        tty.setraw(number, termios.TCSANOW)
    stop_read, stop = os.pipe()

    def carry() -> None:
        while True:
            ready, _, _ = select.select([*masters, stop_read], [], [])
            if stop_read in ready:
                return
            for number in ready:
                os.write(masters[1 - masters.index(number)], os.read(number, 4096))

    thread = threading.Thread(target=carry, name="joined ports", daemon=True)
    thread.start()
    try:
        yield os.ttyname(slaves[0]), os.ttyname(slaves[1])
    finally:
        os.write(stop, b"x")
        thread.join(10)
        for number in (*masters, *slaves, stop, stop_read):
            os.close(number)
