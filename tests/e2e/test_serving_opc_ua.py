"""An HMI at the gateway's OPC UA server and a PLC at its Modbus server, with one device behind both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from drivers.opcua.pki import Pki
from tests.e2e.test_serving_the_plant import CHANNEL, good, mbpoll, places, read
from tests.support.eventually import eventually, wait_until
from tests.support.field_device import FieldDevice
from tests.support.ports import free_port

KILLED = """
import asyncio, sys
from asyncua import Client, ua

async def main():
    client = Client(sys.argv[1])
    client.set_user("operator"); client.set_password("pass word")
    await client.connect()
    node = client.get_node("ns=1;s=pump.speed")
    value = 0
    while True:
        await node.write_value(value % 1000 + 1, ua.VariantType.Int16)
        print(value, flush=True)
        value += 1

asyncio.run(main())
"""


@pytest.fixture
def field():
    device = FieldDevice()
    yield device
    device.close()


class Scene:
    def __init__(self, gateway, plc: int, hmi: int) -> None:
        self.gateway, self.plc, self.hmi = gateway, plc, hmi

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.hmi}/"

    def client(self, user: str = "operator", password: str = "pass word") -> Client:
        client = Client(self.url, timeout=10)
        client.set_user(user)
        client.set_password(password)
        return client


@pytest.fixture
def scene(make_gateway, field):
    gateway = make_gateway()
    made = Scene(gateway, free_port(), free_port())
    gateway.write("channels/line1.yaml", {**CHANNEL, "url": f"tcp://127.0.0.1:{field.port}"})
    gateway.write("credentials/hmi_operator", "pass word\n")
    os.chmod(gateway.config / "credentials/hmi_operator", 0o600)
    writable = ["pump.speed", "pump.run"]
    hmi = {
        "kind": "opcua", "listen": f"127.0.0.1:{made.hmi}", "write": [*writable], "security": ["encrypt", "none"],
        "users": {"operator": {"password": "${credential:hmi_operator}"}}, "anonymous": True,
    }  # fmt: skip
    plc = {"kind": "modbus", "listen": f"127.0.0.1:{made.plc}", "write": writable}
    document = {"gateway": {"id": "gw"}, "store": {"path": str(gateway.state)}, "servers": {"hmi": hmi, "plc": plc}}
    gateway.write("gateway.yaml", document)
    gateway.start()
    good(gateway)
    up = {"hmi": "listening", "plc": "listening"}
    wait_until(lambda: {n: s["state"] for n, s in gateway.status()["servers"].items()} == up, 30, why="both listen")
    return made


def node(client: Client, path: str):
    return client.get_node(f"ns=1;s=pump.{path}")


async def status(client: Client, path: str) -> int:
    return (await node(client, path).read_data_value(raise_on_bad_status=False)).StatusCode.value


async def test_what_one_side_writes_reaches_the_device_and_the_other_side_reads_it(scene, field):
    at = places(scene.gateway)
    async with scene.client() as client:
        before = await node(client, "flow").read_data_value()
        assert (before.Value.Value, before.StatusCode.value) == (1010, ua.StatusCodes.Good)
        (row,) = scene.gateway.ask("tags", "pump.flow")["tags"]
        assert abs(before.SourceTimestamp.timestamp() * 1000 - row["ts"]) < 60_000
        await node(client, "speed").write_value(700, ua.VariantType.Int16)
        assert field.writes() == [(20, 700)]
        assert await node(client, "speed").read_value() == 700
        assert read(scene.plc, "4", at["pump.speed"]) == "700"
        assert "Written 1" in mbpoll(scene.plc, "-t", "4", "-r", str(at["pump.speed"]), "127.0.0.1", "650")
        assert field.writes() == [(20, 700), (20, 650)]
        assert await node(client, "speed").read_value() == 650
        for value, kind, code in (
            (1501, ua.VariantType.Int16, ua.uaerrors.BadOutOfRange),
            ("fast", ua.VariantType.String, ua.uaerrors.BadTypeMismatch),
        ):
            with pytest.raises(code):
                await node(client, "speed").write_value(value, kind)
        with pytest.raises(ua.uaerrors.BadNotWritable):
            await node(client, "level").write_value(1, ua.VariantType.UInt16)
    async with Client(scene.url, timeout=10) as client:
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await node(client, "speed").write_value(1, ua.VariantType.Int16)
    assert field.writes() == [(20, 700), (20, 650)]

    def who() -> list[str]:
        return [entry["who"] for entry in scene.gateway.ask("audit")["entries"] if entry["what"] == "write"]

    wanted = {"operator@127.0.0.1 (opcua hmi)", "127.0.0.1 (modbus plc)"}
    wait_until(lambda: set(who()) == wanted and len(who()) == 3, 20, why=lambda: str(who()))


async def test_a_silent_device_is_bad_on_both_sides_and_good_again_by_itself(scene, field):
    at = places(scene.gateway)
    async with scene.client() as client:
        seen: list[int] = []

        class Handler:
            def datachange_notification(self, _node, _value, data):
                seen.append(data.monitored_item.Value.StatusCode.value)

        feed = await client.create_subscription(50, Handler())
        await feed.subscribe_data_change(node(client, "flow"))
        field.server.mode = "silent"
        await eventually(lambda: seen and seen[-1] == ua.StatusCodes.BadNoCommunication, within=30)
        assert await status(client, "speed") == ua.StatusCodes.BadNoCommunication
        assert "ailure" in read(scene.plc, "3", at["pump.flow"])
        with pytest.raises((ua.uaerrors.BadNoCommunication, ua.uaerrors.BadDeviceFailure)):
            await node(client, "run").write_value(True)
        field.server.mode = "good"
        await eventually(lambda: seen[-1] == ua.StatusCodes.Good, within=30)
        assert read(scene.plc, "3", at["pump.flow"]) == "1010"


async def test_the_wrong_password_and_an_untrusted_certificate_are_refused(scene, tmp_path):
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await scene.client(password="guess").connect()
    own = Pki(tmp_path / "client").own("urn:test:client")
    (tmp_path / "client/key.pem").write_bytes(own.key)
    client = scene.client()
    client.application_uri = "urn:test:client"
    files = str(tmp_path / "client/own.der"), str(tmp_path / "client/key.pem")
    await client.set_security(SecurityPolicyBasic256Sha256, *files)
    with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
        await client.connect()
    wait_until(lambda: "server_untrusted" in {i["id"] for i in scene.gateway.issues()}, 20, why="the issue")
    (rejected,) = (scene.gateway.state / "servers/hmi/pki/rejected").iterdir()
    rejected.rename(rejected.parent.parent / "trusted" / rejected.name)
    client = scene.client()
    client.application_uri = "urn:test:client"
    await client.set_security(SecurityPolicyBasic256Sha256, *files)
    async with client:
        assert await node(client, "flow").read_value() == 1010
    assert "server_untrusted" not in {issue["id"] for issue in scene.gateway.issues()}


async def test_clients_that_are_killed_leave_nothing_behind(scene):
    for _ in range(3):
        argv = [sys.executable, "-c", KILLED, scene.url]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed:
            try:
                assert killed.stdout is not None
                for _ in range(5):
                    assert killed.stdout.readline().strip().isdigit()
            finally:
                killed.send_signal(signal.SIGKILL)
    wait_until(lambda: scene.gateway.status()["servers"]["hmi"]["clients"] == [], 30, why="they are gone")
    async with scene.client() as client:
        await node(client, "run").write_value(True)
        assert await node(client, "run").read_value() is True


def test_the_map_names_every_node(scene):
    rows = {row["tag"]: row for row in scene.gateway.ask("export", "--server", "hmi")["map"]}
    assert rows["pump.speed"] == {
        "tag": "pump.speed", "node_id": "ns=1;s=pump.speed", "type": "Int16", "unit": "", "low": 0, "high": 1500,
        "access": "rw",
    }  # fmt: skip
    assert scene.gateway.cli("export", "--server", "hmi").out.splitlines()[0] == "tag,node_id,type,unit,low,high,access"
