"""ASCII frames against pymodbus' server, over TCP and over a serial line."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.drivers.modbus.matrix import check_matrix
from tests.support.ports import free_port
from tests.support.serial_line import joined_ports


@contextlib.contextmanager
def serving(make):
    """A server in a loop of its own, as another machine would have it."""
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve():
        device = SimDevice(1, SimData(0, count=300, values=0, datatype=DataType.REGISTERS))
        server = make([device])
        await server.serve_forever(background=True)
        loop.call_soon(ready.set)
        await server.serving

    def run():
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    yield
    loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    thread.join(20)


@pytest.fixture
def over_tcp():
    port = free_port()
    with serving(lambda devices: ModbusTcpServer(devices, framer=FramerType.ASCII, address=("127.0.0.1", port))):
        yield {"url": f"ascii+tcp://127.0.0.1:{port}"}


@pytest.fixture
def over_a_line():
    with (
        joined_ports() as (ours, theirs),
        serving(lambda devices: ModbusSerialServer(devices, framer=FramerType.ASCII, port=theirs, baudrate=9600)),
    ):
        yield {"serial": {"port": ours, "framing": "ascii", "line": "9600-8N1"}}


def test_every_type_and_word_order_in_ascii_over_tcp(over_tcp):
    check_matrix(over_tcp, examples=2)


def test_every_type_and_word_order_in_ascii_over_a_serial_line(over_a_line):
    check_matrix(over_a_line, examples=2)
