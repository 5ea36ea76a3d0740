"""Values that are a part of their registers: a write changes their bits and no others, in every order of bytes."""

from __future__ import annotations

import asyncio

import pytest

from drivers.modbus.check import check
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec


def parts(address: str, kind: str, **transform: int):
    return tag_spec("part", address, kind, access="rw", **transform)


@pytest.mark.parametrize("order", ["ABCD", "BADC", "CDAB", "DCBA"])
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize(
    ("kind", "registers", "transform", "values"),
    [
        ("uint16", 1, {"mask": 0x0F00, "shift": 8}, (11, 0, 15)),
        ("int16", 1, {"shift": 4}, (-7, 2047, -2048)),
        ("uint32", 2, {"mask": 0x00FFF000, "shift": 12}, (0xABC, 0, 0xFFF)),
        ("int32", 2, {"mask": 0x0000FFFF}, (0xBEEF, 1)),
    ],
)
def test_the_other_bits_stay(order, masks, kind, registers, transform, values):
    async def play():
        async with FaultServer().running() as server:
            if not masks:
                server.unknown_functions = {22}
            before = [0xA55A, 0x1234][:registers]
            for place, content in enumerate(before):
                server.registers[1, 5 + place] = content
            spec = parts("holding/5", kind, **transform)
            raws = [tag_spec(f"r{i}", f"holding/{5 + i}", "uint16", word_order="AB") for i in range(registers)]
            device = device_of([spec, *raws])
            channel = channel_of(device, port=server.port, word_order=order)
            assert list(check(channel)) == []
            async with driver_on(channel, device) as driver:
                first = (await read_all(driver, device))["part"]
                for value in values:
                    await driver.write(device, device.tags[0], value)
                    assert (await read_all(driver, device))["part"] == value
                await driver.write(device, device.tags[0], first)
            assert [server.registers[1, 5 + i] for i in range(registers)] == before

    asyncio.run(play())


@pytest.mark.parametrize(
    ("address", "kind"), [("holding/5.low", "uint8"), ("coil/0-15", "uint16"), ("holding/5", "bcd16")]
)
def test_where_bits_cannot_be_written_alone_the_tag_is_read_only(address, kind):
    device = device_of([parts(address, kind, mask=0x0F)])
    assert [fault.path.rpartition(".")[2] for fault in check(channel_of(device))] == ["access"]
