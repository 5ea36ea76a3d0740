"""Mails to a real SMTP server, and to some that are none."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.notifying.mail import Letter, send
from gateway.notifying.mail import MailServer as Server
from gateway.notifying.ports import NotDelivered
from gateway.threads import Threads
from gateway.webhook import client_context
from tests.support import ports
from tests.support.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.mailserver import MailServer, Parrot

SECRET = "s3cr3t-pass"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server context whose authority the system knows."""
    certificates = Certificates(tmp_path / "ca")
    made = certificates.make("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    client_context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    yield context
    client_context.cache_clear()


def server(port: int, **more: Any) -> Server:
    to = more.pop("to", ("ops@example.org",))
    return Server("localhost", port, "gw@example.org", to, **{"tls": "none", **more})


async def mail(to: Server, timeout_s: float = 10.0, text: str = "It is hot: 81 \u00b0C\n") -> None:
    await send(to, Letter("hot \u2026", text, "7"), Threads("mail", 2), timeout_s)


async def refusal(to: Server, timeout_s: float = 10.0) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        await mail(to, timeout_s)
    assert SECRET not in str(caught.value)
    return caught.value


async def test_a_mail_arrives_with_its_subject_text_and_name() -> None:
    async with MailServer() as smtp:
        await mail(server(smtp.port, to=("ops@example.org", "boss@example.org")))
    (got,) = smtp.mails
    assert (got["Subject"], got["From"]) == ("hot \u2026", "gw@example.org")
    assert got.get_content().strip() == "It is hot: 81 \u00b0C"
    assert got["Message-ID"] == "<7@example.org>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert smtp.recipients == [["ops@example.org", "boss@example.org"]]


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_a_password_goes_over_an_encrypted_line(tls: ssl.SSLContext, way: str) -> None:
    async with MailServer(tls=tls, implicit=way == "tls", auth=("anna", SECRET)) as smtp:
        await mail(server(smtp.port, tls=way, username="anna", password=SECRET))
    assert (smtp.encrypted, smtp.logins) == ([True], 1)


async def test_a_wrong_password_is_told_without_it_and_not_tried_again(tls: ssl.SSLContext) -> None:
    async with MailServer(tls=tls, auth=("anna", "other")) as smtp:
        failed = await refusal(server(smtp.port, tls="starttls", username="anna", password=SECRET))
    assert not failed.again
    assert "user name or password" in str(failed)
    assert smtp.mails == []


async def test_a_server_without_starttls_gets_no_mail(tls: ssl.SSLContext) -> None:
    async with MailServer() as smtp:
        failed = await refusal(server(smtp.port, tls="starttls", username="anna", password=SECRET))
    assert not failed.again
    assert (smtp.mails, smtp.logins) == ([], 0)


async def test_an_unknown_certificate_gets_no_mail(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    client_context.cache_clear()
    async with MailServer(tls=tls, auth=("anna", SECRET)) as smtp:
        failed = await refusal(server(smtp.port, tls="starttls", username="anna", password=SECRET))
    assert "certificate" in str(failed)
    assert smtp.logins == 0


@pytest.mark.parametrize(("answer", "again"), [("451 try later", True), ("554 5.7.1 no\x07 spam", False)])
async def test_the_servers_answer_says_whether_to_try_again(answer: str, again: bool) -> None:
    async with MailServer() as smtp:
        smtp.answers = [answer]
        failed = await refusal(server(smtp.port))
    assert failed.again is again
    assert str(failed) == f"localhost: {answer.replace(chr(7), '')}"


async def test_one_refused_recipient_keeps_the_mail_from_nobody_else() -> None:
    async with MailServer() as smtp:
        smtp.refuse = {"gone@example.org"}
        await mail(server(smtp.port, to=("gone@example.org", "ops@example.org")))
        assert smtp.recipients == [["ops@example.org"]]
        failed = await refusal(server(smtp.port, to=("gone@example.org",)))
    assert not failed.again
    assert "no such user" in str(failed)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"HTTP/1.1 200 OK\r\n\r\n"],
        [b"220 x\r\n", b"\xff\xfe\x00\r\n"],
        [b"220 x\r\n", b"250 x\r\n"],
        [b"220-" + b"x" * 500 + b"\r\n"] * 3,
    ],
    ids=["silent", "http", "garbage", "falls-silent", "never-ends"],
)
async def test_a_peer_that_is_no_mail_server_is_cut_off(lines: list[bytes]) -> None:
    async with Parrot(lines) as peer:
        assert isinstance(await refusal(server(peer.port), 0.5), NotDelivered)


@pytest.mark.parametrize("way", ["tls", "starttls"])
async def test_a_peer_that_never_shakes_hands_is_cut_off_and_its_thread_ends(way: str) -> None:
    lines = [] if way == "tls" else [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"]
    threads = Threads("mail", 1)
    async with Parrot(lines) as peer:
        to = server(peer.port, tls=way)
        with pytest.raises(NotDelivered):
            await send(to, Letter("s", "t", "1"), threads, 0.5)
        await eventually(lambda: not threads._slots.locked())


async def test_nobody_there() -> None:
    failed = await refusal(server(ports.free_port()))
    assert failed.again


async def test_a_password_that_smtp_cannot_carry_is_not_told(tls: ssl.SSLContext) -> None:
    async with MailServer(tls=tls, auth=("anna", SECRET)) as smtp:
        failed = await refusal(server(smtp.port, tls="starttls", username="anna", password=SECRET + "\u20ac"))
    assert not failed.again
    assert SECRET not in repr(server(1, password=SECRET))


async def test_a_subject_of_several_lines_cannot_make_headers() -> None:
    async with MailServer() as smtp:
        with pytest.raises(NotDelivered) as caught:
            await send(server(smtp.port), Letter("hot\r\nBcc: x@example.org", "t", "1"), Threads("mail", 1))
    assert not caught.value.again
    assert smtp.mails == []
