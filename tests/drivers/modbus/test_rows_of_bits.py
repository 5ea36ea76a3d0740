"""Numbers over rows of coils or discrete inputs: eight bits are a byte, the first its lowest bit."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.modbus.check import check
from drivers.modbus.simulator.image import Image
from gateway.errors import WriteRejected
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec

KINDS = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
ORDERS = {1: [None], 2: ["AB", "BA", "DCBA"], 4: ["ABCD", "BADC", "CDAB", "DCBA"], 8: ["ABCD", "GHEFCDAB", "HGFEDCBA"]}
SPELT = {"AB": "AB", "BA": "BA", None: "A"}


def bits_of(kind, order, value):
    """What the coils of a device with this value are."""
    data = struct.pack(">" + KINDS[kind], value)
    letters = SPELT.get(order, order)
    if len(data) == 2:
        letters = "BA" if letters in {"BA", "DCBA"} else "AB"
    elif letters == "ABCD":
        letters = "ABCDEFGH"[: len(data)]
    wire = [data["ABCDEFGH".index(letter)] for letter in letters]
    return [byte >> place & 1 for byte in wire for place in range(8)]


@st.composite
def cells(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    size = struct.calcsize(KINDS[kind])
    if kind.startswith("float"):
        value = draw(st.integers(-1000, 1000)) / 4
    else:
        low = 0 if kind.startswith("u") else -(2 ** (8 * size - 1))
        value = draw(st.integers(low, low + 2 ** (8 * size) - 1))
    return kind, draw(st.sampled_from(ORDERS[size])), value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.lists(cells(), min_size=1, max_size=4), first=st.integers(0, 20))
def test_fl_28_what_is_written_is_what_the_coils_hold_and_reads_back_beside_single_coils(row, first):
    async def play():
        async with FaultServer().running() as server:
            specs, at = [tag_spec("lamp", f"coil/{first}", "bool")], first + 1
            places = []
            for number, (kind, order, value) in enumerate(row):
                count = len(bits_of(kind, order, value))
                more = {} if order is None else {"word_order": order}
                specs.append(tag_spec(f"t{number}", f"coil/{at}-{at + count - 1}", kind, access="rw", **more))
                places.append(at)
                at += count
            device = device_of(specs)
            channel = channel_of(device, port=server.port)
            assert list(check(channel)) == []
            async with driver_on(channel, device) as driver:
                for tag, (_, _, value) in zip(device.tags[1:], row, strict=True):
                    await driver.write(device, tag, value)
                for start, (kind, order, value) in zip(places, row, strict=True):
                    wanted = bits_of(kind, order, value)
                    assert [server.coil(1, start + place) for place in range(len(wanted))] == wanted
                assert await read_all(driver, device) == {
                    "lamp": first % 2 == 1,
                    **{f"t{number}": value for number, (_, _, value) in enumerate(row)},
                }
                assert len(driver.plan(device, device.tags)) == 1

    asyncio.run(play())


async def test_a_row_may_be_shorter_than_an_unsigned_type_and_its_first_bit_is_the_lowest():
    async with FaultServer().running() as server:
        specs = [
            tag_spec("one", "coil/3-3", "uint8", access="rw"),
            tag_spec("three", "coil/4-6", "uint8", access="rw"),
            tag_spec("twelve", "coil/8-19", "uint16", access="rw"),
        ]
        device = device_of(specs)
        channel = channel_of(device, port=server.port)
        assert list(check(channel)) == []
        async with driver_on(channel, device) as driver:
            assert await read_all(driver, device) == {"one": 1, "three": 0b010, "twelve": 0xAAA}
            for tag, value in zip(device.tags, (0, 0b101, 0x0F3), strict=True):
                await driver.write(device, tag, value)
            assert await read_all(driver, device) == {"one": 0, "three": 0b101, "twelve": 0x0F3}
            assert [server.coil(1, place) for place in range(2, 9)] == [0, 0, 1, 0, 1, 1, 1], "others stay"
            for tag, value in zip(device.tags, (2, 8, 0x1000), strict=True):
                with pytest.raises(WriteRejected, match="does not fit"):
                    await driver.write(device, tag, value)


async def test_discrete_inputs_hold_numbers_that_are_never_written():
    async with FaultServer().running() as server:
        device = device_of([tag_spec("n", "discrete/0-15", "uint16", word_order="DCBA")])
        async with driver_on(channel_of(device, port=server.port), device) as driver:
            assert await read_all(driver, device) == {"n": 0xAAAA}
            with pytest.raises(WriteRejected):
                await driver.write(device, device.tags[0], 1)


@pytest.mark.parametrize(
    ("address", "kind", "field", "says"),
    [
        ("coil/0-6", "int8", "address", "coil/0-6 is 7 bits, a int8 has 8"),
        ("coil/0-8", "uint8", "address", "coil/0-8 is 9 bits, a uint8 has 8"),
        ("coil/0-15", "int32", "address", "coil/0-15 is 16 bits, a int32 has 32"),
        ("coil/0-15", "bool", "type", "is a row of bits and cannot hold a bool"),
        ("coil/0-15", "string", "type", "cannot hold a string"),
        ("coil/15-0", "int16", "address", "ends before it starts"),
        ("coil/0-", "int16", "address", "cannot be read"),
        ("coil/65530-65545", "int16", "address", "65545"),
        ("holding/0-1", "int16", "address", "cannot be read"),
    ],
)
def test_rows_that_cannot_be_are_found(address, kind, field, says):
    (fault,) = list(check(channel_of(device_of([tag_spec("t", address, kind)]))))
    assert fault.path == f"devices.dev.tags.t.{field}"
    assert says in fault.message


def test_a_simulated_unit_has_its_coils_set():
    device = device_of([tag_spec("t", "coil/4-19", "int16", access="rw")])
    image = Image(channel_of(device), device.spec)
    image.set("t", 0x0103)
    cells = next(cells for table, cells in image.cells.items() if table == "coil")
    assert [cells[place] for place in range(4, 20)] == [1, *[0] * 7, 1, 1, *[0] * 6]
