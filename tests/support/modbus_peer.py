"""pymodbus' server as the device: four tables of its own, on a TCP port or a serial line, asked by pymodbus' client."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.support.ports import free_port

TABLES = ("coil", "discrete", "input", "holding")
Tables = Mapping[str, Mapping[int, int]]
"""Table -> address on the wire -> register, or 0 and 1."""
_SIZE = 65_536


def _device(unit: int, tables: Tables) -> SimDevice:
    def block(table: str) -> list[SimData]:
        size = max([*tables.get(table, {0: 0}), 127]) // 16 * 16 + 16
        cells = [tables.get(table, {}).get(place, 0) for place in range(min(size, _SIZE))]
        if table in {"coil", "discrete"}:
            return [SimData(0, values=[bool(cell) for cell in cells], datatype=DataType.BITS)]
        return [SimData(0, values=list(cells), datatype=DataType.REGISTERS)]

    return SimDevice(
        unit, (block("coil"), block("discrete"), block("holding"), block("input")), use_bit_addressing=True
    )


@contextlib.contextmanager
def _serving(make: Any) -> Iterator[None]:
    ready, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = make()
        await server.serve_forever(background=True)
        ready.set()
        await end.wait()
        await server.shutdown()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # requests that were under way: let them begin and end
        if left:
            await asyncio.wait(left, timeout=5)

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(20)


@dataclass(frozen=True)
class TcpPeer:
    """A device on a TCP port."""

    port: int

    def read(self, unit: int, table: str, address: int, count: int = 1) -> list[int]:
        """What it holds now, by a client of its own."""
        client = ModbusTcpClient("127.0.0.1", port=self.port)
        try:
            assert client.connect()
            ask = {
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
                "input": client.read_input_registers,
                "holding": client.read_holding_registers,
            }[table]
            answer = ask(address, count=count, device_id=unit)
            assert not answer.isError(), answer
            cells = answer.bits if table in {"coil", "discrete"} else answer.registers
            return [int(cell) for cell in cells[:count]]
        finally:
            client.close()


@contextlib.contextmanager
def tcp_peer(units: Mapping[int, Tables]) -> Iterator[TcpPeer]:
    """Devices behind one port."""
    port = free_port()
    devices = [_device(unit, tables) for unit, tables in units.items()]
    with _serving(lambda: ModbusTcpServer(devices, address=("127.0.0.1", port))):
        yield TcpPeer(port)


@contextlib.contextmanager
def serial_peer(port: str, units: Mapping[int, Tables], baudrate: int) -> Iterator[None]:
    """Devices on a serial line."""
    devices = [_device(unit, tables) for unit, tables in units.items()]
    with _serving(lambda: ModbusSerialServer(devices, port=port, baudrate=baudrate)):
        yield
