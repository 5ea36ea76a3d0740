"""Connections that hold a place, and passwords that are tried: others get in all the same, and a person is told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import shutil
import struct
from pathlib import Path

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua.pki import self_signed
from drivers.opcua.server import SPEC, guard
from drivers.opcua.server.guesses import FORGET_S, FREE_OF_A_HOST, LONGEST_S, Guesses
from drivers.opcua.server.settings import ServerSettings
from drivers.opcua.server.strangers import EACH, HOUR_S, Strangers
from tests.drivers.opcua.server.test_guard import SAFE, hung_up, secure, trust
from tests.drivers.opcua.server.test_server import OPEN, node, operator, plant, session
from tests.support.eventually import eventually

URL = b"opc.tcp://127.0.0.1/"
HELLO = b"HELF" + struct.pack("<I", 32 + len(URL)) + struct.pack("<6I", 0, 65535, 65535, 0, 0, len(URL)) + URL


@pytest.mark.parametrize("begun", [b"", HELLO, b"HELF\xff\xff\0\0A"], ids=["silent", "hello", "half"])
async def test_who_goes_no_further_is_hung_up_on_long_before_a_session_is_due(tmp_path, monkeypatch, begun):
    monkeypatch.setattr(guard, "_HELLO_S", 0.2)
    monkeypatch.setattr(guard, "_CHANNEL_S", 0.4)
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert await hung_up(reader)
        writer.close()
        assert await node(client, "speed").read_value() == 21.5


async def test_connections_without_a_session_make_room(tmp_path):
    behind = plant()
    settings = ServerSettings(**OPEN, max_clients=4)
    async with behind.served(SPEC, settings, tmp_path) as port, session(port) as first:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
        async with session(port) as client:
            assert await node(client, "speed").read_value() == 21.5
        assert await node(first, "speed").read_value() == 21.5
        assert behind.health.open() == []
        for _, writer in silent:
            writer.close()


async def test_it_is_told_when_all_connections_are_in_use(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN, max_clients=1), tmp_path) as port:
        async with session(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await hung_up(reader)
            writer.close()
            assert [issue.id for issue in behind.health.open()] == ["server_full"]
        await eventually(lambda: behind.runner.status()["clients"] == [], within=10)
        async with session(port):
            assert behind.health.open() == []


async def test_clients_without_a_name_leave_room_for_users(tmp_path):
    behind = plant()
    settings = ServerSettings(**OPEN, max_clients=4)
    async with behind.served(SPEC, settings, tmp_path) as port, contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(session(port))
        with pytest.raises(ua.uaerrors.BadTooManySessions):
            await stack.enter_async_context(session(port))
        async with operator(port) as client:
            assert await node(client, "speed").read_value() == 21.5


async def test_a_connection_has_one_session(tmp_path):
    behind = plant()
    async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port, session(port) as client:
        with pytest.raises(ua.uaerrors.BadTooManySessions):
            await client.create_session()
        assert await node(client, "speed").read_value() == 21.5


async def test_a_certificate_is_for_the_application_that_shows_it(tmp_path):
    behind, mine = plant(), tmp_path / "client"
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        client = await secure(port, mine)
        trust(tmp_path, mine)
        client.application_uri = "urn:somebody:else"
        with pytest.raises(ua.uaerrors.BadCertificateUriInvalid):
            await client.connect()
        async with await secure(port, mine) as client:
            assert await node(client, "speed").read_value() == 21.5


async def test_an_address_that_shows_many_certificates_has_few_of_them_kept(tmp_path, made_once):
    behind = plant()
    key = load_key(made_once / "client")
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        server = str(tmp_path / "servers/hmi/pki/own.der")
        for number in range(EACH + 2):
            mine = tmp_path / f"client{number}"
            mine.mkdir()
            cert = self_signed(key, "urn:test:client", ["localhost"], name=f"client {number}")
            (mine / "own.der").write_bytes(cert.public_bytes(serialization.Encoding.DER))
            shutil.copy(made_once / "client/own.key", mine / "own.key")
            client = await secure(port, mine, server=Path(server))
            with pytest.raises((ua.UaError, ConnectionError, TimeoutError, asyncio.CancelledError)):
                await client.connect()
        assert len(list((tmp_path / "servers/hmi/pki/rejected").iterdir())) == EACH
        (issue,) = behind.health.open()
        assert "a client at 127.0.0.1 was refused" in issue.text
        assert "2 certificates were not kept" in issue.repair


async def test_who_comes_with_an_expired_certificate_is_told_to_renew_it(tmp_path, made_once):
    behind, mine = plant(), tmp_path / "old"
    mine.mkdir()
    key = load_key(made_once / "client")
    shutil.copy(made_once / "client/own.key", mine / "key.pem")
    began = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    cert = self_signed(key, "urn:test:client", now=began, life=dt.timedelta(days=30))
    (mine / "own.der").write_bytes(cert.public_bytes(serialization.Encoding.DER))
    async with behind.served(SPEC, ServerSettings(**SAFE), tmp_path) as port:
        trust(tmp_path, mine)
        client = Client(f"opc.tcp://127.0.0.1:{port}/", timeout=10)
        files = str(mine / "own.der"), str(mine / "key.pem")
        await client.set_security(SecurityPolicyBasic256Sha256, *files)
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError, asyncio.CancelledError)):
            await client.connect()
        (issue,) = behind.health.open()
        assert issue.repair.startswith("renew it on the client")


def load_key(folder: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((folder / "own.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def test_an_address_may_show_others_again_after_an_hour():
    at = [0.0]
    made = Strangers(lambda: at[0])
    assert [made.may_keep("a", bytes([n])) for n in range(EACH + 1)] == [*[True] * EACH, False]
    assert made.may_keep("a", bytes([0]))
    assert made.may_keep("b", bytes([9]))
    at[0] = HOUR_S + 1
    assert made.may_keep("a", bytes([EACH]))


async def test_wrong_passwords_make_an_issue_that_tells_who_tries(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(guard, "_GUESS_S", 0.0)
    monkeypatch.setattr("drivers.opcua.server.guesses.FIRST_S", 0.01)
    behind = plant()
    with caplog.at_level(logging.WARNING):
        async with behind.served(SPEC, ServerSettings(**OPEN), tmp_path) as port:
            for _ in range(4):
                with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                    async with session(port, "operator", "guess"):
                        raise AssertionError("logged in")
            (issue,) = behind.health.open()
            assert issue.id == "server_login_refused"
            assert "'operator' from 127.0.0.1 (4 times)" in issue.text
            async with operator(port) as client:
                assert await node(client, "speed").read_value() == 21.5
    lines = [record.getMessage() for record in caplog.records if "a log-in as" in record.getMessage()]
    assert lines == ["a log-in as 'operator' from 127.0.0.1 was refused"]


class Counted:
    """Guesses at a moment that the test sets."""

    def __init__(self) -> None:
        self.at = 0.0
        self.texts: list[str] = []
        self.cleared = 0
        log = logging.LoggerAdapter(logging.getLogger("fieldpost.test"), {})
        self.guesses = Guesses(log, lambda: self.at, self.texts.append, self._clear)

    def _clear(self) -> None:
        self.cleared += 1


def test_each_wrong_password_makes_the_next_wait_longer_for_that_user_and_address():
    made = Counted()
    waits = []
    for _ in range(6):
        made.guesses.refused("operator", "a")
        waits.append(made.guesses.wait_s("operator", "a"))
        made.at += waits[-1]
    assert waits == [1.0, 2.0, 4.0, LONGEST_S, LONGEST_S, LONGEST_S]
    assert made.guesses.wait_s("operator", "b") == 0.0
    made.guesses.refused("operator", "a")
    made.guesses.passed("operator", "a")
    assert made.guesses.wait_s("operator", "a") == 0.0


def test_many_names_from_one_address_wait_too_and_all_is_forgotten_in_time(caplog):
    made = Counted()
    for number in range(FREE_OF_A_HOST + 1):
        made.guesses.refused(f"user{number}", "a")
    assert made.guesses.wait_s("another", "a") > 0
    assert made.texts
    for number in range(3000):
        made.guesses.refused(f"user{number}", "b")
    assert len(made.guesses._tries) <= 500
    made.at += FORGET_S + 1
    made.guesses.forget()
    assert made.cleared == 1
    assert made.guesses.wait_s("another", "a") == 0.0


def test_lines_that_were_held_back_are_counted(caplog):
    made = Counted()
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            made.guesses.refused("operator", "a")
        made.at += 61
        made.guesses.refused("operator", "a")
    assert [record.getMessage() for record in caplog.records] == [
        "a log-in as 'operator' from a was refused",
        "a log-in as 'operator' from a was refused (and 9 more times since the last line)",
    ]
