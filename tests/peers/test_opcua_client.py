"""The OPC UA driver against a server of other authors: npm's node-opcua."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.opcua.pki import Pki, first_certificate, thumbprint
from drivers.opcua.settings import DeviceSettings, Events, Identity, Method, Security
from gateway.errors import WriteRejected
from gateway.model import Access, Quality
from tests.drivers.opcua.kit import asked, at_work, channel_of, tag_spec
from tests.support.eventually import eventually
from tests.support.opcua_plant import LINE, PASSWORD, USER
from tests.support.opcua_process import Told
from tests.support.parts import command, require
from tests.support.ports import free_port

GOOD = Quality.GOOD
SCRIPT = Path(__file__).with_name("opcua_server.js")


class NodePlant(Told):
    def __init__(self, folder: Path, seed: int = 0, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        argv = [command("node"), str(SCRIPT), str(self.port), str(folder), str(seed)]
        super().__init__(argv, f"listening {self.port}", env={"XDG_CONFIG_HOME": str(folder)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    require("node", "node-opcua", "asyncua")
    return tmp_path_factory.mktemp("node-opcua")


@pytest.fixture(scope="module")
def plant(folder) -> Iterator[NodePlant]:
    made = NodePlant(folder)
    yield made
    made.close()


async def test_it_is_read_by_subscriptions_with_source_times_to_the_millisecond(plant):
    tags = [
        tag_spec("Speed"),
        tag_spec("Count", kind="int32"),
        tag_spec("Run", kind="bool"),
        tag_spec("Name", kind="string"),
        tag_spec("Total", kind="uint64"),
        tag_spec("Speeds", kind="object"),
        tag_spec("Label", kind="string"),
        tag_spec("Axis", kind="object"),
        tag_spec("position", f"nsu={LINE};s=Line.Axis#.Low"),
        tag_spec("path", "/Objects/Line/Count", "int32"),
        tag_spec("nobody"),
        *(tag_spec(f"N{number:04d}") for number in range(300)),
    ]
    async with at_work(channel_of(plant.url, tags)) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == len(tags), why=lambda: str((ctx.states, ctx.issues)))
        latest = {name.partition(".")[2]: value for name, value in ctx.latest().items()}
        assert [latest[name] for name in ("Speed", "Count", "Run", "Name", "Total", "Label", "path")] == [
            (100.5, GOOD), (7, GOOD), (True, GOOD), ("press", GOOD), (12, GOOD), ("Presse", GOOD), (7, GOOD),
        ]  # fmt: skip
        assert json.loads(latest["Speeds"][0]) == [1.0, 2.0, 3.0]
        assert json.loads(latest["Axis"][0]) == {"Low": 1.5, "High": 8.0}
        assert latest["position"] == (1.5, GOOD)
        assert latest["nobody"] == (None, Quality.BAD_CONFIG)
        assert ctx.remarks["line.nobody"].startswith("BadNodeIdUnknown")
        assert [latest[f"N{number:04d}"] for number in range(300)] == [(float(n), GOOD) for n in range(300)]
        for number in range(3):
            moment = 1_767_225_600_123 + number
            await plant.say("put", "Speed", 2000.5 + number, moment)
            await eventually(lambda n=number: ctx.latest()["line.Speed"] == (2000.5 + n, GOOD))
            assert [b.ts for b in ctx.batches if 2000.5 + number in b.values] == [moment]
        await plant.say("put", "Speed", 100.5)


async def test_polls_keep_to_the_servers_limits(plant):
    tags = [tag_spec(f"N{number:04d}") for number in range(300)]
    async with at_work(channel_of(plant.url, tags, read="poll")) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == 300)


async def test_it_is_written_and_its_methods_run(plant):
    names = {
        "Speed": ("float64", 3.5), "Count": ("int32", -4), "Small": ("uint16", 200), "Run": ("bool", False),
        "Name": ("string", "äöü"), "Setpoint": ("float32", 0.25), "Speeds": ("object", "[4.0,5.0,6.0]"),
        "Axis": ("object", '{"Low":-9.5}'),
    }  # fmt: skip
    tags = [tag_spec(name, kind=kind, access=Access.READ_WRITE) for name, (kind, _) in names.items()]
    own = DeviceSettings(methods={"add": Method("/Objects/Line/Add")})
    async with at_work(channel_of(plant.url, tags, device=own)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == len(tags))
        device = ctx.devices[0]
        before = dict(ctx.latest())
        for name, (_, value) in names.items():
            await driver.write(device, device.tag(name), value)
        found = dict(zip(names, await asked(driver, device, *map(device.tag, names)), strict=True))
        assert json.loads(found.pop("Axis")) == {"Low": -9.5, "High": 8.0}
        assert found == {name: value for name, (_, value) in names.items() if name != "Axis"}
        for name in names:
            await driver.write(device, device.tag(name), before[f"line.{name}"][0])
        with pytest.raises(WriteRejected):
            await driver.write(device, device.tag("Small"), 256)
        assert await driver.call(device, "add", {"a": 1.5, "b": 2}) == {"sum": 3.5}
        with pytest.raises(WriteRejected):
            await driver.call(device, "add", {"a": 1.5, "b": "x"})


async def test_its_tree_is_shown(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        rows = {item["path"]: item async for item in driver.browse({"at": f"nsu={LINE};s=Line"}) if "path" in item}
        assert rows["Speed"]["keys"] == {"address": f"nsu={LINE};s=Line.Speed", "type": "float64", "access": "rw"}
        assert rows["Speeds"]["type"] == rows["Axis"]["type"] == "object"
        assert rows["Add"]["kind"] == "method"
        assert sum(path.startswith("N0") for path in rows) == 300
        everything = [item async for item in driver.browse({})]
        assert len(everything) > 300


async def test_alarms_become_entries(plant):
    own = DeviceSettings(events=Events())
    async with at_work(channel_of(plant.url, [tag_spec("Speed")], device=own)) as (ctx, _):
        await eventually(lambda: ctx.latest())
        await plant.say("alarm", True)
        await eventually(lambda: any(fields.get("active") is True for _, _, fields in ctx.events))
        device, what, fields = next(each for each in ctx.events if each[2].get("active") is True)
        assert (device, what, fields["condition"], fields["acknowledged"]) == ("line", "alarm", "Overpressure", False)
        await plant.say("alarm", False)
        await eventually(lambda: any(fields.get("active") is False for _, _, fields in ctx.events))


@pytest.mark.parametrize(
    ("policy", "mode"),
    [("Basic256Sha256", "SignAndEncrypt"), ("Basic256Sha256", "Sign"), ("Aes128Sha256RsaOaep", "SignAndEncrypt"),
     ("Aes256Sha256RsaPss", "SignAndEncrypt")],
)  # fmt: skip
async def test_strangers_are_refused_at_both_ends_until_they_are_trusted(plant, tmp_path, policy, mode):
    pki = Pki(tmp_path / "ours")
    ours = pki.own("urn:gw", ["localhost"])
    security = Security(policy=policy, mode=mode, folder=str(pki.folder), application_uri="urn:gw")
    identity = Identity(user=USER, password=PASSWORD)
    channel = channel_of(plant.url, [tag_spec("Speed")], security=security, identity=identity)
    async with at_work(channel) as (ctx, _):
        await eventually(lambda: ("opcua_server_untrusted", "plant") in ctx.issues)
        theirs = thumbprint(first_certificate(bytes.fromhex(await plant.say("certificate"))))
        assert theirs in ctx.issues["opcua_server_untrusted", "plant"]
        pki.trust(theirs)
        await eventually(lambda: ("opcua_refuses_us", "plant") in ctx.issues, within=20, why=lambda: str(ctx.states))
        await plant.say("trust", ours.certificate.hex())
        await eventually(lambda: ctx.latest() == {"line.Speed": (100.5, GOOD)}, within=20, why=lambda: str(ctx.states))
        assert ctx.issues == {}


async def test_a_wrong_password_is_told(plant):
    channel = channel_of(plant.url, [tag_spec("Speed")], identity=Identity(user=USER, password="no"))
    async with at_work(channel) as (ctx, _):
        await eventually(lambda: ("opcua_refuses_user", "plant") in ctx.issues, why=lambda: str(ctx.states))


async def test_a_node_that_goes_and_comes_back_is_subscribed_anew(plant):
    async with at_work(channel_of(plant.url, [tag_spec("N0007"), tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest().get("line.N0007") == (7.0, GOOD))
        await plant.say("remove", "N0007")
        await eventually(
            lambda: ctx.latest()["line.N0007"] == (None, Quality.BAD_CONFIG), why=lambda: str(ctx.latest())
        )
        await eventually(lambda: driver.counters()["bad_nodes"] == 1)
        await plant.say("add", "N0007", 8.0)
        await eventually(lambda: ctx.latest()["line.N0007"] == (8.0, GOOD), within=20)
        await plant.say("put", "N0007", 7.0)
        await eventually(lambda: ctx.latest()["line.N0007"] == (7.0, GOOD))


async def test_cut_links_leave_one_session(plant, make_proxy):
    proxy = make_proxy(plant.port)
    async with at_work(channel_of(f"opc.tcp://127.0.0.1:{proxy.port}/plant", [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        for number in range(6):  # the server allows four sessions
            proxy.reset()
            await eventually(lambda n=number: driver.counters().get("connections", 0) == 2 + n, within=20)
            await eventually(lambda: ctx.latest()["line.Speed"] == (100.5, GOOD))

            async def alone() -> bool:
                return await plant.say("sessions") == await plant.say("subscriptions") == 1

            await eventually(alone)


async def test_restarts_with_other_namespace_numbers_bring_the_same_tags_back(folder, tmp_path):
    place = tmp_path / "server"
    shutil.copytree(folder, place)
    server = NodePlant(place, 0)
    index = await server.say("index")
    numbers = {index}
    tags = [
        tag_spec("by_index", f"ns={index};s=Line.Speed"),
        tag_spec("Speed"),
        tag_spec("path", "/Objects/Line/Speed"),
    ]
    tags.append(tag_spec("position", f"nsu={LINE};s=Line.Axis#.Low"))
    try:
        async with at_work(channel_of(server.url, tags)) as (ctx, _):
            await eventually(lambda: len(ctx.latest()) == 4)
            for seed in range(1, 4):
                server.close()
                server = NodePlant(place, seed, server.port)
                numbers.add(await server.say("index"))
                await server.say("put", "Speed", 1000.0 + seed)
                wanted = {f"line.{name}": (1000.0 + seed, GOOD) for name in ("by_index", "Speed", "path")}
                wanted["line.position"] = (1.5, GOOD)
                await eventually(lambda w=wanted: ctx.latest() == w, within=10, why=lambda: str(ctx.latest()))
                assert await server.say("sessions") == 1
    finally:
        server.close()
    assert len(numbers) > 2
