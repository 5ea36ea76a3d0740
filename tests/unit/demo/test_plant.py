"""The simulated plant: read by a Modbus client that others wrote, and coherent as a plant."""

import asyncio
import contextlib
import json
import struct
import sys

import pytest
from pymodbus.client import AsyncModbusTcpClient

from gateway.demo.devices import DAY_S, Inverter, Pump
from gateway.demo.modbus_server import COIL, HOLDING, Image, ModbusServer, answer
from gateway.demo.plant import NAMES, Plant


@contextlib.asynccontextmanager
async def _served(image):
    async with asyncio.TaskGroup() as group:
        bound = asyncio.get_running_loop().create_future()
        task = group.create_task(ModbusServer(image).run(0, bound))
        client = AsyncModbusTcpClient("127.0.0.1", port=await bound, retries=0, timeout=5)
        try:
            assert await client.connect()
            yield client
        finally:
            client.close()
            task.cancel()


def _float(words):
    return struct.unpack(">f", struct.pack(">HH", *words))[0]


async def test_a_foreign_client_reads_every_table():
    plant = Plant()
    plant.step(1.0)
    async with _served(plant.pump.image) as client:
        coils = await client.read_coils(0, count=1, device_id=1)
        discrete = await client.read_discrete_inputs(0, count=2, device_id=1)
        holding = await client.read_holding_registers(0, count=2, device_id=1)
        inputs = await client.read_input_registers(0, count=8, device_id=1)
    assert coils.bits[0] is True
    assert discrete.bits[1] is False
    assert holding.registers == [1350, Pump.AUTOMATIC]
    assert inputs.registers[0] == round(plant.pump.speed * 10)
    assert inputs.registers[5] == plant.pump.starts


async def test_floats_of_the_meter_arrive_as_they_are():
    plant = Plant()
    async with _served(plant.meter.image) as client:
        words = (await client.read_input_registers(0, count=20, device_id=1)).registers
    assert 220 < _float(words[0:2]) < 240
    assert _float(words[12:14]) == pytest.approx(plant.meter.power, rel=1e-6)
    assert words[16] << 16 | words[17] == int(plant.meter.import_wh)


async def test_a_written_setpoint_changes_the_speed():
    plant = Plant()
    async with _served(plant.pump.image) as client:
        assert not (await client.write_register(0, 900, device_id=1)).isError()
        assert (await client.read_holding_registers(0, count=1, device_id=1)).registers == [900]
    for _ in range(200):
        plant.step(0.1)
    assert plant.pump.speed == pytest.approx(900, rel=0.01)


async def test_multiple_writes_are_taken():
    plant = Plant()
    async with _served(plant.pump.image) as client:
        assert not (await client.write_registers(0, [1200, Pump.MANUAL], device_id=1)).isError()
        assert not (await client.write_coils(0, [False], device_id=1)).isError()
    assert (plant.pump.setpoint, plant.pump.mode, plant.pump.run) == (1200, Pump.MANUAL, False)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda c: c.read_input_registers(500, count=1, device_id=1), 2),
        (lambda c: c.read_input_registers(0, count=1, device_id=9), 0x0B),
        (lambda c: c.write_register(0, 9999, device_id=1), 3),
        (lambda c: c.write_register(77, 1, device_id=1), 2),
        (lambda c: c.report_device_id(device_id=1), 1),
    ],
    ids=["no such register", "no such unit", "value out of range", "no such holding register", "no such function"],
)
async def test_what_the_device_cannot_do_is_a_modbus_exception(act, code):
    async with _served(Plant().pump.image) as client:
        response = await act(client)
    assert response.isError()
    assert response.exception_code == code


@pytest.mark.parametrize(
    "frame",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x01\x00\x07\x00\x06\x01\x03\x00\x00\x00\x01", b"\x00\x01\x00\x00\xff\xff\x01"],
)
async def test_a_peer_that_does_not_speak_modbus_is_cut_off_alone(frame):
    async with _served(Plant().tank.image) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.comm_params.port)
        writer.write(frame)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert not (await client.read_input_registers(0, count=1, device_id=1)).isError()


@pytest.mark.parametrize(
    "pdu", [b"\x03", b"\x10\x00\x00\x00\x02\x03\x00", b"\x0f\x00\x00\x00\x01", b"\x03\x00\x00\x00\x00"]
)
def test_a_malformed_request_is_refused_with_code_3(pdu):
    assert answer(Image(), pdu) == bytes((pdu[0] | 0x80, 3))


def test_the_tank_holds_what_came_in_less_what_went_out():
    plant = Plant()
    level, balance = plant.tank.level, 0.0
    for _ in range(3000):
        plant.step(0.1)
        balance += (plant.tank.inflow - plant.tank.outflow) * 0.1 / 3600
    assert plant.tank.level - level == pytest.approx(balance / plant.tank.VOLUME_M3 * 100, abs=0.5)


def test_in_automatic_the_level_stays_between_its_marks_and_the_pump_starts_again():
    plant = Plant()
    levels, starts = [], plant.pump.starts
    for _ in range(40_000):
        plant.step(0.1)
        levels.append(plant.tank.level)
    assert min(levels) > 30
    assert max(levels) < 90
    assert plant.pump.starts > starts


def test_a_written_run_takes_the_pump_over_and_the_interlock_still_stops_it():
    plant = Plant()
    plant.pump.image.on_write(COIL, 0, 0)
    assert plant.pump.mode == Pump.MANUAL
    plant.pump.image.on_write(COIL, 0, 1)
    for _ in range(20_000):
        plant.step(0.1)
        assert plant.tank.level < 99
    assert plant.pump.run is False


def test_the_meter_counts_what_the_others_use_and_make():
    plant = Plant()
    imported, exported, balance = plant.meter.import_wh, plant.meter.export_wh, 0.0
    for _ in range(int(DAY_S * 10)):
        plant.step(0.1)
        balance += plant.meter.power * 0.1 / 3600
    assert (plant.meter.import_wh - imported) - (plant.meter.export_wh - exported) == pytest.approx(balance, rel=1e-6)
    assert plant.meter.import_wh > imported
    assert plant.meter.export_wh > exported


def test_the_inverter_sleeps_at_night_and_obeys_its_limit_by_day():
    plant = Plant()
    states, most = set(), 0.0
    for _ in range(int(DAY_S * 10)):
        plant.step(0.1)
        states.add(plant.inverter.state)
        most = max(most, plant.inverter.power)
    assert states == {Inverter.OFF, Inverter.MPPT}
    assert most > 8000
    plant.inverter.image.on_write(HOLDING, 10, 30)
    most = 0.0
    for _ in range(int(DAY_S * 10)):
        plant.step(0.1)
        most = max(most, plant.inverter.power)
    assert most == pytest.approx(0.3 * Inverter.RATED_W)


async def test_the_plant_runs_as_a_process_of_its_own_and_ends_on_a_signal():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.demo.plant", stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            ports = json.loads(await process.stdout.readline())
        assert sorted(ports) == sorted(NAMES)
        client = AsyncModbusTcpClient("127.0.0.1", port=ports["tank"], retries=0, timeout=5)
        await client.connect()
        assert not (await client.read_input_registers(0, count=4, device_id=1)).isError()
        client.close()
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0
