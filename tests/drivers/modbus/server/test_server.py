"""The Modbus server to the plant, read and written by pymodbus and by bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient

from drivers.modbus.server import SPEC, server
from drivers.modbus.server.settings import ServerSettings
from gateway.model import Access, Quality, TagSpec, Transform, ValueType, WriteLimits, WriteState
from gateway.serving.offering import Choice
from tests.support.certificates import Certificates, Pair
from tests.support.eventually import eventually
from tests.support.serving import Plant, device

RW = {"access": Access.READ_WRITE}
TENTH = Transform(scale=0.1)


def plant() -> Plant:
    made = Plant(
        device(
            "pump",
            TagSpec("alarm", ValueType.BOOL, None),
            TagSpec("big", ValueType.INT64, None),
            TagSpec("count", ValueType.INT32, None, **RW),
            TagSpec("flow", ValueType.FLOAT32, None),
            TagSpec("name", ValueType.STRING, None, **RW),
            TagSpec("run", ValueType.BOOL, None, **RW),
            TagSpec("speed", ValueType.INT16, None, transform=TENTH, range=(0.0, 150.0), **RW),
            TagSpec("step", ValueType.UINT16, None, write=WriteLimits(rate=(1, 3600.0)), **RW),
        )
    )
    made.show({"pump.alarm": True, "pump.big": -5, "pump.count": 70000, "pump.flow": 12.5, "pump.name": "north"})
    made.show({"pump.run": False, "pump.speed": 21.5, "pump.step": 3})
    return made


@contextlib.asynccontextmanager
async def serving(
    behind: Plant, tmp_path, choice: Choice | None = None, **settings
) -> AsyncIterator[AsyncModbusTcpClient]:
    async with behind.served(SPEC, ServerSettings(**settings), tmp_path, choice) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        try:
            yield client
        finally:
            client.close()


def at(behind: Plant, path: str) -> int:
    """The offset of a tag, as the map says."""
    rows = {row["tag"]: row for row in behind.runner.map()}
    return int(rows[f"pump.{path}"]["address"].partition("/")[2])


def number(client, registers, kind: str):
    return client.convert_from_registers(registers, getattr(client.DATATYPE, kind))


def registers(client, value, kind: str):
    return client.convert_to_registers(value, getattr(client.DATATYPE, kind))


async def test_pymodbus_reads_what_the_map_says(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        flow = await client.read_input_registers(at(behind, "flow"), count=2)
        assert number(client, flow.registers, "FLOAT32") == 12.5
        big = await client.read_input_registers(at(behind, "big"), count=4)
        assert number(client, big.registers, "INT64") == -5
        count = await client.read_holding_registers(at(behind, "count"), count=2)
        assert number(client, count.registers, "INT32") == 70000
        name = await client.read_holding_registers(at(behind, "name"), count=16)
        assert number(client, name.registers, "STRING") == "north"
        assert (await client.read_discrete_inputs(at(behind, "alarm"), count=1)).bits[0] is True
        assert (await client.read_coils(at(behind, "run"), count=1)).bits[0] is False
        assert (await client.read_holding_registers(0, count=1, device_id=7)).exception_code == 0x0B
        assert (await client.read_holding_registers(5000, count=1)).exception_code == 2
        assert [row["tag"] for row in behind.runner.map() if row["access"] == "rw"] == [
            "pump.run", "pump.count", "pump.name", "pump.speed", "pump.step",
        ]  # fmt: skip


async def test_a_write_goes_through_the_commands_and_comes_back_as_read(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        assert not (await client.write_registers(at(behind, "speed"), registers(client, 33.5, "FLOAT32"))).isError()
        assert not (await client.write_coil(at(behind, "run"), True)).isError()
        assert behind.writes == [("pump.speed", 33.5), ("pump.run", True)]
        found = await client.read_holding_registers(at(behind, "speed"), count=2)
        assert number(client, found.registers, "FLOAT32") == 33.5
        assert behind.trail.entries == [
            ("127.0.0.1 (modbus hmi)", "plant", "speed", "ok"),
            ("127.0.0.1 (modbus hmi)", "plant", "run", "ok"),
        ]


async def test_several_whole_values_are_written_by_one_request(tmp_path):
    behind = plant()
    both = {"pump.count": "holding/10", "pump.step": "holding/12"}
    async with serving(behind, tmp_path, map=both) as client:
        words = [*registers(client, -3, "INT32"), 9]
        assert not (await client.write_registers(10, words)).isError()
        assert behind.writes == [("pump.count", -3), ("pump.step", 9)]


async def test_what_is_refused_says_why_and_reaches_no_device(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path, Choice(write=("*.speed", "*.step", "*.count"))) as client:
        speed, step, count = (at(behind, path) for path in ("speed", "step", "count"))
        beyond = await client.write_registers(speed, registers(client, 151.0, "FLOAT32"))
        assert beyond.exception_code == 3
        half = await client.write_register(count, 1)
        assert half.exception_code == 3
        other_half = await client.write_registers(count + 1, [1])
        assert other_half.exception_code == 3
        nan = await client.write_registers(speed, registers(client, math.nan, "FLOAT32"))
        assert nan.exception_code == 3
        assert (await client.write_coil(0, True)).exception_code == 2
        assert (await client.write_registers(count, [0] * 50)).exception_code == 2
        assert behind.writes == []
        assert not (await client.write_register(step, 4)).isError()
        assert (await client.write_register(step, 5)).exception_code == 6
        behind.ends = [WriteState.FAILED]
        failed = await client.write_registers(count, registers(client, 1, "INT32"))
        assert failed.exception_code == 4
        assert behind.writes == [("pump.step", 4)]


async def test_a_value_that_is_not_good_is_an_exception_or_a_sentinel_and_its_status_says_which(tmp_path):
    behind = plant()
    behind.show({"pump.flow": None}, Quality.BAD_COMM)
    behind.show({"pump.count": 1}, Quality.LAST_KNOWN)
    async with serving(behind, tmp_path) as client:
        flow, count = at(behind, "flow"), at(behind, "count")
        assert (await client.read_input_registers(flow, count=2)).exception_code == 4
        assert (await client.read_holding_registers(count, count=2)).exception_code == 4
        head = await client.read_input_registers(60000, count=18)
        assert head.registers[1:3] == [8, 2]
        rows = {row["tag"]: int(row["quality_at"].partition("/")[2]) - 60000 for row in behind.runner.map()}
        codes = {tag: head.registers[place] for tag, place in rows.items()}
        assert codes["pump.flow"] == Quality.BAD_COMM
        assert codes["pump.count"] == Quality.LAST_KNOWN
        assert codes["pump.speed"] == Quality.GOOD
    async with serving(behind, tmp_path, bad="sentinel") as client:
        found = await client.read_input_registers(flow, count=2)
        assert math.isnan(number(client, found.registers, "FLOAT32"))
        found = await client.read_holding_registers(count, count=2)
        assert number(client, found.registers, "INT32") == -(2**31)


async def test_a_number_that_its_registers_cannot_hold_is_not_shown(tmp_path):
    behind = plant()
    behind.show({"pump.count": 70000})
    async with serving(behind, tmp_path, map={"pump.count": {"address": "holding/10", "type": "int16"}}) as client:
        assert (await client.read_holding_registers(10, count=1)).exception_code == 4
        head = await client.read_input_registers(60000, count=3)
        assert head.registers[2] == 1
        behind.show({"pump.count": 7})
        assert (await client.read_holding_registers(10, count=1)).registers == [7]


async def test_a_scaled_register_and_swapped_words_are_what_the_map_says(tmp_path):
    behind = plant()
    own = {"pump.speed": {"address": 40011, "type": "int16", "scale": 0.1}, "pump.count": "holding/20"}
    async with serving(behind, tmp_path, map=own, word_order="CDAB") as client:
        assert (await client.read_holding_registers(10, count=1)).registers == [215]
        assert not (await client.write_register(10, 301)).isError()
        assert behind.writes == [("pump.speed", 30.1)]
        found = await client.read_holding_registers(20, count=2)
        assert found.registers == [70000 & 0xFFFF, 70000 >> 16]


async def test_a_channel_that_does_not_run_shows_nothing_as_good(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        behind.runs = False
        assert (await client.read_input_registers(at(behind, "flow"), count=2)).exception_code == 4


async def test_places_outlive_the_server(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path):
        before = {row["tag"]: row["address"] for row in behind.runner.map()}
    more = Plant(device("fan", TagSpec("a", ValueType.UINT16, None)), *behind.channel.devices, memory=behind.memory)
    async with serving(more, tmp_path):
        after = {row["tag"]: row["address"] for row in more.runner.map()}
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"fan.a"}


class Wire:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ended(self) -> bool:
        """Whether the server has hung up."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True


