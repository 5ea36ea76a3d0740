"""Both clients of the local socket against a real server."""

import asyncio
import contextlib
import socket
import threading

import pytest

from gateway.local.client import AsyncClient, Client, why_not
from gateway.local.wire import NotRunning, OpError
from tests.unit.local.conftest import serving


async def test_the_plain_client_calls_and_streams(path, ops):
    def use():
        with Client(path) as client:
            return client.call("echo", {"a": [1, None]}), list(client.stream("count", {"n": 3})), client.call("echo")

    async with serving(path, ops):
        assert await asyncio.to_thread(use) == ({"a": [1, None]}, [{"i": 0}, {"i": 1}, {"i": 2}], {})


async def test_the_plain_client_raises_what_the_gateway_refused(path, ops):
    def use():
        with Client(path) as client, pytest.raises(OpError, match="no such tag") as caught:
            client.call("missing")
        return caught.value.code

    async with serving(path, ops):
        assert await asyncio.to_thread(use) == 404


async def test_the_plain_client_gives_up_after_its_timeout(path, ops):
    def use():
        with Client(path) as client, pytest.raises(OpError, match="no answer to wait") as caught:
            client.call("wait", timeout_s=0.05)
        return caught.value.code

    async with serving(path, ops):
        assert await asyncio.to_thread(use) == 504
        ops.gate.set()


def test_without_a_gateway_the_client_says_so(path):
    with pytest.raises(NotRunning, match="no gateway is running"):
        Client(path)


def test_a_socket_one_may_not_open_says_who_may(path):
    assert "member of its group" in why_not(path, PermissionError(13, "Permission denied"))


def test_a_server_that_leaves_in_the_middle_is_an_error_not_a_hang(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def leave():
        accepted, _ = listener.accept()
        accepted.recv(100)
        accepted.sendall(b'{"id":1,"ok":tr')
        accepted.close()

    thread = threading.Thread(target=leave)
    thread.start()
    with listener, Client(path) as client, pytest.raises(OpError, match="closed the connection"):
        client.call("echo")
    thread.join()


async def test_the_asyncio_client_runs_calls_and_streams_side_by_side(path, ops):
    async with serving(path, ops), AsyncClient(path) as client:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.call("wait", {"x": 1}))
            items = [item async for item in client.stream("count", {"n": 5})]
            assert await client.call("echo", {"y": 2}) == {"y": 2}
            ops.gate.set()
        assert waiting.result() == {"x": 1}
        assert items == [{"i": i} for i in range(5)]


async def test_leaving_a_stream_ends_it_at_the_gateway(path, ops):
    async with serving(path, ops), AsyncClient(path) as client:
        async with contextlib.aclosing(client.stream("ticks")) as items:
            async for _ in items:
                break
        async with asyncio.timeout(10):
            while ops.streams_open:
                await asyncio.sleep(0.005)
        assert await client.call("echo") == {}


async def test_the_asyncio_client_learns_that_the_gateway_has_gone(path, ops):
    async with serving(path, ops):
        client = AsyncClient(path)
        await client.__aenter__()
        assert await client.call("echo") == {}
    with pytest.raises(OpError, match="closed the connection"):
        await client.call("echo")
    await client.__aexit__(None, None, None)


async def test_the_asyncio_client_without_a_gateway_says_so(path):
    with pytest.raises(NotRunning):
        async with AsyncClient(path):
            pass


async def test_an_error_of_the_caller_leaves_the_client_block_as_it_is(path, ops):
    async with serving(path, ops):
        with pytest.raises(KeyError):
            async with AsyncClient(path):
                raise KeyError("mine")
