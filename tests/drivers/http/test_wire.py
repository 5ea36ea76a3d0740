"""What the wire and the server may do: errors of the contract, bounds, identity, redirects, TLS."""

from __future__ import annotations

import hashlib
import json
import re
import ssl

import pytest

from drivers.http.settings import Tls
from gateway.errors import AuthError, BadFrame, DeviceUnavailable, LinkLost, PermanentError, RequestRefused
from tests.drivers.http.kit import Say, answer, channel_of, driving, found, saying, tag_spec
from tests.support.certificates import Certificates

X = tag_spec("x", json="v")
GOOD = answer('{"v": 1.5}')


async def read(say: Say, **keys) -> float:
    async with saying(say) as server, driving(channel_of(server.port, X, **keys)) as (driver, context):
        return (await found(driver, context))["x"][0]


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        ("400 Bad Request", RequestRefused, "config"),
        ("403 Forbidden", RequestRefused, "config"),
        ("404 Not Found", RequestRefused, "config"),
        ("304 Not Modified", RequestRefused, "config"),
        ("429 Too Many Requests", RequestRefused, "comm"),
        ("500 Oh", RequestRefused, "comm"),
        ("503 Busy", RequestRefused, "comm"),
        ("401 Unauthorized", AuthError, None),
        ("407 Proxy", AuthError, None),
    ],
)
async def test_a_status_is_an_error_of_the_contract(status, error, reason) -> None:
    with pytest.raises(error) as raised:
        await read(lambda head, _: answer("", status) if "304" not in status else b"HTTP/1.1 304 Same\r\n\r\n")
    if reason is not None:
        assert (raised.value.code, raised.value.reason) == (int(status[:3]), reason)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"SSH-2.0-dropbear\r\n\r\n", BadFrame),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nabcd", BadFrame),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9000 + b"\r\n", BadFrame),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", BadFrame),
        (answer(b"x" * 5000), BadFrame),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabcd", DeviceUnavailable),
        (None, LinkLost),
    ],
)
async def test_rubbish_too_much_and_nothing_are_errors_of_the_contract(said, error) -> None:
    with pytest.raises(error):
        await read(lambda head, _: said, max_answer=4096, timeout_s=0.2)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"v"\r\n6\r\n: 1.5}\r\n0\r\n\r\n',
        answer(b'\xef\xbb\xbf{"v": 1.5}'),
    ],
)
async def test_what_servers_may_say(said) -> None:
    assert await read(lambda head, _: said) == 1.5


async def test_connections_are_kept_and_one_that_the_server_ended_costs_a_read_nothing() -> None:
    said = iter([GOOD, GOOD, None, GOOD])
    async with saying(lambda head, _: next(said)) as server, driving(channel_of(server.port, X)) as (driver, context):
        for _ in range(3):
            assert (await found(driver, context))["x"][0] == 1.5
    assert (server.connections, len(server.heads)) == (2, 4)


async def test_without_keep_alive_each_request_has_its_own_connection() -> None:
    async with (
        saying(lambda head, _: GOOD) as server,
        driving(channel_of(server.port, X, keep_alive=False)) as (driver, context),
    ):
        for _ in range(3):
            await found(driver, context)
    assert server.connections == 3
    assert all("Connection: close" in head for head in server.heads)


async def test_redirects_are_followed_on_this_server_only_and_not_for_ever() -> None:
    def say(head: str, body: bytes) -> bytes:
        path = head.split()[1]
        led = {"/status": "/a/b", "/a/b": "c?x=1", "/loop": "/loop", "/away": "http://192.0.2.1/"}.get(path)
        return GOOD if led is None else answer("", "302 Found", f"Location: {led}")

    assert await read(say) == 1.5
    with pytest.raises(RequestRefused, match="more than 1 redirects"):
        await read(say, redirects=1)
    for path in ("/loop", "/away"):
        async with saying(say) as server:
            spec = channel_of(server.port, tag_spec("x", at=path, json="v"), token="secret")
            async with driving(spec) as (driver, context):
                with pytest.raises(RequestRefused):
                    await found(driver, context)


