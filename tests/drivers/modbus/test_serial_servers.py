"""RTU and ASCII over TCP: a serial server passes on whatever its line brings, to whoever is connected then."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest

from drivers.modbus.opening import open_wire
from drivers.modbus.settings import ChannelSettings
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost
from tests.drivers.modbus.test_framing import answer, ascii_
from tests.support.serial_line import crc, plain_device, value_at


def framed(unit, pdu):
    frame = bytes((unit,)) + pdu
    return frame + crc(frame)


def right_answer(request):
    return framed(request[0], plain_device(request[0], request[1:-2]).pdu)


@contextlib.asynccontextmanager
async def wire_to(serve, timeout=0.3, scheme="rtu+tcp"):
    """A wire to a server that is that coroutine function; every RTU request that the tests send has 8 bytes."""

    async def guarded(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    wire = open_wire(ChannelSettings(url=f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"), timeout)
    try:
        yield wire
    finally:
        wire.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


async def ask(wire, unit, address):
    return struct.unpack(">H", await wire.read(unit, 3, address, 1, 2))[0]


async def test_fl_32_an_answer_that_outlives_its_connection_is_not_taken_for_the_first_one_on_the_next():
    kept = []

    async def serve(reader, writer):
        if not kept:
            kept.append(await reader.readexactly(8))
            return
        late = right_answer(kept[0])
        while True:
            request = await reader.readexactly(8)
            writer.write(late + right_answer(request))
            late = b""

    async with wire_to(serve) as wire:
        await wire.connect()
        with pytest.raises(LinkLost):
            await ask(wire, 1, 100)
        await wire.connect()
        assert await ask(wire, 1, 200) == value_at(1, 200)


@pytest.mark.parametrize("refused", [b"\x83\x0b", None])
async def test_fl_32_a_converter_that_calls_a_unit_unreachable_does_not_prove_that_its_answer_will_not_come(refused):
    """It says so after a time-out of its own, and passes the answer on when it comes."""
    held = []

    async def serve(reader, writer):
        while True:
            request = await reader.readexactly(8)
            if request[1] == 8:
                writer.write(framed(1, b"\x88\x0b"))
            elif not held:
                held.append(right_answer(request))
                writer.write(framed(1, refused) if refused else b"")
            else:
                writer.write(held[0] + right_answer(request))

    async with wire_to(serve, timeout=0.1) as wire:
        await wire.connect()
        with pytest.raises(DeviceUnavailable):
            await ask(wire, 1, 100)
        with contextlib.suppress(DeviceUnavailable):
            assert await ask(wire, 1, 200) == value_at(1, 200)


async def test_fl_32_what_another_process_asked_just_before_is_not_our_first_answer():
    async def serve(reader, writer):
        asked = asyncio.ensure_future(reader.readexactly(8))
        await asyncio.wait({asked}, timeout=0.1)
        writer.write(framed(1, b"\x03\x02\xbe\xef"))
        while True:
            writer.write(right_answer(await asked))
            asked = asyncio.ensure_future(reader.readexactly(8))

    async with wire_to(serve) as wire:
        await wire.connect()
        assert await ask(wire, 1, 200) == value_at(1, 200)


@pytest.mark.parametrize("before", [b"", b"0042\r\n", b":0203FF\r\n", b":01:", b"\x00\r"])
async def test_in_ascii_the_rest_of_something_else_before_an_answer_does_not_spoil_it(before):
    async def serve(reader, writer):
        while await reader.readuntil(b"\n"):
            writer.write(before)
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(ascii_(answer([7]), unit=1).lower())

    async with wire_to(serve, scheme="ascii+tcp") as wire:
        await wire.connect()
        assert await ask(wire, 1, 0) == 7


async def test_in_ascii_an_exception_without_its_number_is_no_answer():
    async def serve(reader, writer):
        while await reader.readuntil(b"\n"):
            writer.write(ascii_(b"\x83", unit=1))

    async with wire_to(serve, scheme="ascii+tcp") as wire:
        await wire.connect()
        with pytest.raises(BadFrame):
            await ask(wire, 1, 0)
