"""An SMTP server on loopback (aiosmtpd), and one that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class MailServer:
    """Takes mails. `auth`: (user, password) that is required; `tls`: a context, for STARTTLS or (`implicit`) at once.

    `answers`: what the next messages are answered with in place of 250.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, auth: tuple[str, str] | None = None
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.encrypted: list[bool] = []
        self.answers: list[str] = []
        self.refuse: set[str] = set()
        self.logins = 0
        self.port = 0
        self._tls, self._implicit, self._auth = tls, implicit, auth
        self._transports: list[asyncio.BaseTransport] = []

    async def __aenter__(self) -> MailServer:  # noqa: PYI034
        loop = asyncio.get_running_loop()

        def make() -> SMTP:
            options: dict[str, Any] = {"enable_SMTPUTF8": True, "loop": loop, "hostname": "localhost"}
            if self._tls is not None and not self._implicit:
                options |= {"tls_context": self._tls, "require_starttls": True}
            if self._auth is not None:
                options |= {
                    "authenticator": self._authenticate,
                    "auth_required": True,
                    "auth_require_tls": self._tls is not None and not self._implicit,
                }
            with warnings.catch_warnings():  # it does not know of TLS from the first byte on
                warnings.simplefilter("ignore")
                return SMTP(self, **options)

        self._server = await loop.create_server(
            make, "localhost", 0, ssl=self._tls if self._implicit else None, family=2
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.sleep(0.01)
        others = [task for task in asyncio.all_tasks() if "SMTP" in repr(task.get_coro())]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        assert isinstance(data, LoginPassword)
        good = (data.login.decode(), data.password.decode()) == self._auth
        return AuthResult(success=good, handled=good)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None or self._implicit)
        return "250 OK"


class Parrot:
    """A TCP server that writes its lines to whoever connects, one per line that comes in, then says nothing more."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = list(lines)
        self.port = 0
        self.heard: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Parrot:  # noqa: PYI034
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            for line in self._lines:
                writer.write(line)
                await writer.drain()
                self.heard.append(await reader.readline())
            await asyncio.Event().wait()
        except OSError:
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)
