"""Values of one byte: half a register, beside what is in the other half."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from drivers.modbus.address import AddressError, parse_address
from drivers.modbus.check import check
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec

HALVES = ("low", "high", "")


@pytest.mark.parametrize(
    ("text", "short"),
    [("holding/5.high", "holding/5.high"), ("40006.low", "holding/5.low"), ("input/0x10.high", "input/16.high")],
)
def test_an_address_may_name_a_byte(text, short):
    assert parse_address(text).short == short
    assert parse_address(short) == parse_address(text)


@pytest.mark.parametrize("text", ["coil/3.high", "holding/5.HIGH", "holding/5.middle", "holding/5.high.low"])
def test_what_has_no_bytes_is_refused(text):
    with pytest.raises(AddressError):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("holding/5.high", "uint16", "holding/5.high (40006.high, 0x5) is one byte and cannot hold a uint16"),
        ("holding/5.high", "bool", "holding/5.high (40006.high, 0x5) is one byte and cannot hold a bool"),
        ("holding/5.1", "uint8", "holding/5.1 (40006.1, 0x5) is one bit and cannot hold a uint8"),
        ("coil/5", "int8", "coil/5 (00006, 0x5) is one bit and cannot hold a int8"),
    ],
)
def test_the_type_must_fit_the_place(address, kind, says):
    device = device_of([tag_spec("x", address, kind)])
    assert [fault.message for fault in check(channel_of(device))] == [says]


@pytest.mark.parametrize(("order", "swapped"), [("ABCD", False), ("BADC", True)])
def test_each_half_is_read_alone_and_with_others_in_any_order(order, swapped):
    async def play():
        async with FaultServer().running() as server:
            wire = (0x80, 0x7F)  # high byte, low byte on the wire
            server.registers[1, 5] = wire[0] << 8 | wire[1]
            server.registers[1, 6] = 0x1234
            high, low = wire[::-1] if swapped else wire
            want = {"low": low, "high": high, "": low}
            for halves in itertools.chain.from_iterable(itertools.permutations(HALVES, n) for n in (1, 2, 3)):
                specs = [tag_spec(f"u{half}", f"holding/5{half and '.' + half}", "uint8") for half in halves]
                specs += [tag_spec(f"s{half}", f"holding/5{half and '.' + half}", "int8") for half in halves]
                for rest in ([], [tag_spec("rest", "holding/6", "uint16", word_order="AB")]):
                    for chosen in (specs[:1], specs):
                        device = device_of([*chosen, *rest])
                        channel = channel_of(device, port=server.port, word_order=order)
                        async with driver_on(channel, device) as driver:
                            got = await read_all(driver, device)
                        for path, value in got.items():
                            byte = want[path[1:]] if path != "rest" else 0
                            unsigned = path.startswith("u")
                            signed = byte - 256 if byte > 127 else byte
                            assert value == (0x1234 if path == "rest" else byte if unsigned else signed)

    asyncio.run(play())


@pytest.mark.parametrize("order", ["ABCD", "BADC"])
@pytest.mark.parametrize("masks", [True, False])
def test_writing_a_byte_leaves_the_other_one_as_it_is(order, masks):
    async def play():
        async with FaultServer().running() as server:
            if not masks:
                server.unknown_functions = {22}
            server.registers[1, 5] = 0xA55A
            device = device_of(
                [
                    tag_spec("low", "holding/5.low", "int8", access="rw"),
                    tag_spec("high", "holding/5.high", "uint8", access="rw"),
                ]
            )
            channel = channel_of(device, port=server.port, word_order=order)
            async with driver_on(channel, device) as driver:
                before = await read_all(driver, device)
                for value in (-1, 0, 127, -128):
                    await driver.write(device, device.tags[0], value)
                    assert await read_all(driver, device) == {**before, "low": value}
                await driver.write(device, device.tags[1], 200)
                assert await read_all(driver, device) == {"low": -128, "high": 200}
            assert server.registers[1, 5] == (0xC880 if order == "ABCD" else 0x80C8)

    asyncio.run(play())
