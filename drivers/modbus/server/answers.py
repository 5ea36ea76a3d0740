"""What a request gets: reads out of the latest values, writes through the gateway's commands.

A value is never half written: registers that hold a part of one only are refused (exception 3), as is a bool that is
neither 0 nor 1. What the gateway refuses is exception 3 too, more writes than a tag's rate allows 6, a device that
failed or is away 4. Places that no tag has read as 0 between those that have one; nothing at all there is exception 2.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable, Sequence
from typing import Any

from drivers.modbus import served
from drivers.modbus.address import Table
from drivers.modbus.served import (
    DEVICE_BUSY,
    DEVICE_FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    READS,
    Refused,
)
from drivers.modbus.server.layout import STATUS_HEAD, Layout
from drivers.modbus.server.points import Point, is_usable
from gateway.errors import WriteRejected
from gateway.model import Quality, WriteResult, WriteState
from gateway.serving.contract import ServerContext, Shown

_WRITES = {served.WRITE_COIL, served.WRITE_REGISTER, served.WRITE_COILS, served.WRITE_REGISTERS}
_TOO_OFTEN = 429


class Answers:
    """Answers for the tags of one layout. `life`: seconds since the server began, for the life counter."""

    def __init__(self, ctx: ServerContext, layout: Layout, *, sentinel: bool, life: Callable[[], float]) -> None:
        self._ctx = ctx
        self._layout = layout
        self._sentinel = sentinel
        self._life = life
        self._points: dict[Table, list[Point]] = {table: [] for table in Table}
        for point in sorted(layout.points, key=lambda each: each.first):
            self._points[point.table].append(point)
        self._ends = {table: [point.end for point in points] for table, points in self._points.items()}
        self._by_status = {point.status: point for point in layout.points}

    async def answer(self, pdu: bytes, who: str) -> bytes:
        """The PDU of the answer; a refusal is an exception's."""
        try:
            return await self._answer(pdu, who)
        except Refused as refused:
            return served.refusal(pdu, refused.code)
        except (struct.error, IndexError):
            return served.refusal(pdu, ILLEGAL_VALUE)

    async def _answer(self, pdu: bytes, who: str) -> bytes:
        function = pdu[0]
        if function in READS:
            return self._read(pdu)
        if function in _WRITES:
            await self._write(served.change(pdu), who)
            return served.confirmed(pdu)
        if function == served.ECHO and pdu[1:3] == b"\0\0":
            return pdu
        if function == served.IDENTIFY and pdu[1:2] == b"\x0e":
            return served.identification(self._ctx.gateway)
        raise Refused(ILLEGAL_FUNCTION)

    def _read(self, pdu: bytes) -> bytes:
        table, first, count = served.asked(pdu)
        if table.is_bits:
            return served.bits_answer(pdu[0], self._bits(table, first, count))
        return served.registers_answer(pdu[0], self._registers(table, first, count))

    def _between(self, table: Table, first: int, end: int) -> Sequence[Point]:
        """Points of a table that share a place with `first` to `end`."""
        points = self._points[table]
        start = stop = bisect.bisect_right(self._ends[table], first)
        while stop < len(points) and points[stop].first < end:
            stop += 1
        return points[start:stop]

    def _bits(self, table: Table, first: int, count: int) -> list[bool]:
        bits = [False] * count
        points = self._between(table, first, first + count)
        if not points:
            raise Refused(ILLEGAL_ADDRESS)
        for point in points:
            bit = point.bit(self._ctx.current(point.place))
            if bit is None and not self._sentinel:
                raise Refused(DEVICE_FAILURE)
            bits[point.first - first] = bool(bit)
        return bits

    def _registers(self, table: Table, first: int, count: int) -> bytes:
        end = first + count
        data = bytearray(2 * count)
        points = self._between(table, first, end)
        status = self._status(table, first, end)
        if not points and status is None:
            raise Refused(ILLEGAL_ADDRESS)
        for point in points:
            found = point.data(self._ctx.current(point.place))
            if found is None:
                if not self._sentinel:
                    raise Refused(DEVICE_FAILURE)
                found = point.sentinel()
            _lay(data, found, point.first - first)
        if status is not None:
            _lay(data, *status)
        return bytes(data)

    def _status(self, table: Table, first: int, end: int) -> tuple[bytes, int] | None:
        """The status registers that a read covers, and where they begin in it."""
        begin, last = self._layout.status.offset, self._layout.status_end
        if table is not self._layout.status.table or end <= begin or last <= first:
            return None
        start, stop = max(first, begin), min(end, last)
        words = [self._word(place - begin) for place in range(start, stop)]
        return struct.pack(f">{len(words)}H", *words), start - first

    def _word(self, place: int) -> int:
        """One status register: the head, then the quality of each tag by its number."""
        if place >= STATUS_HEAD:
            point = self._by_status.get(place - STATUS_HEAD)
            return int(Quality.BAD_CONFIG) if point is None else int(self.quality(point))
        if place == 0:
            return int(self._life()) & 0xFFFF
        if place == 1:
            return min(len(self._layout.points), 0xFFFF)
        if place == 2:
            return min(sum(self.quality(point) >= Quality.UNCERTAIN for point in self._layout.points), 0xFFFF)
        return 0

    def quality(self, point: Point) -> Quality:
        """The quality of what a tag's registers show."""
        shown: Shown = self._ctx.current(point.place)
        is_number = point.offer.readable and not point.table.is_bits
        if is_number and is_usable(shown) and point.data(shown) is None:
            return Quality.BAD_RANGE  # good, but more than its registers can hold
        return shown.quality

    async def _write(self, change: served.Change, who: str) -> None:
        end = change.first + len(change.values)
        points = self._between(change.table, change.first, end)
        if not points or not all(point.writable for point in points):
            raise Refused(ILLEGAL_ADDRESS)
        covered = sum(min(point.end, end) - max(point.first, change.first) for point in points)
        if covered != len(change.values):
            raise Refused(ILLEGAL_ADDRESS)
        if points[0].first < change.first or points[-1].end > end:
            raise Refused(ILLEGAL_VALUE)
        try:
            values: dict[int, Any] = {point.place: _wanted(point, change) for point in points}
        except WriteRejected:
            raise Refused(ILLEGAL_VALUE) from None
        for result in await self._ctx.write(values, who):
            if result.state is not WriteState.OK:
                raise Refused(code_of(result))


def code_of(result: WriteResult) -> int:
    """The exception that tells how a write ended."""
    if result.state is WriteState.REJECTED:
        return DEVICE_BUSY if result.code == _TOO_OFTEN else ILLEGAL_VALUE
    return DEVICE_FAILURE


def _wanted(point: Point, change: served.Change) -> Any:
    values = change.values[point.first - change.first : point.end - change.first]
    if change.table.is_bits:
        return bool(values[0])
    return point.value(struct.pack(f">{len(values)}H", *values))


def _lay(data: bytearray, found: bytes, register: int) -> None:
    """Put registers where they belong, as far as they were asked for."""
    start = 2 * register
    begin = max(0, -start)
    end = min(len(found), len(data) - start)
    data[start + begin : start + end] = found[begin:end]
