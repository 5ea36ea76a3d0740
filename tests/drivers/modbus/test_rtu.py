"""RTU on a pseudo-terminal: a late answer is never taken for another request's, and the line recovers from anything."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from drivers.modbus.address import Address, Table
from drivers.modbus.opening import open_wire
from drivers.modbus.point import Point
from drivers.modbus.settings import ChannelSettings
from drivers.modbus.trace import Tracer
from drivers.modbus.writing import RegisterWriter
from gateway.clock import SystemClock
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused
from gateway.model import ValueType
from tests.support.serial_line import Answer, SerialLine, crc, plain_device, value_at


@contextlib.asynccontextmanager
async def wire_on(port, timeout=0.3, **serial):
    wire = open_wire(ChannelSettings(serial={"port": port, "line": "115200-8N1", **serial}), timeout)
    await wire.connect()
    try:
        yield wire
    finally:
        wire.close()


async def ask(wire, unit, address, count=1, code=3):
    data = await wire.read(unit, code, address, count, 2 * count)
    return list(struct.unpack(f">{count}H", data))


def late_every_third(delay):
    """Every third request is answered that late; the device does one thing after the other."""
    seen = 0

    def device(unit, pdu):
        nonlocal seen
        seen += 1
        answer = plain_device(unit, pdu)
        answer.delay = delay if seen % 3 == 0 else 0.0
        return answer

    return device


async def count_wrong(reads, read):
    """How many of `reads` single registers were wrong, good, and unanswered."""
    wrong = good = failed = 0
    for number in range(reads):
        address = number * 7 % 1000
        try:
            got = await read(1, address)
        except (DeviceUnavailable, BadFrame, ModbusException):
            failed += 1
            continue
        wrong, good = (wrong, good + 1) if got == value_at(1, address) else (wrong + 1, good)
    return wrong, good, failed


@pytest.mark.parametrize(("timeout", "least"), [(0.09, 10), (0.06, 10), (0.03, 1)])
async def test_fl_32_an_answer_that_is_late_never_becomes_the_value_of_another_register(timeout, least):
    """Late by a little more, by twice and by five times the time-out."""
    with SerialLine(late_every_third(0.135)) as line:
        async with wire_on(line.port, timeout) as wire:

            async def ours(unit, address):
                return (await ask(wire, unit, address))[0]

            wrong, good, failed = await count_wrong(45, ours)
    assert wrong == 0
    assert good >= least
    assert failed >= 5


async def test_fl_32_a_bare_client_takes_late_answers_for_others_on_the_same_line():
    """What the test above would look like without care: shows that the line is as nasty as it is meant to be."""
    with SerialLine(late_every_third(0.135)) as line:
        client = AsyncModbusSerialClient(line.port, baudrate=115200, timeout=0.06)
        await client.connect()

        async def bare(unit, address):
            answer = await client.read_holding_registers(address, device_id=unit)
            return answer.registers[0] if not answer.isError() else None

        bare_wrong, _, _ = await count_wrong(15, bare)
        client.close()
    assert bare_wrong > 0


async def test_fl_32_a_cancelled_read_leaves_nothing_that_could_be_taken_for_another(processes):
    slow = late_every_third(0.05)
    with SerialLine(slow) as line:
        async with wire_on(line.port, 0.5) as wire:
            for address in range(40):
                asking = asyncio.ensure_future(ask(wire, 1, address))
                await asyncio.sleep(0.002 * (address % 7))
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asking
                assert await ask(wire, 1, 500 + address) == [value_at(1, 500 + address)]


def deaf_to_loopback(first):
    """A device that leaves function 8 unanswered and does `first` with its first request."""
    seen = []

    def device(unit, pdu):
        if pdu[0] == 8:
            return Answer(silent=True)
        seen.append(pdu)
        answer = plain_device(unit, pdu)
        return first(answer) if len(seen) == 1 else answer

    return device


async def until_answered(wire, address):
    """What a register is said to hold, asked again and again."""
    for _ in range(500):
        with contextlib.suppress(DeviceUnavailable):
            return await ask(wire, 1, address)
        await asyncio.sleep(0.02)
    pytest.fail("never asked again")


async def test_a_unit_that_does_not_know_loopback_is_asked_again_when_nothing_old_can_come():
    with SerialLine(deaf_to_loopback(lambda answer: replace(answer, silent=True))) as line:
        async with wire_on(line.port, 0.05) as wire:
            with pytest.raises(DeviceUnavailable):
                await ask(wire, 1, 7)
            assert await until_answered(wire, 8) == [value_at(1, 8)]


@pytest.mark.parametrize("times", [2, 6, 20])
async def test_fl_32_nothing_is_asked_of_such_a_unit_while_it_may_still_answer(times):
    with SerialLine(deaf_to_loopback(lambda answer: replace(answer, delay=times * 0.03))) as line:
        async with wire_on(line.port, 0.03) as wire:
            with pytest.raises(DeviceUnavailable):
                await ask(wire, 1, 7)
            assert await until_answered(wire, 8) == [value_at(1, 8)]


async def test_units_on_one_line_do_not_wait_for_what_another_owes():
    def device(unit, pdu):
        return Answer(silent=True) if unit == 2 else plain_device(unit, pdu)

    with SerialLine(device) as line:
        async with wire_on(line.port, 0.05) as wire:
            for address in range(5):
                with pytest.raises(DeviceUnavailable):
                    await ask(wire, 2, address)
                assert await ask(wire, 1, address) == [value_at(1, address)]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"\x01\x03\x02\x00\x07\xff\xff", BadFrame),  # check sum
        (b"\x01\x03\x04\x00\x07", BadFrame),  # half a frame
        (b"\xff\x00\x13\x77", BadFrame),  # noise
        (b"\x01\x83\x02\xc0\xf1", RequestRefused),
    ],
)
async def test_fl_32_what_is_no_answer_never_becomes_a_value_on_a_line(raw, error):
    once = {"raw": raw}

    def device(unit, pdu):
        return Answer(raw=once.pop("raw")) if "raw" in once else plain_device(unit, pdu)

    with SerialLine(device) as line:
        async with wire_on(line.port, 0.1) as wire:
            with pytest.raises(error):
                await ask(wire, 1, 7)
            assert await ask(wire, 1, 8) == [value_at(1, 8)]


async def test_noise_before_an_answer_and_bytes_in_pieces_are_no_fault():
    def device(unit, pdu):
        answer = plain_device(unit, pdu)
        frame = bytes((unit,)) + answer.pdu
        return Answer(raw=b"\x00\xff" + frame + crc(frame))

    with SerialLine(device) as line:
        async with wire_on(line.port) as wire:
            assert await ask(wire, 1, 10, 100) == [value_at(1, 10 + i) for i in range(100)]


async def test_a_confirmation_that_came_twice_is_not_taken_for_the_next_write_and_those_after_it():
    seen = []

    def device(unit, pdu):
        frame = bytes((unit,)) + plain_device(unit, pdu).pdu
        seen.append(frame + crc(frame))
        return Answer(raw=seen[0] + seen[1] if len(seen) == 2 else seen[-1])

    with SerialLine(device) as line:
        async with wire_on(line.port) as wire:
            writer = RegisterWriter(wire)
            point = Point(Address(Table.HOLDING, 1), 1, "AB", "auto")
            for value in range(5):
                await writer.write(1, point, ValueType.UINT16, value)
            assert wire.foreign == 1
    assert [frame[4:6] for frame in seen] == [bytes((0, value)) for value in range(5)]


def echoing(before=b"", *, alive=True):
    """Devices behind an adapter that gives back what is sent, with noise from switching its direction."""

    def device(unit, pdu):
        sent, frame = bytes((unit,)) + pdu, bytes((unit,)) + plain_device(unit, pdu).pdu
        return Answer(raw=before + sent + crc(sent) + (frame + crc(frame) if alive else b""))

    return device


@pytest.mark.parametrize("before", [b"", b"\xff", b"\x01\x06"])
async def test_an_adapter_that_gives_back_what_we_send(before):
    with SerialLine(echoing(before)) as line:
        async with wire_on(line.port, echo=True) as wire:
            frames = []
            wire.tap = Tracer(wire.framing, SystemClock(), frames.append)
            assert await ask(wire, 1, 3, 5) == [value_at(1, 3 + i) for i in range(5)]
            assert await wire.exchange(1, 6, b"\x00\x01\x00\x02") == b"\x00\x01\x00\x02"
            assert wire.foreign == 0
    assert [(frame.sending, len(frame.data)) for frame in frames] == [(True, 8), (False, 15), (True, 8), (False, 8)]


@pytest.mark.parametrize("before", [b"", b"\xff", b"\x01\x06"])
async def test_what_an_adapter_gives_back_is_no_confirmation_of_a_unit_that_is_dead(before):
    with SerialLine(echoing(before, alive=False)) as line:
        async with wire_on(line.port, timeout=0.1, echo=True) as wire:
            for code in (6, 8):
                with pytest.raises(DeviceUnavailable):
                    await wire.exchange(1, code, b"\x00\x01\x00\x02")


async def test_a_line_says_when_its_echo_is_not_as_configured():
    with SerialLine(echoing(alive=False)) as line:
        async with wire_on(line.port, echo=False) as wire:
            with pytest.raises(BadFrame, match="`echo: true`"):
                await ask(wire, 1, 3)
    with SerialLine() as line:
        async with wire_on(line.port, timeout=0.1, echo=True) as wire:
            with pytest.raises(BadFrame, match="`echo: false`"):
                await ask(wire, 1, 3)


async def test_fl_31_an_adapter_that_is_pulled_and_plugged_in_again():
    line = SerialLine()
    line.__enter__()
    wire = open_wire(ChannelSettings(serial={"port": line.port, "line": "115200-8N1"}), 0.2)
    await wire.connect()
    assert await ask(wire, 1, 1) == [value_at(1, 1)]
    line.unplug()
    with pytest.raises((LinkLost, DeviceUnavailable)):
        await ask(wire, 1, 1)
    with pytest.raises(LinkLost, match=r"such port|lost|gone|open|No such"):
        await wire.connect()
        await ask(wire, 1, 1)
    with SerialLine() as again:
        wire.close()
        replugged = open_wire(ChannelSettings(serial={"port": again.port, "line": "115200-8N1"}), 0.2)
        await replugged.connect()
        assert await ask(replugged, 1, 2) == [value_at(1, 2)]
        replugged.close()


async def test_fl_31_a_port_is_read_and_given_back_at_once_after_every_connect():
    with SerialLine() as line:
        wire = open_wire(ChannelSettings(serial={"port": line.port, "line": "115200-8N1"}), 0.2)
        await wire.connect()
        for address in range(3):
            wire.close()
            await wire.connect()
            wire.close()
            await asyncio.sleep(0.01)  # longer than the silence between frames
            await wire.connect()
            assert await ask(wire, 1, address) == [value_at(1, address)]
        wire.close()


async def test_a_port_that_cannot_be_set_is_told_and_given_back():
    """A pseudo-terminal has no parity. Whoever keeps the errors does not keep the port."""
    with SerialLine() as line:
        wire = open_wire(ChannelSettings(serial={"port": line.port, "line": "9600-8E1"}), 0.2)
        errors = []
        for _ in range(2):
            with pytest.raises(LinkLost, match="cannot be set to 9600-8E1") as caught:
                await wire.connect()
            errors.append(caught.value)
        wire.close()


async def test_a_port_that_cannot_switch_direction_is_told_and_given_back():
    with SerialLine() as line:
        wire = open_wire(ChannelSettings(serial={"port": line.port, "line": "115200-8N1", "rs485": True}), 0.2)
        for _ in range(2):
            with pytest.raises(LinkLost, match="RS-485"):
                await wire.connect()
        wire.close()


async def test_a_port_has_one_owner():
    with SerialLine() as line:
        async with wire_on(line.port):
            second = open_wire(ChannelSettings(serial={"port": line.port}), 0.2)
            with pytest.raises(LinkLost, match="lock"):
                await second.connect()
            second.close()


async def test_a_port_that_is_not_there_is_named():
    wire = open_wire(ChannelSettings(serial={"port": "/dev/serial/by-id/usb-nothing"}), 0.2)
    with pytest.raises(LinkLost, match="usb-nothing: there is no such port"):
        await wire.connect()
    wire.close()
