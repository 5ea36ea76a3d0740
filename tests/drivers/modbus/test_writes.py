"""Writes: what reaches the device, with which function, and what is refused before."""

from __future__ import annotations

import pytest

from gateway.errors import DeviceUnavailable, RequestRefused, WriteRejected
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec


async def written(server, spec, value, **options):
    """Write one tag; returns the functions that the server saw."""
    device = device_of([spec], **options)
    seen = len(server.requests)
    async with driver_on(channel_of(device, port=server.port, timeout_s=0.3), device) as driver:
        await driver.write(device, device.tags[0], value)
    return [function for _, function, _, _ in server.requests[seen:]]


@pytest.mark.parametrize(
    ("address", "kind", "value", "write_with", "functions"),
    [
        ("coil/3", "bool", True, "auto", [5]),
        ("coil/3", "bool", True, "multiple", [15]),
        ("holding/3", "uint16", 7, "auto", [6]),
        ("holding/3", "uint16", 7, "single", [6]),
        ("holding/3", "uint16", 7, "multiple", [16]),
        ("holding/3", "uint32", 7, "auto", [16]),
        ("holding/3.4", "bool", True, "auto", [22]),
    ],
)
async def test_write_with_chooses_the_function(faulty, address, kind, value, write_with, functions):
    assert await written(faulty, tag_spec("t", address, kind, access="rw", write_with=write_with), value) == functions


@pytest.mark.parametrize("order", ["ABCD", "BADC"])
@pytest.mark.parametrize("mask_write", [True, False])
@pytest.mark.parametrize("bit", range(16))
async def test_fl_28_writing_one_bit_leaves_the_other_15_as_they_were(faulty, bit, mask_write, order):
    if not mask_write:
        faulty.unknown_functions = {22}
    faulty.registers[1, 5] = 0b1010_0101_1100_0011
    before = faulty.registers[1, 5]
    spec = tag_spec("t", f"holding/5.{bit}", "bool", access="rw", word_order=order)
    device = device_of([spec])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        old = (await read_all(driver, device))["t"]
        await driver.write(device, device.tags[0], not old)
        assert (await read_all(driver, device))["t"] is (not old)
    assert (faulty.registers[1, 5] ^ before).bit_count() == 1


async def test_a_function_that_the_unit_does_not_know_is_replaced_once_and_remembered(faulty):
    faulty.unknown_functions = {5, 6}
    device = device_of([tag_spec("r", "holding/1", access="rw"), tag_spec("c", "coil/2", "bool", access="rw")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        for value in (1, 0):
            await driver.write(device, device.tags[0], value)
            await driver.write(device, device.tags[1], bool(value))
    assert [function for _, function, _, _ in faulty.requests] == [6, 16, 5, 15, 16, 15]
    assert faulty.registers[1, 1] == 0 and faulty.coils[1, 2] is False


async def test_a_function_that_the_user_chose_is_not_replaced(faulty):
    faulty.unknown_functions = {6}
    with pytest.raises(RequestRefused):
        await written(faulty, tag_spec("t", "holding/1", access="rw", write_with="single"), 1)


@pytest.mark.parametrize(
    ("spec", "value", "code"),
    [
        (tag_spec("t", "holding/1", access="rw"), 65536, 422),
        (tag_spec("t", "holding/1", access="rw", scale=0.1), -0.1, 422),
        (tag_spec("t", "holding/1", "float32", access="rw"), float("nan"), 422),
        (tag_spec("t", "coil/1", "bool", access="rw"), 5, 422),
        (tag_spec("t", "input/1", access="rw"), 5, 403),
    ],
)
async def test_what_does_not_fit_is_refused_before_anything_reaches_the_wire(faulty, spec, value, code):
    with pytest.raises(WriteRejected) as caught:
        await written(faulty, spec, value)
    assert caught.value.code == code
    assert faulty.requests == []


async def test_nothing_is_ever_written_to_the_broadcast_address_or_into_a_forbidden_range(faulty):
    for options in ({"unit_id": 0}, {"forbidden": ("holding/1",)}):
        with pytest.raises(WriteRejected) as caught:
            await written(faulty, tag_spec("t", "holding/1", access="rw"), 5, **options)
        assert caught.value.code == 403
    assert faulty.requests == []


async def test_a_scaled_value_arrives_as_the_nearest_raw_step(faulty):
    await written(faulty, tag_spec("t", "holding/1", access="rw", scale=0.1, offset=-40.0), 21.44)
    assert faulty.registers[1, 1] == 614


async def test_a_write_that_is_not_answered_is_sent_once_and_its_outcome_is_not_known(faulty):
    faulty.mode = "silent"
    with pytest.raises(DeviceUnavailable):
        await written(faulty, tag_spec("t", "holding/1", access="rw"), 5)
    assert len(faulty.requests) == 1


@pytest.mark.parametrize("count", [1, 8, 9, 2000])
async def test_fl_28_packed_coils_are_read_in_place(faulty, count):
    device = device_of([tag_spec(f"c{i}", f"coil/{i}", "bool") for i in range(count)])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        assert await read_all(driver, device) == {f"c{i}": i % 2 == 1 for i in range(count)}
    assert len(faulty.requests) == 1


async def test_fl_28_all_bits_of_a_register_are_read_in_place(faulty):
    faulty.registers[1, 5] = 0b1010_0101_1100_0011
    device = device_of([tag_spec(f"b{n}", f"holding/5.{n}", "bool") for n in range(16)])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        values = await read_all(driver, device)
    assert sum(values[f"b{n}"] << n for n in range(16)) == faulty.registers[1, 5]
