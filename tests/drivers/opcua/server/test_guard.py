"""Whoever reaches the port: untrusted certificates, channels that were not offered, foreign sessions, rubbish, crowds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from pathlib import Path

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from drivers.opcua.pki import Pki, thumbprint
from drivers.opcua.server import SPEC, guard
from drivers.opcua.server.settings import ServerSettings, UserKeys
from tests.drivers.opcua.server.test_server import OPEN, USERS, node, operator, plant, session
from tests.support.eventually import eventually

SAFE = {"users": USERS}


async def secure(
    port: int,
    folder: Path,
    *,
    mode: ua.MessageSecurityMode = ua.MessageSecurityMode.SignAndEncrypt,
    server: Path | None = None,
) -> Client:
    """A client with a certificate of its own in `folder`."""
    own = Pki(folder).own("urn:test:client", ["localhost"])
    (folder / "key.pem").write_bytes(own.key)
    client = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=10)
    client.application_uri = "urn:test:client"
    files = str(folder / "own.der"), str(folder / "key.pem")
    known = None if server is None else str(server)
    await client.set_security(SecurityPolicyBasic256Sha256, *files, mode=mode, server_certificate=known)
    client.set_user("operator")
    client.set_password("pass word")
    return client


def trust(tmp_path: Path, folder: Path) -> None:
    """What a person does: the client's certificate into the list."""
    cert = x509.load_der_x509_certificate((folder / "own.der").read_bytes())
    trusted = tmp_path / "servers/hmi/pki/trusted"
    trusted.mkdir(parents=True, exist_ok=True)
    (trusted / f"{thumbprint(cert)}.der").write_bytes(cert.public_bytes(serialization.Encoding.DER))


async def test_a_client_is_served_when_its_certificate_is_trusted_and_not_before(tmp_path):
    behind, mine = plant(), tmp_path / "client"
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        client = await secure(port, mine)
        with pytest.raises((ua.UaStatusCodeError, ConnectionError, TimeoutError, asyncio.CancelledError)):
            await client.connect()
        (issue,) = behind.health.open()
        assert issue.id == "server_untrusted"
        rejected = list((tmp_path / "servers/hmi/pki/rejected").iterdir())
        assert [file.name for file in rejected] == [
            f"{thumbprint(x509.load_der_x509_certificate((mine / 'own.der').read_bytes()))}.der"
        ]
        rejected[0].rename(tmp_path / "servers/hmi/pki/trusted" / rejected[0].name)
        async with await secure(port, mine) as client:
            assert await node(client, "speed").read_value() == 21.5
        await eventually(lambda: behind.health.open() == [], within=10)


async def test_a_mode_that_is_not_offered_is_refused(tmp_path):
    behind, mine = plant(), tmp_path / "client"
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        server = tmp_path / "servers/hmi/pki/own.der"
        client = await secure(port, mine, mode=ua.MessageSecurityMode.Sign, server=server)
        trust(tmp_path, mine)
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError, asyncio.CancelledError)):
            await client.connect()


async def test_nobody_logs_in_over_a_channel_without_security_that_is_there_for_discovery(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        client = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=10)
        endpoints = await client.connect_and_get_server_endpoints()
        assert {endpoint.SecurityMode for endpoint in endpoints} == {ua.MessageSecurityMode.SignAndEncrypt}
        with pytest.raises(ua.uaerrors.BadSecurityModeRejected):
            async with operator(port):
                raise AssertionError("logged in")


