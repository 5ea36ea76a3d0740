"""The simulated plant, asked by a client of other authors (pymodbus)."""

from collections.abc import Callable

import pytest
from pymodbus import ModbusException
from pymodbus.client import ModbusTcpClient

from tests.support.plant import Plant


@pytest.fixture
def plant(make_plant: Callable[..., Plant]) -> Plant:
    return make_plant([[1, 2], [1]], registers=100)


def _client(plant: Plant, line: int = 0) -> ModbusTcpClient:
    client = ModbusTcpClient("127.0.0.1", port=plant.ports[line], timeout=0.5, retries=0)
    assert client.connect()
    return client


def test_all_registers_of_a_poll_carry_its_count(plant: Plant) -> None:
    client = _client(plant)
    for count in (1, 2, 3):
        assert client.read_holding_registers(0, count=100, device_id=2).registers == [count] * 100
    client.read_holding_registers(50, count=10, device_id=2)
    assert plant.counts() == {(0, 1): 0, (0, 2): 3, (1, 1): 0}
    assert plant.requests()[0, 2] == 4
    assert plant.accepted() == [1, 0]
    client.close()


def test_plain_memory_keeps_what_was_written(plant: Plant) -> None:
    client = _client(plant)
    client.write_register(200, 7, device_id=1)
    client.write_registers(201, [8, 9], device_id=1)
    assert client.read_holding_registers(200, count=3, device_id=1).registers == [7, 8, 9]
    assert [write[:2] for write in plant.writes(0)] == [[200, 7], [201, [8, 9]]]
    client.write_coil(3, True, device_id=1)
    assert client.read_coils(0, count=10, device_id=1).bits[:10] == [False] * 3 + [True] + [False] * 6
    client.close()


def test_faults_happen_and_end(plant: Plant) -> None:
    client = _client(plant)
    plant.fault(0, "silent")
    with pytest.raises(ModbusException):
        client.read_holding_registers(0, count=1, device_id=1)
    plant.fault(0, 6)
    client.connect()
    assert client.read_holding_registers(0, count=1, device_id=1).exception_code == 6
    plant.fault(0, "slow")
    assert client.read_holding_registers(0, count=4, device_id=1).registers == [1] * 4
    plant.fault(0, "ok")
    assert client.read_holding_registers(0, count=1, device_id=1).registers == [2]
    client.close()


def test_a_line_refuses_and_comes_back_on_its_port(plant: Plant) -> None:
    client = _client(plant)
    plant.refuse(0)
    assert not ModbusTcpClient("127.0.0.1", port=plant.ports[0], timeout=0.5).connect()
    plant.pass_(0)
    client.close()
    client = _client(plant)
    assert client.read_holding_registers(0, count=1, device_id=1).registers == [1]
    client.close()
