"""The driver against npm's modbus-serial: a third author."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import RequestRefused
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec
from tests.drivers.modbus.matrix import check_matrix
from tests.support.parts import command, require
from tests.support.ports import free_port


@pytest.fixture
def port(processes) -> int:
    """A running server on a free port."""
    require("node", "modbus-serial")
    number = free_port()
    script = Path(__file__).parent / "modbus_server.js"
    processes.start("modbus-serial", [command("node"), str(script), str(number)]).wait_output("listening")
    return number


def test_fl_27_every_type_and_word_order_reads_back_what_was_written(port):
    check_matrix(port, examples=15)


async def test_coils_are_written_and_read_in_place(port):
    device = device_of([tag_spec(f"c{i}", f"coil/{i}", "bool", access="rw") for i in range(20)])
    async with driver_on(channel_of(device, port=port), device) as driver:
        for i, tag in enumerate(device.tags):
            await driver.write(device, tag, i % 3 == 0)
        assert await read_all(driver, device) == {f"c{i}": i % 3 == 0 for i in range(20)}


async def test_a_refused_address_carries_its_code(port):
    device = device_of([tag_spec("t", "holding/1000")])
    async with driver_on(channel_of(device, port=port), device) as driver:
        with pytest.raises(RequestRefused) as caught:
            await read_all(driver, device)
    assert caught.value.code == 2
