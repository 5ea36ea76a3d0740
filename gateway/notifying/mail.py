"""One mail to a server: with STARTTLS, TLS or none, bounded in time, and silent about its password."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from gateway.notifying.ports import NotDelivered
from gateway.threads import Threads

TIMEOUT_S = 30.0
"""For the whole conversation."""
STARTTLS, TLS, NONE = "starttls", "tls", "none"


class MailServer(Struct, frozen=True):
    """Where mails go. `tls`: starttls, tls or none."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    tls: str = STARTTLS
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Without the password: values end up in logs and tracebacks."""
        return f"MailServer({self.host}:{self.port}, {self.tls})"


class Letter(Struct, frozen=True):
    """A mail. `key` names it, so that one that comes twice is seen as one."""

    subject: str
    text: str
    key: str


async def send(server: MailServer, letter: Letter, threads: Threads, timeout_s: float = TIMEOUT_S) -> None:
    """Returns when the server has taken it. Raises NotDelivered."""
    attempt = _Attempt(server, letter, timeout_s)
    try:
        await threads.call(attempt.run, timeout_s, attempt.abort)
    except TimeoutError:
        raise NotDelivered(f"{server.host}: no answer within {timeout_s:g} s", again=True) from None


class Talk(Protocol):
    """A conversation with a server, on a thread."""

    def run(self) -> None:
        """Raises NotDelivered."""
        ...

    def abort(self) -> None:
        """End what is under way. May be called from another thread, at any time."""
        ...


class _Attempt:
    """A conversation whose library is loaded on its thread, when it is needed."""

    def __init__(self, server: MailServer, letter: Letter, timeout_s: float) -> None:
        self._server = server
        self._letter = letter
        self._timeout_s = timeout_s
        self._talk: Talk | None = None
        self._given_up = False

    def run(self) -> None:
        from gateway.notifying.smtp import SmtpTalk

        self._talk = SmtpTalk(self._server, self._letter, self._timeout_s)
        if self._given_up:
            raise TimeoutError
        self._talk.run()

    def abort(self) -> None:
        self._given_up = True
        if self._talk is not None:
            self._talk.abort()
