"""The driver against libmodbus: another author's server and another author's encoding."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import RequestRefused
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec
from tests.drivers.modbus.matrix import check_matrix, every_cell, wire_words


@pytest.fixture
def port(libmodbus_server: Path, processes) -> Iterator[int]:
    """A running server on a port that the kernel chose."""
    server = processes.start("libmodbus", [str(libmodbus_server), "tcp", "0"])
    found = re.search(r"listening (\d+)", server.wait_output("listening "))
    assert found is not None
    yield int(found[1])


def test_fl_27_every_type_and_word_order_reads_back_what_was_written(port):
    check_matrix(port, examples=25)


def test_the_matrix_has_every_type_in_every_order_of_its_size():
    assert len(every_cell()) == 2 * 2 + 4 * 3 + 5 * 3


@pytest.mark.parametrize(
    ("arguments", "kind", "order", "value"),
    [
        (["f32", "1234.5"], "float32", "ABCD", 1234.5),
        (["f64", "1234.5678"], "float64", "ABCDEFGH", 1234.5678),
        (["u32", "305419896"], "uint32", "ABCD", 305419896),
        (["u64", "81985529216486895"], "uint64", "ABCDEFGH", 81985529216486895),
    ],
)
def test_the_words_of_plain_registers_are_those_of_libmodbus(libmodbus_server, arguments, kind, order, value):
    printed = subprocess.run(
        [str(libmodbus_server), "encode", *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert "".join(f"{word:04x}" for word in wire_words(kind, order, value)) == printed


async def test_coils_and_bits_reach_libmodbus_and_come_back(port):
    specs = [tag_spec(f"c{i}", f"coil/{i}", "bool", access="rw") for i in range(20)]
    specs += [tag_spec(f"b{n}", f"holding/0.{n}", "bool", access="rw") for n in range(16)]
    device = device_of(specs)
    async with driver_on(channel_of(device, port=port), device) as driver:
        wanted = {tag.path: i % 3 == 0 for i, tag in enumerate(device.tags)}
        for tag in device.tags:
            await driver.write(device, tag, wanted[tag.path])
        assert await read_all(driver, device) == wanted


async def test_libmodbus_refuses_an_address_that_it_does_not_have(port):
    device = device_of([tag_spec("t", "holding/1000")])
    async with driver_on(channel_of(device, port=port), device) as driver:
        with pytest.raises(RequestRefused) as caught:
            await read_all(driver, device)
    assert caught.value.code == 2
