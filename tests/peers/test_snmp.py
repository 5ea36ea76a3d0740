"""The SNMP driver against an agent of other authors: net-snmp's snmpd."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.snmp.driver import SnmpDriver
from gateway.errors import AuthError, LinkLost, RequestRefused
from gateway.model import Quality
from gateway.testing import FakeContext
from tests.drivers.snmp.kit import at_work, channel, read, tag
from tests.support.parts import command, require

GOOD, BAD = int(Quality.GOOD), int(Quality.BAD_CONFIG)
SYSTEM = "1.3.6.1.2.1.1"
CONF = """
agentaddress udp:127.0.0.1:{port}
rocommunity public 127.0.0.1
rwcommunity secret 127.0.0.1
sysServices 72
sysObjectID 1.3.6.1.4.1.32473.7
createUser shouter MD5 authpass1 DES privpass1
createUser gateway SHA-256 authpass1 AES privpass1
createUser reader SHA authpass1
rwuser gateway priv
rwuser shouter priv
rouser reader auth
override -rw 1.3.6.1.4.1.32473.1.1.0 integer -215
override -rw 1.3.6.1.4.1.32473.1.2.0 octet_str "21.5"
override 1.3.6.1.4.1.32473.1.3.0 counter64 99
"""
V3 = {"version": 3, "user": "gateway", "auth": "sha256", "auth_password": "authpass1", "privacy_password": "privpass1"}
TAGS = [
    tag("up", f"{SYSTEM}.3.0", "uint32"),
    tag("name", f"{SYSTEM}.5.0", "string", access="rw"),
    tag("what", f"{SYSTEM}.2.0", "string"),
    tag("missing", f"{SYSTEM}.77.0"),
    tag("instance", f"{SYSTEM}.3.5"),
    tag("received", "1.3.6.1.2.1.2.2.1.10.1", "uint32"),
    tag("wide", "1.3.6.1.2.1.31.1.1.1.6.1", "uint64"),
    tag("mac", "1.3.6.1.2.1.2.2.1.6.1", "string", "hex"),
    tag("address", "1.3.6.1.2.1.4.20.1.1.127.0.0.1", "string"),
]


class Snmpd:
    """One daemon on a free UDP port of the loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (folder / "snmpd.conf").write_text(CONF.format(port=self.port))
        self.start()

    def start(self) -> None:
        argv = [command("snmpd"), "-f", "-C", "-c", str(self._folder / "snmpd.conf"), "-Lf", str(self._folder / "log")]
        env = {**os.environ, "SNMP_PERSISTENT_DIR": str(self._folder / "kept")}
        self._process = subprocess.Popen([*argv, "-p", str(self._folder / "pid")], env=env)
        self._await_answer()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _await_answer(self) -> None:
        ask = bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010103000500")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
                probe.settimeout(0.2)
                probe.connect(("127.0.0.1", self.port))
                probe.send(ask)
                probe.recv(2000)
                return
            time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text())


@pytest.fixture(scope="module")
def agent(tmp_path_factory) -> Iterator[Snmpd]:
    require("snmpd")
    made = Snmpd(tmp_path_factory.mktemp("snmpd"))
    yield made
    made.stop()


@pytest.mark.parametrize(
    "keys",
    [
        {},
        V3,
        {**V3, "user": "shouter", "auth": "md5", "privacy": "des"},
        {"version": 3, "user": "reader", "auth_password": "authpass1", "privacy": "none"},
    ],
    ids=["v2c", "v3 sha256 aes", "v3 md5 des", "v3 without privacy"],
)
async def test_all_kinds_of_values_come_and_what_is_not_there_is_bad_alone(agent, keys):
    async with at_work(channel(agent.port, *TAGS, timeout_s=3.0, **keys)) as (driver, context):
        found = await read(driver, context)
        again = await read(driver, context)
    assert found["missing"] == found["instance"] == (None, BAD)
    assert {name for name, (_, quality) in found.items() if quality == GOOD} == set(found) - {"missing", "instance"}
    assert found["what"][0] == "1.3.6.1.4.1.32473.7"
    assert found["address"][0] == "127.0.0.1"
    assert again["up"][0] >= found["up"][0]


@pytest.mark.parametrize("keys", [{"write_community": "secret"}, V3], ids=["v2c", "v3"])
async def test_a_number_and_a_text_are_written_and_read_back(agent, keys):
    tags = [
        tag("number", "1.3.6.1.4.1.32473.1.1.0", access="rw"),
        tag("text", "1.3.6.1.4.1.32473.1.2.0", "string", access="rw"),
        tag("fixed", "1.3.6.1.4.1.32473.1.3.0", "string", access="rw"),
    ]
    async with at_work(channel(agent.port, *tags, timeout_s=3.0, **keys)) as (driver, context):
        device = context.devices[0]
        await driver.write(device, tags_of(device, "number"), 17)
        await driver.write(device, tags_of(device, "text"), "on")
        assert (await read(driver, context))["number"] == (17, GOOD)
        assert (await read(driver, context))["text"] == ("on", GOOD)
        with pytest.raises(RequestRefused):
            await driver.write(device, tags_of(device, "fixed"), "no")


def tags_of(device, path):
    found = device.tag(path)
    assert found is not None
    return found


async def test_a_write_with_a_community_that_may_only_read_is_refused(agent):
    async with at_work(channel(agent.port, TAGS[1], timeout_s=3.0)) as (driver, context):
        with pytest.raises(RequestRefused):
            await driver.write(context.devices[0], tags_of(context.devices[0], "name"), "mine")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({**V3, "auth_password": "wrongpass"}, AuthError),
        ({**V3, "user": "nobody"}, AuthError),
        ({**V3, "auth": "sha"}, AuthError),
        ({**V3, "privacy_password": "wrongpass"}, (AuthError, LinkLost)),
        ({"community": "wrong"}, LinkLost),
    ],
    ids=["password", "user", "digest", "privacy", "community"],
)
async def test_a_wrong_identity_is_told_as_one(agent, wrong, error):
    driver = SnmpDriver()
    async with FakeContext(channel(agent.port, TAGS[0], timeout_s=1.5, **wrong)) as context:
        with pytest.raises(error):
            await driver.connect(context)
        await driver.close()


async def test_a_walk_of_the_system_group_ends_with_it(agent):
    async with at_work(channel(agent.port, TAGS[0], timeout_s=3.0, **V3)) as (driver, _):
        found = [item async for item in driver.browse({"at": SYSTEM})]
    assert [item["name"] for item in found[:3]] == ["sysDescr", "sysObjectID", "sysUpTime"]
    assert all(str(item["address"]).startswith(f"{SYSTEM}.") for item in found)


@pytest.mark.parametrize("keys", [{}, V3], ids=["v2c", "v3"])
async def test_after_a_restart_of_the_agent_values_come_again(agent, keys):
    spec = channel(agent.port, *TAGS[:1], timeout_s=2.0, **keys)
    async with at_work(spec) as (driver, context):
        assert (await read(driver, context))["up"][1] == GOOD
        agent.stop()
        try:
            with pytest.raises(LinkLost):
                await read(driver, context)
        finally:
            agent.start()
        await driver.close()
        await driver.connect(context)
        assert (await read(driver, context))["up"][1] == GOOD
