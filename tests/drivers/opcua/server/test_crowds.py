"""Connections that hold a place, and passwords that are tried: others get in all the same, and a person is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct

import pytest
from asyncua import ua

from drivers.opcua.server import SPEC, guard
from drivers.opcua.server.guesses import FORGET_S, FREE_OF_A_HOST, LONGEST_S, Guesses
from drivers.opcua.server.settings import ServerSettings
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