async def test_a_session_is_not_handed_to_whoever_names_it(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, operator(port) as client:
        token = client.uaclient.protocol.authentication_token
        assert isinstance(token.Identifier, bytes)
        assert len(token.Identifier) == 32
        mine = tmp_path / "client"
        thief = await secure(port, mine)
        trust(tmp_path, mine)
        await thief.connect_socket()
        try:
            await thief.send_hello()
            await thief.open_secure_channel()
            thief.uaclient.protocol.authentication_token = token
            with pytest.raises(ua.UaStatusCodeError) as refused:
                await thief.uaclient.activate_session(ua.ActivateSessionParameters())
            assert refused.value.code in {ua.StatusCodes.BadSecurityChecksFailed, ua.StatusCodes.BadSessionIdInvalid}
        finally:
            await thief.close_secure_channel()
            thief.disconnect_socket()


async def hung_up(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(15):
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
    return True


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: hmi\r\n\r\n",
        b"\0" * 100,
        b"HELF\xff\xff\xff\x7f" + b"\0" * 100,
        b"MSGF\x04\0\0\0",
        b"OPNF" + struct.pack("<I", 64) + bytes(range(56)) + b"rubbish behind it",
        b"HELF" + struct.pack("<I", 32) + b"\0" * 24 + b"\xff" * 2000,
        bytes(range(256)) * 300,
    ],
)
async def test_whoever_speaks_no_opc_ua_is_hung_up_on_and_the_others_go_on(tmp_path, rubbish):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(rubbish)
        assert await hung_up(reader)
        writer.close()
        assert await node(client, "speed").read_value() == 21.5


async def test_connections_are_bounded(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN, max_clients=2), tmp_path) as port:
        async with session(port), session(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await hung_up(reader)
            writer.close()
        async with session(port) as client:
            assert await node(client, "speed").read_value() == 21.5


async def test_a_client_that_is_killed_in_a_write_leaves_the_write_to_its_end(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as other:
        behind.gate.clear()
        dying = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=10)
        dying.set_user("operator")
        dying.set_password("pass word")
        await dying.connect()
        writing = asyncio.create_task(node(dying, "run").write_value(True))
        await eventually(lambda: behind.asked == 1, within=10)
        assert await node(other, "run").read_value() is False
        dying.uaclient.protocol.transport.abort()
        with pytest.raises((ConnectionError, asyncio.CancelledError, TimeoutError, ua.UaError)):
            await writing
        await eventually(lambda: len(behind.runner.status()["clients"]) == 1, within=10)
        behind.gate.set()
        await eventually(lambda: behind.writes == [("pump.run", True)], within=10)
        assert await node(other, "run").read_value() is True
        assert behind.trail.entries == [("operator@127.0.0.1 (opcua hmi)", "plant", "run", "ok")]
        with contextlib.suppress(ConnectionError, ua.UaError, TimeoutError):
            await dying.disconnect()


async def test_rubbish_does_not_fill_the_log(tmp_path, caplog):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port:
        with caplog.at_level(logging.INFO):
            for _ in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"OPNF" + struct.pack("<I", 64) + bytes(56))
                assert await hung_up(reader)
                writer.close()
        assert len([record for record in caplog.records if "library says" in record.getMessage()]) <= 1


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({}, "users"),
        ({"users": {"a": UserKeys("x")}, "security": ("none",)}, "security"),
        ({"users": {"a": UserKeys("")}}, 'users["a"].password'),
        ({"anonymous": True, "uri": "no uri"}, "uri"),
        ({"anonymous": True, "path": "a b"}, "path"),
    ],
)
def test_what_cannot_be_is_told_at_its_place(settings, path):
    from gateway.serving.contract import ServerConfig

    config = ServerConfig("hmi", "127.0.0.1", 4840, ServerSettings(**settings), ())
    assert [fault.path for fault in SPEC.check(config)] == [path]


async def test_a_client_that_takes_none_of_its_answers_is_cut_off_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "_STUCK_S", 0.5)
    behind = plant()
    behind.show({"pump.blob": b"x" * 200_000})
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        stuck = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=60)
        await stuck.connect()
        assert len(behind.runner.status()["clients"]) == 2
        stuck.uaclient.protocol.transport.pause_reading()
        reads = [asyncio.create_task(node(stuck, "blob").read_value()) for _ in range(60)]
        await eventually(lambda: len(behind.runner.status()["clients"]) == 1, within=20)
        assert await node(client, "speed").read_value() == 21.5
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        stuck.uaclient.protocol.transport.abort()
        with contextlib.suppress(ConnectionError, ua.UaError, TimeoutError):
            await stuck.disconnect()
