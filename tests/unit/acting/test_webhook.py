"""One HTTP request: what is a success, what is a failure, and what never stands in an error."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from gateway.httpcall import MAX_ANSWER
from gateway.threads import Threads
from gateway.webhook import HttpRequest, WebhookFailed, client_context, host_of, send
from tests.support import ports
from tests.support.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.webserver import CLOSE, GARBAGE, HANG, WebServer, answer

SECRET = "s3cr3t-t0ken"


def request(url: str, **more: Any) -> HttpRequest:
    return HttpRequest(url, more.pop("body", b'{"a": 1}'), **more)


async def call(url: str, **more: Any) -> int:
    return await send(request(url, **more), Threads("test", 4))


async def failure(url: str, **more: Any) -> WebhookFailed:
    with pytest.raises(WebhookFailed) as caught:
        await call(url, **more)
    assert SECRET not in str(caught.value)
    return caught.value


async def test_a_request_has_its_method_path_headers_and_body() -> None:
    async with WebServer() as server:
        url = f"http://anna:pa%20ss@localhost:{server.port}/a b/\u00e4?token={SECRET}&x=1"
        assert await call(url, method="PUT", headers=(("X-Key", SECRET),)) == 200
    (got,) = server.received
    assert (got.method, got.target) == ("PUT", f"/a%20b/%C3%A4?token={SECRET}&x=1")
    assert got.headers["X-Key"] == SECRET
    assert got.headers["Authorization"] == "Basic YW5uYTpwYSBzcw=="
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Host"] == f"localhost:{server.port}"
    assert got.body == b'{"a": 1}'


async def test_own_headers_replace_ours_whatever_their_case() -> None:
    async with WebServer() as server:
        await call(server.url, headers=(("content-type", "text/csv"),))
    assert server.received[0].headers["Content-Type"] == "text/csv"


@pytest.mark.parametrize(
    ("status", "again"), [(301, False), (302, False), (400, False), (404, False), (429, True), (500, True), (503, True)]
)
async def test_other_answers_than_2xx_are_failures_and_redirects_are_not_followed(status: int, again: bool) -> None:
    async with WebServer(answer(status, "Location: /elsewhere\r\n")) as server:
        failed = await failure(server.url)
        assert (failed.code, failed.again) == (status, again)
        assert server.connections == 1


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: yes\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * (MAX_ANSWER // 16) + b"\r\n")
        await writer.drain()


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


@pytest.mark.parametrize("behaviour", [CLOSE, GARBAGE, HANG, drip], ids=["close", "garbage", "hang", "drip"])
async def test_a_server_that_misbehaves_is_a_failure_that_may_pass(behaviour: Any) -> None:
    async with WebServer(behaviour) as server:
        failed = await failure(f"{server.url}?token={SECRET}", timeout_s=0.5)
        assert failed.again
        assert failed.code == 504


async def test_headers_without_an_end_are_looked_at_up_to_the_bound() -> None:
    async with WebServer(flood) as server:
        assert await call(server.url, timeout_s=20) == 200


async def test_a_body_without_an_end_does_not_matter() -> None:
    async with WebServer(endless_body) as server:
        assert await call(server.url, timeout_s=5) == 200


async def test_nobody_there() -> None:
    failed = await failure(f"http://127.0.0.1:{ports.free_port()}/{SECRET}")
    assert (failed.code, failed.again) == (504, True)


async def test_a_peer_that_takes_connections_and_never_shakes_hands_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # connections end in its backlog
        url = f"https://127.0.0.1:{nobody.getsockname()[1]}/"
        threads = Threads("cut-off", 1)
        for _ in range(2):  # the second has its turn only when the first thread has ended
            with pytest.raises(WebhookFailed):
                await send(request(url, timeout_s=0.3), threads)
        await eventually(lambda: not threads._slots.locked())


@pytest.mark.parametrize(
    ("url", "more"),
    [
        (f"ftp://localhost/{SECRET}", {}),
        (f"http:///{SECRET}", {}),
        (f"http://localhost:99999/{SECRET}", {}),
        (f"no url {SECRET}", {}),
        ("http://localhost:1/", {"headers": (("X-Key", f"{SECRET}\r\nX-Other: 1"),)}),
        ("http://localhost:1/", {"headers": (("X Key\n", SECRET),)}),
        ("http://localhost:1/", {"method": "GET /\r\n"}),
    ],
)
async def test_what_is_no_request_is_refused_for_good(url: str, more: Any) -> None:
    async with WebServer() as server:
        failed = await failure(url.replace("localhost:1/", f"localhost:{server.port}/"), **more)
        assert (failed.code, failed.again) == (400, False)
        assert server.received == []


async def test_a_certificate_is_checked_against_the_authorities_of_the_system(tmp_path: Any, monkeypatch: Any) -> None:
    certificates = Certificates(tmp_path / "ca")
    made = certificates.make("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    async with WebServer(tls=context) as server:
        client_context.cache_clear()
        failed = await failure(server.url)
        assert (failed.code, failed.again) == (504, True)
        assert "certificate" in str(failed)
        client_context.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        assert await call(server.url) == 200
    client_context.cache_clear()


def test_a_host_for_people_has_no_user_and_no_path() -> None:
    assert host_of(f"https://anna:{SECRET}@Example.com/{SECRET}") == "example.com:443"
    assert host_of("http://[::1]:8080/x") == "::1:8080"
    assert host_of("mailto:x") == ""
    assert SECRET not in repr(request(f"http://x/{SECRET}", headers=(("X-Key", SECRET),)))


async def test_calls_beyond_the_bound_wait_for_a_place() -> None:
    async with WebServer(HANG) as server:
        threads = Threads("two", 2)
        calls = [asyncio.ensure_future(send(request(server.url, timeout_s=1.0), threads)) for _ in range(5)]
        await eventually(lambda: server.connections == 2)
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(end, WebhookFailed) for end in ends)
