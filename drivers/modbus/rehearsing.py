"""Profiles of Modbus devices without a device: registers and coils as a case gives them, through the plan and decoder.

`given`: `holding`, `input`, `coil`, `discrete`, each a mapping of wire offsets (from 0) to a list of what stands from
there on: registers as numbers, or one text of hex digits. Everything that a tag reads and a case does not give is 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from drivers.modbus.address import Table
from drivers.modbus.point import point_of
from drivers.modbus.requests import Detail, plan_requests
from drivers.modbus.served import READS
from drivers.modbus.served import asked as asked_for
from drivers.modbus.simulator.faults import Faults
from drivers.modbus.simulator.image import Image
from drivers.modbus.simulator.unit import Unit
from gateway.driver import Frame
from gateway.fake_context import bind_devices
from gateway.model import Access, ChannelSpec, Value
from gateway.rehearsal import GivenError, Place, Played, Rehearsal

_TABLES = {table.value: table for table in Table}
_FORM = "input: {0: [0x4366, 0x8000]}"


def rehearsal() -> Rehearsal:
    """Of this driver."""
    return Rehearsal({"url": "tcp://127.0.0.1"}, {"unit_id": 1}, play, places, recall)


def play(channel: ChannelSpec, given: Mapping[str, Any]) -> Played:
    """What the tags read when these registers and coils are there."""
    image = Image(channel, channel.devices[0], static=True)
    for cells in image.cells.values():
        cells.update(dict.fromkeys(cells, 0))
    for name, rows in given.items():
        table = _TABLES.get(name)
        if table is None:
            raise GivenError((name,), f"there is no table `{name}`", f"known: {', '.join(_TABLES)}")
        for place, word, path in _cells(table, name, rows):
            if place not in image.cells[table]:
                raise GivenError(path, f"{name}/{place} is read by no tag", "correct the offset: it counts from 0")
            image.cells[table][place] = word
    return _read(channel, Unit(image, Faults()))


def _read(channel: ChannelSpec, unit: Unit) -> Played:
    (device,) = bind_devices(channel)
    requests = plan_requests(channel, device, [tag for tag in device.tags if tag.spec.access is not Access.WRITE])
    found: dict[str, tuple[Value, int]] = {}
    for request in requests:
        detail: Detail = request.detail
        answer = unit.answer(struct.pack(">BHH", detail.code, detail.start, detail.count))
        columns = detail.decode(answer[2:])
        codes = columns.quality or [0] * len(columns.values)
        rows = zip(request.block.tags, columns.values, codes, strict=True)
        found.update({tag.path: (value, code) for tag, value, code in rows})
    return Played(found, tuple(request.text for request in requests))


def _cells(table: Table, name: str, rows: Any) -> Iterator[tuple[int, int, tuple[str | int, ...]]]:
    """(offset, word, where it is written) of one table."""
    if not isinstance(rows, dict):
        raise GivenError((name,), f"`{name}` is a mapping of offsets", _FORM)
    for key, written in rows.items():
        path = (name, key)
        try:
            first = int(str(key), 0)
        except ValueError:
            raise GivenError(path, f"`{key}` is no offset", _FORM) from None
        for number, word in enumerate(_words(written, path)):
            most = 1 if table.is_bits else 0xFFFF
            if not _is_whole(word, bits=table.is_bits) or not 0 <= word <= most:
                what = "a coil is 0 or 1" if table.is_bits else "a register is a number from 0 to 0xFFFF"
                raise GivenError((*path, number), what, _FORM)
            yield first + number, int(word), path


def _is_whole(word: Any, *, bits: bool) -> bool:
    return isinstance(word, int) and (bits or not isinstance(word, bool))


def _words(written: Any, path: tuple[str, str]) -> list[Any]:
    """The registers of a row: a list, one number, or hex digits."""
    if isinstance(written, list):
        return written
    if isinstance(written, int):
        return [written]
    try:
        data = bytes.fromhex(written) if isinstance(written, str) else b""
    except ValueError:
        data = b""
    if not data or len(data) % 2:
        raise GivenError(path, "these are no registers: a list of numbers, or four hex digits for each", _FORM)
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


def recall(channel: ChannelSpec, _device: str, frames: Sequence[Frame]) -> Mapping[str, Any]:
    """The latest answers to reads: hex digits of registers, a list of bits."""
    known = Image(channel, channel.devices[0], static=True).cells
    found: dict[str, dict[str, Any]] = {}
    asked: bytes | None = None
    for frame in frames:
        pdu = _pdu(frame.data)
        if frame.sending:
            asked = pdu if len(pdu) == 5 and pdu[0] in READS else None
        elif asked is not None and pdu[:1] == asked[:1]:
            table, first, count = asked_for(asked)
            places = [place for place in range(first, first + count) if place in known[table]]
            if len(places) == count:  # what no tag reads was asked for by somebody else
                rows = found.setdefault(table.value, {})
                rows.pop(str(first), None)
                rows[str(first)] = _said(table, pdu[2:], count)
            asked = None
    return found


def _pdu(frame: bytes) -> bytes:
    """Function code and data of a frame: over TCP, in ASCII, or as RTU."""
    if frame[2:4] == b"\0\0" and len(frame) == 6 + int.from_bytes(frame[4:6], "big"):
        return frame[7:]
    if frame[:1] == b":":
        try:
            return bytes.fromhex(frame[1:].decode("ascii", "replace").strip())[1:-1]
        except ValueError:
            return b""
    return frame[1:-2]


def _said(table: Table, data: bytes, count: int) -> Any:
    if table.is_bits:
        return [data[i // 8] >> i % 8 & 1 for i in range(count)]
    return data.hex(" ", 2)


def places(channel: ChannelSpec) -> Iterable[Place]:
    """The registers and bits of each tag."""
    (device,) = channel.devices
    for spec in device.tags:
        point = point_of(channel.settings, device, spec)
        bit = point.address.bit
        bits = 1 << bit if bit is not None else spec.transform.mask or 0
        form = f"{spec.type.value} {point.order}".strip()
        yield Place(spec.path, point.address.table.value, point.address.offset, point.end, bits, form)