async def wire(client: AsyncModbusTcpClient) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", client.comm_params.port))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n",
        b"\0\1\0\0\0\0\1\3\0\0\0\1",
        struct.pack(">HHHB", 1, 7, 6, 1) + b"\3\0\0\0\1",
        struct.pack(">HHHB", 1, 0, 0xFFFF, 1) + b"\3" * 50,
        bytes(range(256)) * 8,
    ],
)
async def test_whoever_speaks_no_modbus_is_hung_up_on_and_the_others_go_on(tmp_path, rubbish):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        stranger = await wire(client)
        stranger.writer.write(rubbish)
        assert await stranger.ended()
        assert (await client.read_coils(at(behind, "run"), count=1)).bits[0] is False
        stranger.writer.close()


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (b"\x07", 1),
        (b"\x03\x00", 3),
        (b"\x03\x00\x00\x00\x00", 3),
        (b"\x03\x00\x00\x00\x7e", 3),
        (b"\x10\x00\x00\x00\x02\x04\x00", 3),
        (b"\x10\x00\x00\x00\x01\x04\x00\x00\x00\x00", 3),
        (b"\x05\x00\x00\x12\x34", 3),
        (b"\x03\xff\xff\x00\x02", 2),
        (b"\x2b\x0d", 1),
    ],
)
async def test_a_request_that_cannot_be_is_refused_and_the_next_is_answered(tmp_path, pdu, code):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        bare = await wire(client)
        for _ in range(2):
            bare.writer.write(struct.pack(">HHHB", 9, 0, len(pdu) + 1, 1) + pdu)
            async with asyncio.timeout(10):
                answer = await bare.reader.readexactly(9)
            assert answer == struct.pack(">HHHB", 9, 0, 3, 1) + bytes((pdu[0] | 0x80, code))
        bare.writer.close()
        assert behind.writes == []


