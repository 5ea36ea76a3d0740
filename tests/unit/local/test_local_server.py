"""The local socket against honest, clumsy and hostile peers."""

import asyncio
import json
import logging
import os
import pwd
import socket
import stat

import pytest

from gateway.errors import PermanentError
from gateway.local import connection as connection_module
from gateway.local import server as server_module
from gateway.local.client import AsyncClient
from gateway.local.peer import Peer, Scope, peer_of, scope_of, signed, user_of
from gateway.local.server import LocalServer
from tests.unit.local.conftest import LOG, serving


async def _until(condition, within=10):
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


async def _talk(path, raw, lines=1):
    """Send bytes, read so many lines, parsed."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(raw)
    try:
        async with asyncio.timeout(10):
            return [json.loads(await reader.readline()) for _ in range(lines)]
    finally:
        writer.close()


async def test_a_request_is_answered_with_its_own_id(path, ops):
    async with serving(path, ops):
        answers = await _talk(path, b'{"id":7,"op":"echo","args":{"a":1}}\n')
    assert answers == [{"id": 7, "ok": True, "out": {"a": 1}}]


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"id":1}',
        b'{"op":"echo"}',
        b'{"id":1,"op":5}',
        b'{"id":1,"op":"echo","args":[1]}',
        b'{"id":{},"op":"echo"}',
        b'{"id":1,"op":"echo"',
        b"[" * 100_000,
        b'{"id":1,"op":"echo","args":{"a":' + b"9" * 5000 + b"}",
    ],
)
async def test_a_garbage_line_gets_an_error_and_the_connection_goes_on(path, ops, line):
    async with serving(path, ops):
        bad, good = await _talk(path, line + b'\n{"id":2,"op":"echo"}\n', lines=2)
    assert (bad["id"], bad["ok"], bad["code"]) == (None, False, 400)
    assert good == {"id": 2, "ok": True, "out": {}}


async def test_a_huge_line_is_refused_and_ends_the_connection(path, ops):
    async with serving(path, ops, line=4096):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"x" * 20_000)
        async with asyncio.timeout(10):
            answer = json.loads(await reader.readline())
            assert await reader.read() == b""
        writer.close()
        assert answer["code"] == 413
        assert (await _talk(path, b'{"id":1,"op":"echo"}\n'))[0]["ok"]


@pytest.mark.parametrize(
    ("op", "code", "text"),
    [
        ("nothing", 404, "unknown op 'nothing'"),
        ("refuse", 403, "out of range"),
        ("missing", 404, "no such tag"),
        ("cancelled", 500, "cancelled inside"),
    ],
)
async def test_an_op_that_fails_answers_its_code(path, ops, op, code, text):
    async with serving(path, ops):
        (answer,) = await _talk(path, json.dumps({"id": 1, "op": op}).encode() + b"\n")
    assert (answer["ok"], answer["code"]) == (False, code)
    assert text in answer["text"]


async def test_a_bug_in_a_handler_answers_500_is_logged_and_spreads_no_further(path, ops, caplog):
    async with serving(path, ops):
        with caplog.at_level(logging.ERROR, logger=LOG.name):
            bad, good = await _talk(path, b'{"id":1,"op":"crash"}\n{"id":2,"op":"echo"}\n', lines=2)
    assert bad["code"] == 500
    assert "ZeroDivisionError" in bad["text"]
    assert good["ok"]
    assert any(record.exc_info for record in caplog.records)


async def test_a_slow_call_does_not_hold_up_the_next_one(path, ops):
    async with serving(path, ops):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id":1,"op":"wait"}\n{"id":2,"op":"echo"}\n')
        assert json.loads(await reader.readline())["id"] == 2
        ops.gate.set()
        assert json.loads(await reader.readline())["id"] == 1
        writer.close()


async def test_more_requests_in_flight_than_allowed_are_refused(path, ops):
    async with serving(path, ops, in_flight=2):
        requests = b"".join(b'{"id":%d,"op":"wait"}\n' % i for i in range(1, 4))
        (refused,) = await _talk(path, requests)
        assert (refused["id"], refused["code"]) == (3, 429)
        ops.gate.set()


async def test_an_id_in_use_is_refused(path, ops):
    async with serving(path, ops):
        (refused,) = await _talk(path, b'{"id":1,"op":"wait"}\n{"id":1,"op":"echo"}\n')
        assert refused["code"] == 409
        ops.gate.set()


async def test_more_connections_than_allowed_are_refused_and_room_is_made_when_one_leaves(path, ops):
    async with serving(path, ops, connections=2) as server:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        await _until(lambda: server.connections == 2)
        (refused,) = await _talk(path, b"")
        assert refused["code"] == 429
        held[0][1].close()
        await _until(lambda: server.connections == 1)
        assert (await _talk(path, b'{"id":1,"op":"echo"}\n'))[0]["ok"]
        held[1][1].close()
    assert server.refused == 1


async def test_a_call_that_was_taken_is_finished_when_its_caller_has_left(path, ops):
    async with serving(path, ops) as server:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id":1,"op":"wait"}\n')
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.02)
        ops.gate.set()
        await _until(lambda: ops.finished == 1)
        await _until(lambda: server.connections == 0)


async def test_a_call_that_takes_too_long_is_answered_504(path, ops):
    async with serving(path, ops, call_s=0.05):
        (answer,) = await _talk(path, b'{"id":1,"op":"wait"}\n')
    assert answer["code"] == 504


async def test_a_request_written_before_a_half_close_is_still_answered(path, ops):
    async with serving(path, ops):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id":1,"op":"echo"}\n')
        writer.write_eof()
        async with asyncio.timeout(10):
            assert json.loads(await reader.readline())["ok"]
            assert await reader.read() == b""
        writer.close()


async def test_a_stream_sends_its_items_and_an_end(path, ops):
    async with serving(path, ops):
        lines = await _talk(path, b'{"id":1,"op":"count","args":{"n":2}}\n', lines=3)
    assert lines == [{"id": 1, "item": {"i": 0}}, {"id": 1, "item": {"i": 1}}, {"id": 1, "end": True}]


async def test_a_stream_ends_when_its_reader_leaves(path, ops):
    async with serving(path, ops) as server:
        await _talk(path, b'{"id":1,"op":"ticks"}\n', lines=2)
        await _until(lambda: ops.streams_open == 0 and server.connections == 0)


async def test_a_stream_can_be_cancelled_and_the_connection_used_on(path, ops):
    async with serving(path, ops):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"id":1,"op":"ticks"}\n')
        await reader.readline()
        writer.write(b'{"id":2,"op":"cancel","args":{"id":1}}\n')
        async with asyncio.timeout(10):
            while not json.loads(await reader.readline()).get("end"):
                pass
        writer.write(b'{"id":3,"op":"echo"}\n')
        async with asyncio.timeout(10):
            while json.loads(await reader.readline())["id"] != 3:
                pass
        writer.close()
        assert ops.streams_open == 0


async def test_a_slow_reader_loses_the_oldest_items_and_is_told_how_many(path, ops):
    async with serving(path, ops, items=10) as server:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
        writer.write(b'{"id":1,"op":"ticks","args":{"pad":10000}}\n')
        await _until(lambda: ops.produced > 500)  # far beyond the socket's buffers and the ten items held
        lost, numbers = 0, []
        async with asyncio.timeout(10):
            while not lost:
                message = json.loads(await reader.readline())
                if "dropped" in message:
                    lost = message["dropped"]
                    following = json.loads(await reader.readline())["item"]["i"]
                    assert following == numbers[-1] + lost + 1  # items seen and items lost are all there were
                else:
                    numbers.append(message["item"]["i"])
        writer.close()
        await _until(lambda: server.connections == 0)
        assert server.dropped >= lost


async def test_a_reader_that_takes_nothing_at_all_is_cut_off(path, ops, caplog):
    async with serving(path, ops, items=10, stall_s=0.1) as server:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.transport.pause_reading()
        writer.write(b'{"id":1,"op":"ticks","args":{"pad":10000}}\n')
        await _until(lambda: server.connections == 1)
        await _until(lambda: server.connections == 0)
        writer.close()
    assert ops.streams_open == 0
    assert "cut off" in caplog.text


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"id":1,"op":"count","args":{"n":0}}\n', b'{"id":1,"op":"refused"}\n']
)
async def test_a_peer_that_floods_and_never_reads_is_not_read_without_end(path, ops, line):
    async with serving(path, ops) as server:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        sock.connect(str(path))
        await _until(lambda: server.connections == 1)
        sent, blocked = 0, 0
        while blocked < 20 and sent < 64 << 20:
            try:
                sent += sock.send(b"garbage\n" * 4096)
                blocked = 0
            except BlockingIOError:
                blocked += 1
            await asyncio.sleep(0.002)
        sock.close()
        assert blocked == 20, "the server kept taking lines that nobody reads the answers of"
        await _until(lambda: server.connections == 0)


async def test_streams_that_end_at_once_are_not_begun_without_end_for_a_peer_that_never_reads(path, ops):
    async with serving(path, ops, in_flight=3):
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"".join(b'{"id":%d,"op":"refused"}\n' % number for number in range(4000)))
        for _ in range(20_000):
            await asyncio.sleep(0)
        writer.close()
        assert 0 < ops.refusals < 1000


async def test_a_stream_that_floods_does_not_use_up_the_calls_beside_it(path, ops):
    async with serving(path, ops, in_flight=3), AsyncClient(path) as client:
        stream = client.stream("ticks")
        await anext(stream)
        for i in range(20):
            assert await client.call("echo", {"i": i}) == {"i": i}
        await stream.aclose()


async def test_the_socket_is_open_to_owner_and_group_only_whatever_the_umask(path, ops):
    old = os.umask(0o077)
    try:
        async with serving(path, ops):
            mode = path.stat().st_mode
    finally:
        os.umask(old)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [(Scope.READ, {"echo"}), (Scope.OPERATE, {"echo", "operate"}), (Scope.ADMIN, {"echo", "operate", "admin"})],
)
async def test_each_scope_reaches_its_ops_and_no_more(path, ops, monkeypatch, scope, allowed):
    monkeypatch.setattr(server_module, "scope_of", lambda _peer, _group: scope)
    async with serving(path, ops):
        lines = b"".join(b'{"id":"%s","op":"%s"}\n' % (op, op) for op in (b"echo", b"operate", b"admin"))
        answers = await _talk(path, lines, lines=3)
    assert {answer["id"] for answer in answers if answer["ok"]} == allowed
    assert all(answer["code"] == 403 for answer in answers if not answer["ok"])


async def test_an_op_whose_scope_depends_on_what_is_asked_is_judged_by_that(path, ops, monkeypatch):
    monkeypatch.setattr(server_module, "scope_of", lambda _peer, _group: Scope.OPERATE)
    async with serving(path, ops):
        lines = b"".join(
            b'{"id":"%s","op":"asked","args":{"scope":"%s"}}\n' % (scope, scope)
            for scope in (b"read", b"operate", b"admin")
        )
        answers = await _talk(path, lines, lines=3)
    assert {answer["id"] for answer in answers if answer["ok"]} == {"read", "operate"}
    assert [answer["code"] for answer in answers if not answer["ok"]] == [403]


def test_scope_follows_from_user_and_groups():
    mine = os.geteuid()
    assert scope_of(Peer(1, 0, frozenset({0})), 50) is Scope.ADMIN
    assert scope_of(Peer(1, mine, frozenset()), 50) is Scope.ADMIN
    assert scope_of(Peer(1, mine + 7, frozenset({7, 50})), 50) is Scope.OPERATE
    assert scope_of(Peer(1, mine + 7, frozenset({7})), 50) is Scope.READ


def test_the_kernel_tells_who_the_peer_is():
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        peer = peer_of(here)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert set(os.getgroups()) | {os.getegid()} <= peer.groups


async def test_a_stale_socket_is_replaced(path, ops):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with serving(path, ops):
        assert (await _talk(path, b'{"id":1,"op":"echo"}\n'))[0]["ok"]
    assert not path.exists()


async def test_a_second_gateway_on_the_same_state_directory_is_refused_and_harms_nothing(path, ops):
    async with serving(path, ops):
        with pytest.raises(PermanentError, match="another gateway"):
            await LocalServer(path, ops.table(), LOG).run()
        assert (await _talk(path, b'{"id":1,"op":"echo"}\n'))[0]["ok"]


async def test_a_file_in_the_way_is_never_deleted(path, ops):
    path.write_text("mine")
    with pytest.raises(PermanentError, match="not a socket"):
        await LocalServer(path, ops.table(), LOG).run()
    assert path.read_text() == "mine"


async def test_a_path_too_long_for_a_socket_address_works(tmp_path, ops):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with serving(deep / "fieldpost.sock", ops), AsyncClient(deep / "fieldpost.sock") as client:
        assert await client.call("echo", {"a": 1}) == {"a": 1}


async def test_a_folder_that_cannot_be_written_says_so(tmp_path, ops):
    with pytest.raises(PermanentError, match="cannot listen at"):
        await LocalServer(tmp_path / "absent" / "fieldpost.sock", ops.table(), LOG).run()


async def test_the_server_can_run_again_after_it_was_stopped(path, ops):
    for _ in range(2):
        async with serving(path, ops), AsyncClient(path) as client:
            assert await client.call("echo") == {}


def test_the_limits_of_server_and_wire_agree():
    from gateway.local.wire import MAX_REQUEST

    assert connection_module.Limits().line == MAX_REQUEST


async def test_an_op_that_asks_for_its_caller_gets_the_user_whatever_the_peer_says(path, ops):
    async with serving(path, ops):
        asked = {"id": 1, "op": "named", "args": {"who": "anna", "caller": "boss"}}
        (answer,) = await _talk(path, json.dumps(asked).encode() + b"\n")
    assert answer["out"] == {"who": "anna", "caller": pwd.getpwuid(os.geteuid()).pw_name}


@pytest.mark.parametrize(
    ("claimed", "user", "told"),
    [
        (None, "joe", "joe"),
        ("joe", "joe", "joe"),
        ("anna", "joe", "anna (joe)"),
        ("root", "joe", "root (joe)"),
        ("anna", None, "anna"),
        (None, None, "local"),
        (5, "joe", "joe"),
        ("x" * 500, "joe", "x" * 40 + " (joe)"),
    ],
)
def test_who_is_told_is_the_user_and_for_whom(claimed, user, told):
    assert signed(claimed, user) == told


def test_a_user_without_a_name_is_told_by_number():
    assert user_of(Peer(1, 4_000_000_001, frozenset())) == "uid 4000000001"
