"""One HTTP request to tell somebody something: bounded in time and bytes, and silent about secrets.

What stands in an error's text never comes from the URL's path, the headers or the answer's body: they hold tokens.
"""

from __future__ import annotations

import ssl
from functools import cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.threads import Threads

AT_ONCE = 32
TRY_LATER = frozenset((408, 425, 429))


class WebhookFailed(GatewayError):
    """The other side does not have it, for all that is known. `code`: its answer, else 400 (no request), 504.

    `again`: trying again may help.
    """

    def __init__(self, text: str, *, code: int, again: bool) -> None:
        super().__init__(text)
        self.code = code
        self.again = again


class HttpRequest(Struct, frozen=True):
    """What to send, and for how long it may take in all."""

    url: str
    body: bytes
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 10.0

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"HttpRequest({self.method} {host_of(self.url)}, {len(self.body)} bytes)"


def host_of(url: str) -> str:
    """`host:port` of a URL for people and queues, without user and password; empty for what is no URL of ours."""
    parts = split(url)
    if parts is None or parts.hostname is None:
        return ""
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def split(url: str) -> SplitResult | None:
    """The parts of a URL of http or https; None for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None


async def send(request: HttpRequest, threads: Threads) -> int:
    """The status, 200 to 299. Raises WebhookFailed, for a redirect too: the message is not where it should be."""
    exchange = _Attempt(request)
    try:
        status = await threads.call(exchange.run, request.timeout_s, exchange.abort)
    except TimeoutError:
        raise WebhookFailed(f"no answer within {request.timeout_s:g} s", code=504, again=True) from None
    if not 200 <= status < 300:
        words = next((known.phrase for known in HTTPStatus if known == status), "")
        text = f"the answer is {status} {words}".rstrip()
        raise WebhookFailed(text, code=status, again=status >= 500 or status in TRY_LATER)
    return status


@cache
def client_context() -> ssl.SSLContext:
    """The system's authorities. Made once, on a thread: reading them holds up the interpreter for several ms."""
    return ssl.create_default_context()


class Exchange(Protocol):
    """A request on its way, on a thread."""

    def run(self) -> int:
        """The status. Raises WebhookFailed."""
        ...

    def abort(self) -> None:
        """End what is under way. May be called from another thread, at any time."""
        ...


class _Attempt:
    """An exchange whose library is loaded on its thread, when it is needed."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._exchange: Exchange | None = None
        self._given_up = False

    def run(self) -> int:
        from gateway.httpcall import HttpCall

        self._exchange = HttpCall(self._request)
        if self._given_up:
            raise TimeoutError
        return self._exchange.run()

    def abort(self) -> None:
        self._given_up = True
        if self._exchange is not None:
            self._exchange.abort()
