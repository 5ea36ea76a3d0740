"""Late answers on serial lines: wrong values in 10,000 reads, ours and those of a bare client, in the same run.

Ten lines, each with a device that does one thing after the other and answers every third request 0.45 s late; the
time-out is 0.3 s. `BENCH_LATE_READS` sets the number of reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from benchmarks.report import Row, at_most, main
from drivers.modbus.opening import open_wire
from drivers.modbus.settings import ChannelSettings
from gateway.errors import BadFrame, DeviceUnavailable
from tests.support.serial_line import Answer, Device, SerialLine, plain_device, value_at

READS = int(os.environ.get("BENCH_LATE_READS", "10000"))
LINES, TIMEOUT_S, LATE_S = 10, 0.3, 0.45


def late_every_third() -> Device:
    seen = 0

    def device(unit: int, pdu: bytes) -> Answer:
        nonlocal seen
        seen += 1
        answer = plain_device(unit, pdu)
        answer.delay = LATE_S if seen % 3 == 0 else 0.0
        return answer

    return device


class Count:
    """What became of the reads."""

    def __init__(self) -> None:
        self.good = self.wrong = self.failed = 0

    def add(self, address: int, got: int | None) -> None:
        if got is None:
            self.failed += 1
        elif got == value_at(1, address):
            self.good += 1
        else:
            self.wrong += 1

    def __str__(self) -> str:
        total = self.good + self.wrong + self.failed
        return f"reads {total} wrong {self.wrong} good {self.good} unanswered {self.failed}"


async def ours(count: Count) -> None:
    with SerialLine(late_every_third()) as line:
        wire = open_wire(ChannelSettings(serial={"port": line.port, "line": "115200-8N1"}), TIMEOUT_S)
        await wire.connect()
        for number in range(READS // LINES):
            address = number * 7 % 1000
            got = None
            with contextlib.suppress(DeviceUnavailable, BadFrame):
                got = struct.unpack(">H", await wire.read(1, 3, address, 1, 2))[0]
            count.add(address, got)
        wire.close()


async def bare(count: Count) -> None:
    with SerialLine(late_every_third()) as line:
        client = AsyncModbusSerialClient(line.port, baudrate=115200, timeout=TIMEOUT_S)
        await client.connect()
        for number in range(READS // LINES):
            address = number * 7 % 1000
            got = None
            with contextlib.suppress(ModbusException):
                answer = await client.read_holding_registers(address, device_id=1)
                got = None if answer.isError() else answer.registers[0]
            count.add(address, got)
        client.close()


async def _run(job: Callable[[Count], Awaitable[None]]) -> Count:
    count = Count()
    await asyncio.gather(*(job(count) for _ in range(LINES)))
    return count


def measure() -> list[Row]:
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    own, other = asyncio.run(_run(ours)), asyncio.run(_run(bare))
    return [
        at_most("late answers on a serial line: wrong values", own.wrong, 0, "values", str(own)),
        Row("  a bare pymodbus client beside it", f"{other.wrong} values", note=str(other)),
    ]


if __name__ == "__main__":
    main(measure)
