"""Writing coils, registers, bits and bytes of registers. Function codes: Modbus Application Protocol
V1.1b3, 6.5 to 6.16.
"""

from __future__ import annotations

import struct
from typing import Any

from drivers.modbus.address import REGISTER_BITS, Table
from drivers.modbus.coding import encode
from drivers.modbus.decode import half_place
from drivers.modbus.point import Point
from drivers.modbus.wire import Wire
from drivers.modbus.words import HALVES, TEXTS, text_positions, wire_positions
from gateway.errors import BadFrame, RequestRefused, WriteRejected
from gateway.model import ValueType

READ_HOLDING = 3
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS, MASK_REGISTER = 5, 6, 15, 16, 22
_ILLEGAL_FUNCTION = 1
_ON = 0xFF00
_FULL = 0xFFFF


def wire_bytes(point: Point, kind: ValueType, raw: Any) -> bytes:
    """The bytes of a raw value in the order of the wire."""
    value = encode(kind, raw, point.registers)
    if kind in HALVES:
        return value  # one byte, whose place is half_mask's to say
    places = text_positions(point.order, point.count) if kind in TEXTS else wire_positions(point.order)
    return bytes(value[place] for place in places)


def wire_bit(point: Point) -> int:
    """The number of a register's bit as the wire counts: swapped bytes move it by eight."""
    bit = point.address.bit or 0
    return (bit + 8) % REGISTER_BITS if point.order == "BA" else bit


def half_mask(point: Point) -> int:
    """The bits of its register, as the wire counts them, that a value of one byte has."""
    return 0xFF00 if half_place(point) == 0 else 0x00FF


def _in_order(point: Point, number: int) -> bytes:
    """The bits of a whole number as they lie on the wire."""
    whole = (number & ((1 << 16 * point.count) - 1)).to_bytes(2 * point.count, "big")
    return bytes(whole[place] for place in wire_positions(point.order))


class RegisterWriter:
    """Writes to the units of one connection, and remembers which functions a unit does not know."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._unknown: set[tuple[int, int]] = set()

    async def write(self, unit: int, point: Point, kind: ValueType, raw: Any) -> None:
        """Write `raw`, as `gateway.transform.to_raw` gave it. Raises as `Writer.write` says."""
        if point.is_packed:
            await self._write_row(unit, point, kind, raw)
        elif point.address.table is Table.COIL:
            await self._write_coil(unit, point, bool(raw))
        elif point.address.bit is not None:
            mask = 1 << wire_bit(point)
            await self._write_part(unit, point, mask, mask if raw else 0)
        elif kind in HALVES:
            mask, byte = half_mask(point), wire_bytes(point, kind, raw)[0]
            await self._write_part(unit, point, mask, byte * 0x0101 & mask)
        else:
            await self._write_registers(unit, point, wire_bytes(point, kind, raw))

    async def write_bits(self, unit: int, point: Point, raw: int, bits: int) -> None:
        """Write these bits of a whole raw value; the others stay as the device has them."""
        value, mask = (_in_order(point, each) for each in (raw, bits))
        if point.count == 1:
            own = int.from_bytes(mask, "big")
            await self._write_part(unit, point, own, int.from_bytes(value, "big") & own)
            return
        old = await self._wire.read(unit, READ_HOLDING, point.address.offset, point.count, 2 * point.count)
        pairs = zip(old, value, mask, strict=True)
        await self._write_registers(unit, point, bytes(before & ~own & 0xFF | new & own for before, new, own in pairs))

    async def _write_row(self, unit: int, point: Point, kind: ValueType, raw: Any) -> None:
        """A number over coils; one coil alone is written as every coil is."""
        data = wire_bytes(point, kind, raw)
        if int.from_bytes(data, "little") >> point.count:
            raise WriteRejected(f"{raw} does not fit {point.count} bits from {point.address.short}", code=422)
        if point.count == 1:
            await self._write_coil(unit, point, bool(raw))
            return
        data = data[: (point.count + 7) // 8]
        payload = struct.pack(">HHB", point.address.offset, point.count, len(data)) + data
        await self._confirmed(unit, WRITE_COILS, payload, payload[:4])

    async def _write_coil(self, unit: int, point: Point, value: bool) -> None:
        offset = point.address.offset
        if point.write_with != "multiple" and (unit, WRITE_COIL) not in self._unknown:
            payload = struct.pack(">HH", offset, _ON if value else 0)
            if await self._known(unit, WRITE_COIL, payload, payload, may_fail=point.write_with == "auto"):
                return
        payload = struct.pack(">HHBB", offset, 1, 1, value)
        await self._confirmed(unit, WRITE_COILS, payload, payload[:4])

    async def _write_registers(self, unit: int, point: Point, data: bytes) -> None:
        offset = point.address.offset
        single = point.count == 1 and point.write_with != "multiple"
        if single and (unit, WRITE_REGISTER) not in self._unknown:
            payload = struct.pack(">H", offset) + data
            if await self._known(unit, WRITE_REGISTER, payload, payload, may_fail=point.write_with == "auto"):
                return
        payload = struct.pack(">HHB", offset, point.count, len(data)) + data
        await self._confirmed(unit, WRITE_REGISTERS, payload, payload[:4])

    async def _write_part(self, unit: int, point: Point, mask: int, value: int) -> None:
        """The bits of `mask`: by mask write, which the device does in one step; else read, change, write."""
        if (unit, MASK_REGISTER) not in self._unknown:
            payload = struct.pack(">HHH", point.address.offset, _FULL ^ mask, value)
            if await self._known(unit, MASK_REGISTER, payload, payload, may_fail=True):
                return
        data = await self._wire.read(unit, READ_HOLDING, point.address.offset, 1, 2)
        register = int.from_bytes(data, "big")
        register = register & (_FULL ^ mask) | value
        await self._write_registers(unit, point, register.to_bytes(2, "big"))

    async def _known(self, unit: int, code: int, payload: bytes, echo: bytes, *, may_fail: bool) -> bool:
        """Write with a function that not every device has. False: the device has not, and nothing was written."""
        try:
            await self._confirmed(unit, code, payload, echo)
        except RequestRefused as err:
            if not may_fail or err.code != _ILLEGAL_FUNCTION:
                raise
            self._unknown.add((unit, code))
            return False
        return True

    async def _confirmed(self, unit: int, code: int, payload: bytes, echo: bytes) -> None:
        answer = await self._wire.exchange(unit, code, payload, confirms=echo)
        if answer != echo:
            raise BadFrame(f"function {code} was confirmed with {answer.hex()} instead of {echo.hex()}")