def _digest(name: str, password: str, algorithm: str) -> Say:
    """A server's side of RFC 7616, computed apart from the driver's."""

    def hashed(text: str) -> str:
        return (hashlib.md5 if algorithm == "MD5" else hashlib.sha256)(text.encode()).hexdigest()

    seen: list[str] = []

    def say(head: str, body: bytes) -> bytes:
        method, path, _ = head.split(" ", 2)
        fields = dict(re.findall(r'(\w+)="?([^",\r\n]+)', head[head.find("Digest") :])) if "Digest" in head else {}
        if fields and fields["nc"] not in seen and fields["uri"] == path:
            seen.append(fields["nc"])
            inner = f"{hashed(f'{name}:plant:{password}')}:n1:{fields['nc']}:{fields['cnonce']}:auth"
            if hashed(f"{inner}:{hashed(f'{method}:{path}')}") == fields["response"]:
                return GOOD
        want = f'WWW-Authenticate: Digest qop="auth", realm="plant", nonce="n1", algorithm={algorithm}'
        return answer("", "401 No", want)

    return say


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_digest_is_answered_once_asked_for_and_then_unasked(algorithm) -> None:
    async with (
        saying(_digest("admin", "s3cret", algorithm)) as server,
        driving(channel_of(server.port, X, username="admin", password="s3cret")) as (driver, context),
    ):
        for _ in range(3):
            assert (await found(driver, context))["x"][0] == 1.5
    assert len(server.heads) == 4
    assert not any("s3cret" in head for head in server.heads)


async def test_a_wrong_password_is_told_after_one_attempt_and_never_shown() -> None:
    async with (
        saying(_digest("admin", "s3cret", "SHA-256")) as server,
        driving(channel_of(server.port, X, username="admin", password="wr0ng")) as (driver, context),
    ):
        with pytest.raises(AuthError) as raised:
            await found(driver, context)
    assert len(server.heads) == 2
    assert "wr0ng" not in str(raised.value)


async def test_basic_and_bearer_are_sent() -> None:
    def basic(head: str, body: bytes) -> bytes:
        good = "Authorization: Basic YWRtaW46cw==" in head
        return GOOD if good else answer("", "401 No", 'WWW-Authenticate: Basic realm="x"')

    assert await read(basic, username="admin", password="s") == 1.5
    assert await read(lambda head, _: GOOD if "Bearer t0k" in head else answer("", "401 No"), token="t0k") == 1.5
    with pytest.raises(AuthError):  # who says digest never gives the password away
        await read(basic, username="admin", password="s", auth="digest")


async def test_tls_is_trusted_by_authority_or_fingerprint_and_nothing_is_sent_to_others(tmp_path) -> None:
    certificates = Certificates(tmp_path)
    pair = certificates.make("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.cert.read_text())).hexdigest()
    async with saying(lambda head, _: GOOD, ssl=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        for keys in ({"tls": Tls(ca=str(certificates.ca))}, {"fingerprint": shown.upper()}):
            async with driving(channel_of(0, X, url=url, **keys)) as (driver, context_):
                assert (await found(driver, context_))["x"][0] == 1.5
        for keys in ({}, {"fingerprint": "00" * 32}):
            with pytest.raises(AuthError, match="certificate"):
                async with driving(channel_of(0, X, url=url, token="secret", **keys)):
                    pass
        with pytest.raises(PermanentError):
            async with driving(channel_of(0, X, url=url, tls=Tls(ca=str(tmp_path / "none.pem")))):
                pass
        assert len(server.heads) == 2


async def test_a_trace_shows_requests_without_what_we_are_known_by() -> None:
    frames = []
    async with (
        saying(lambda head, _: GOOD) as server,
        driving(channel_of(server.port, X, token="t0k")) as (driver, context),
    ):
        driver.trace(frames.append)
        await found(driver, context)
    assert [(frame.sending, frame.text) for frame in frames] == [(True, "GET /status"), (False, "200, 10 bytes ")]
    assert driver.owns_frame(context.devices[0], frames[0])
    assert json.loads(frames[1].data) == {"v": 1.5}