async def test_connections_are_bounded_and_one_that_is_silent_makes_room(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path, max_clients=2, idle=1) as client:
        other, third = await wire(client), await wire(client)
        assert await third.ended()
        assert len(behind.runner.status()["clients"]) <= 2
        assert await other.ended()
        await eventually(lambda: len(behind.runner.status()["clients"]) < 2, within=10)
        again = await wire(client)
        again.writer.write(struct.pack(">HHHB", 1, 0, 6, 1) + b"\1\0\0\0\1")
        async with asyncio.timeout(10):
            assert len(await again.reader.readexactly(10)) == 10
        for each in (other, third, again):
            each.writer.close()


async def test_a_client_that_is_killed_in_a_write_leaves_the_write_to_its_end(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path) as client:
        behind.gate.clear()
        place = at(behind, "run")
        dying = await wire(client)
        dying.writer.write(struct.pack(">HHHB", 1, 0, 6, 1) + struct.pack(">BHH", 5, place, 0xFF00))
        await asyncio.sleep(0)
        assert (await client.read_coils(place, count=1)).bits[0] is False  # a write under way holds nobody else
        dying.writer.transport.abort()
        behind.gate.set()
        await eventually(lambda: behind.writes == [("pump.run", True)], within=10)
        assert (await client.read_coils(place, count=1)).bits[0] is True


async def test_only_the_networks_that_are_named_may_connect(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(clients=("192.0.2.0/24",)), tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await Wire(reader, writer).ended()
        writer.close()


def context(made: Certificates, pair: Pair | None = None) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=str(made.ca))
    if pair is not None:
        found.load_cert_chain(pair.cert, pair.key)
    return found


async def test_with_an_authority_only_clients_with_its_certificate_are_served(tmp_path):
    made = Certificates(tmp_path)
    ours, theirs = made.make("server"), made.make("client")
    behind = plant()
    tls = {"cert": "server.pem", "key": str(ours.key), "ca": "ca.pem"}
    async with behind.served(SPEC, ServerSettings(tls=tls), tmp_path) as port:
        known = await asyncio.open_connection("127.0.0.1", port, ssl=context(made, theirs), server_hostname="localhost")
        known[1].write(struct.pack(">HHHB", 1, 0, 6, 1) + b"\1\0\0\0\1")
        async with asyncio.timeout(10):
            assert len(await known[0].readexactly(10)) == 10
        known[1].close()
        stranger = await asyncio.open_connection("127.0.0.1", port, ssl=context(made), server_hostname="localhost")
        assert await Wire(*stranger).ended()
        stranger[1].close()


async def test_a_port_that_is_taken_is_an_issue_that_ends_with_it(tmp_path):
    behind = plant()
    async with serving(behind, tmp_path):
        runner = behind.runner
        runner.up = False  # as a second gateway beside this one
        with pytest.raises(BaseExceptionGroup):
            await runner.run()
        assert [issue.id for issue in behind.health.open()] == ["server_port"]
        runner.listening()
        assert behind.health.open() == []


async def test_a_client_that_takes_none_of_its_answers_is_cut_off_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_SEND_S", 0.5)
    behind = plant()
    async with serving(behind, tmp_path) as client:
        stuck = socket.create_connection(("127.0.0.1", client.comm_params.port))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        request = struct.pack(">HHHB", 1, 0, 6, 1) + struct.pack(">BHH", 4, 59_900, 125)
        await eventually(lambda: len(behind.runner.status()["clients"]) == 2, within=10)

        def cut_off() -> bool:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                stuck.send(request * 4000)
            return len(behind.runner.status()["clients"]) == 1

        await eventually(cut_off, within=30)
        assert (await client.read_coils(at(behind, "run"), count=1)).bits[0] is False
        stuck.close()


def test_naming_the_server_loads_no_library():
    code = (
        "import sys, drivers.modbus.server, drivers.opcua.server, drivers.opcua.server.check, drivers.modbus.server.server;"
        "print(sorted(name for name in ('asyncua', 'pymodbus') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
