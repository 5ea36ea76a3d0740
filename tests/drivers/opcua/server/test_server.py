"""The OPC UA server to the plant, by asyncua's client: values, quality, source time, writes and their results."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator

import pytest
from asyncua import Client, ua

from drivers.opcua.server import SPEC, guard
from drivers.opcua.server.settings import ServerSettings, UserKeys
from gateway.model import Access, Quality, TagSpec, Transform, ValueType, WriteLimits, WriteState
from gateway.serving.offering import Choice
from tests.support.eventually import eventually
from tests.support.serving import Plant, device

RW = {"access": Access.READ_WRITE}
TS = 1_795_000_000_007
USERS = {"operator": UserKeys("pass word"), "viewer": UserKeys("look", write=False)}
OPEN = {"security": ("none", "encrypt"), "users": USERS, "anonymous": True}


def plant() -> Plant:
    made = Plant(
        device(
            "pump",
            TagSpec("bearing1", ValueType.UINT16, None),
            TagSpec("bearing1/temp", ValueType.FLOAT32, None, unit="°C"),
            TagSpec("blob", ValueType.BYTES, None),
            TagSpec("big", ValueType.UINT64, None),
            TagSpec("name", ValueType.STRING, None, **RW),
            TagSpec("run", ValueType.BOOL, None, **RW),
            TagSpec(
                "speed", ValueType.INT16, None, transform=Transform(scale=0.1), range=(0.0, 150.0), unit="rpm", **RW
            ),
            TagSpec("step", ValueType.UINT16, None, write=WriteLimits(rate=(1, 3600.0)), **RW),
        )
    )
    made.show({"pump.bearing1": 7, "pump.bearing1/temp": 61.25, "pump.blob": b"\1\2", "pump.big": 2**64 - 1}, ts=TS)
    made.show({"pump.name": "north", "pump.run": False, "pump.speed": 21.5, "pump.step": 3}, ts=TS)
    return made


@contextlib.asynccontextmanager
async def session(port: int, user: str = "", password: str = "") -> AsyncIterator[Client]:
    client = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=10)
    if user:
        client.set_user(user)
        client.set_password(password)
    async with client:
        yield client


def operator(port: int):
    return session(port, "operator", "pass word")


def node(client: Client, path: str):
    return client.get_node(f"ns=1;s=pump.{path}")


async def put(client: Client, path: str, value: object, kind: ua.VariantType) -> int:
    """The status code of a write."""
    item = ua.WriteValue(
        NodeId=ua.NodeId(f"pump.{path}", 1),
        AttributeId=ua.AttributeIds.Value,
        Value=ua.DataValue(ua.Variant(value, kind)),
    )
    (status,) = await client.uaclient.write(ua.WriteParameters([item]))
    return status.value


async def test_values_have_their_types_status_and_source_time(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        temp = await node(client, "bearing1/temp").read_data_value()
        assert (temp.Value.Value, temp.Value.VariantType) == (61.25, ua.VariantType.Double)
        assert temp.StatusCode.value == ua.StatusCodes.Good
        assert temp.SourceTimestamp == dt.datetime.fromtimestamp(TS / 1000, dt.UTC)
        found = {
            path: (await node(client, path).read_data_value()).Value for path in ("blob", "big", "name", "bearing1")
        }
        assert {path: (value.Value, value.VariantType.name) for path, value in found.items()} == {
            "blob": (b"\1\2", "ByteString"),
            "big": (2**64 - 1, "UInt64"),
            "name": ("north", "String"),
            "bearing1": (7, "UInt16"),
        }
        behind.show({"pump.bearing1/temp": None}, Quality.BAD_COMM, ts=TS + 5)
        lost = await node(client, "bearing1/temp").read_data_value(raise_on_bad_status=False)
        assert lost.StatusCode.value == ua.StatusCodes.BadNoCommunication
        assert lost.Value.Value is None
        behind.show({"pump.bearing1/temp": 60.0}, Quality.LAST_KNOWN, ts=TS + 9)
        old = await node(client, "bearing1/temp").read_data_value(raise_on_bad_status=False)
        assert old.StatusCode.value == ua.StatusCodes.UncertainNoCommunicationLastUsableValue
        assert old.SourceTimestamp == dt.datetime.fromtimestamp((TS + 9) / 1000, dt.UTC)


async def test_devices_are_folders_and_a_level_of_a_path_is_one_below(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        assert (await client.get_namespace_array())[1] == "urn:fieldpost:plant-7:hmi"
        pump = await client.nodes.objects.get_child("1:pump")
        names = {(await child.read_browse_name()).Name: child for child in await pump.get_children()}
        assert set(names) == {"bearing1", "blob", "big", "name", "run", "speed", "step"}
        both = [child for child in await pump.get_children() if (await child.read_browse_name()).Name == "bearing1"]
        assert {child.nodeid.Identifier for child in both} == {"pump.bearing1", "pump.bearing1/"}
        temp = await client.nodes.objects.get_child(["1:pump", "1:bearing1", "1:temp"])
        assert temp.nodeid.Identifier == "pump.bearing1/temp"
        speed = node(client, "speed")
        span = await (await speed.get_child("0:EURange")).read_value()
        unit = await (await speed.get_child("0:EngineeringUnits")).read_value()
        assert (span.Low, span.High, unit.DisplayName.Text) == (0.0, 150.0, "rpm")
        assert await speed.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogItemType)
        assert await speed.get_access_level() == {ua.AccessLevel.CurrentRead, ua.AccessLevel.CurrentWrite}
        assert await node(client, "big").get_access_level() == {ua.AccessLevel.CurrentRead}
        assert behind.runner.map()[1] == {
            "tag": "pump.bearing1/temp", "node_id": "ns=1;s=pump.bearing1/temp", "type": "Double", "unit": "°C",
            "low": None, "high": None, "access": "r",
        }  # fmt: skip


async def test_a_subscription_gets_each_change_with_its_quality_and_no_repetition(tmp_path):
    behind = plant()
    settings = ServerSettings(**OPEN, update=10)
    async with behind.served(SPEC, settings, tmp_path) as port, session(port) as client:
        seen: list[tuple[object, int]] = []

        class Handler:
            def datachange_notification(self, _node, value, data):
                seen.append((value, data.monitored_item.Value.StatusCode.value))

        feed = await client.create_subscription(20, Handler())
        await feed.subscribe_data_change(node(client, "speed"))
        await eventually(lambda: seen == [(21.5, ua.StatusCodes.Good)], within=10)
        behind.show({"pump.speed": 22.0})
        await eventually(lambda: len(seen) == 2, within=10)
        behind.show({"pump.speed": None}, Quality.BAD_COMM)
        await eventually(lambda: len(seen) == 3, within=10)
        behind.show({"pump.speed": 22.0})
        await eventually(lambda: len(seen) == 4, within=10)
        assert seen[1:] == [(22.0, 0), (None, ua.StatusCodes.BadNoCommunication), (22.0, 0)]
        behind.show({"pump.name": "south"})
        behind.show({"pump.speed": 23.0})
        await eventually(lambda: len(seen) == 5, within=10)


async def test_a_write_is_good_when_the_device_has_the_value_and_shows_what_was_read_back(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, operator(port) as client:
        behind.gate.clear()
        writing = asyncio.create_task(put(client, "speed", 33.5, ua.VariantType.Double))
        async with session(port) as other:
            assert await node(other, "speed").read_value() == 21.5
            behind.gate.set()
            assert await writing == ua.StatusCodes.Good
            assert await node(other, "speed").read_value() == 33.5
        assert await put(client, "run", True, ua.VariantType.Boolean) == ua.StatusCodes.Good
        assert await put(client, "name", "south", ua.VariantType.String) == ua.StatusCodes.Good
        assert behind.writes == [("pump.speed", 33.5), ("pump.run", True), ("pump.name", "south")]
        assert behind.trail.entries[0] == ("operator@127.0.0.1 (opcua hmi)", "plant", "speed", "ok")


async def test_the_status_of_a_write_tells_why_it_was_not_done(tmp_path):
    behind = plant()
    choice = Choice(write=("*.speed", "*.step", "*.run"))
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path, choice) as port, operator(port) as client:
        codes = ua.StatusCodes
        assert await put(client, "speed", 151.0, ua.VariantType.Double) == codes.BadOutOfRange
        assert await put(client, "speed", float("nan"), ua.VariantType.Double) == codes.BadOutOfRange
        assert await put(client, "speed", "fast", ua.VariantType.String) == codes.BadTypeMismatch
        assert await put(client, "speed", [1.0, 2.0], ua.VariantType.Double) == codes.BadTypeMismatch
        assert await put(client, "run", 2, ua.VariantType.Int16) == codes.BadTypeMismatch
        assert await put(client, "name", "x", ua.VariantType.String) == codes.BadNotWritable
        assert await put(client, "nothing", 1, ua.VariantType.Int16) == codes.BadNodeIdUnknown
        assert await put(client, "step", 1.5, ua.VariantType.Double) == codes.BadTypeMismatch
        assert behind.writes == []
        assert await put(client, "step", 4, ua.VariantType.Int64) == codes.Good
        assert await put(client, "step", 5, ua.VariantType.UInt16) == codes.BadTooManyOperations
        behind.ends = [WriteState.FAILED, WriteState.EXPIRED]
        assert await put(client, "run", True, ua.VariantType.Boolean) == codes.BadNoCommunication
        assert await put(client, "run", True, ua.VariantType.Boolean) == codes.BadTimeout
        assert behind.writes == [("pump.step", 4)]
        named = ua.WriteValue(
            NodeId=ua.NodeId("pump.speed", 1),
            AttributeId=ua.AttributeIds.DisplayName,
            Value=ua.DataValue(ua.Variant(ua.LocalizedText("mine"))),
        )
        server = ua.WriteValue(
            NodeId=ua.NodeId(ua.ObjectIds.Server_ServerStatus_State),
            AttributeId=ua.AttributeIds.Value,
            Value=ua.DataValue(ua.Variant(4, ua.VariantType.Int32)),
        )
        found = await client.uaclient.write(ua.WriteParameters([named, server]))
        assert [status.value for status in found] == [codes.BadNotWritable, codes.BadNotWritable]


async def test_who_may_only_look_writes_nothing(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port:
        async with session(port) as client:
            assert await node(client, "speed").read_value() == 21.5
            assert await put(client, "speed", 30.0, ua.VariantType.Double) == ua.StatusCodes.BadUserAccessDenied
        async with session(port, "viewer", "look") as client:
            assert await put(client, "speed", 30.0, ua.VariantType.Double) == ua.StatusCodes.BadUserAccessDenied
        assert behind.writes == []


@pytest.mark.parametrize(("user", "password"), [("operator", "wrong"), ("nobody", "pass word"), ("operator", "")])
async def test_a_wrong_name_or_password_is_refused_after_a_while(tmp_path, monkeypatch, user, password):
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(guard, "_guessed", wait)
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port:
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            async with session(port, user, password):
                raise AssertionError("logged in")
    assert waits == [1.0]


async def test_nobody_is_let_in_without_a_name_unless_that_is_asked_for(tmp_path):
    behind = plant()
    settings = ServerSettings(security=("none", "encrypt"), users=USERS)
    async with behind.served(SPEC, settings, tmp_path) as port:
        with pytest.raises(ua.uaerrors.BadIdentityTokenRejected):
            async with session(port):
                raise AssertionError("logged in")


async def test_nobody_changes_the_address_space_or_registers_servers(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, operator(port) as client:
        with pytest.raises(ua.UaStatusCodeError):
            await client.nodes.objects.add_folder(1, "mine")
        other = ua.RegisteredServer(ServerUri="urn:other", ServerNames=[ua.LocalizedText("other")])
        with pytest.raises(ua.uaerrors.BadServiceUnsupported):
            await client.uaclient.register_server(other)


async def test_a_channel_that_does_not_run_shows_nothing_as_good(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        behind.runs = False
        value = await node(client, "speed").read_data_value(raise_on_bad_status=False)
        assert value.StatusCode.value == ua.StatusCodes.BadNoCommunication


async def test_status_tells_who_is_connected(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port:
        async with operator(port):
            (client,) = behind.runner.status()["clients"]
            assert client["who"].startswith("operator@127.0.0.1:")
            assert abs(client["since"] - behind.clock.wall_ms()) < 60_000
        await eventually(lambda: behind.runner.status()["clients"] == [], within=10)
