"""Asks one server: connections kept or opened, identity, redirects, and what status codes mean."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import h11

from drivers.http.auth import Identity
from drivers.http.settings import ChannelSettings
from drivers.http.target import Target, redirected
from drivers.http.wire import Answer, Stale, Wire, unavailable
from gateway.errors import AuthError, LinkLost, RequestRefused

AGENT: Final = "fieldpost"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN: Final = frozenset({408, 425, 429})

Listener = Callable[[bool, bytes, str], None]  # sending, bytes, words


class Client:
    """One request at a time. `counts`: answers by what became of them, and connections."""

    def __init__(
        self, target: Target, settings: ChannelSettings, context: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        self._target = target
        self._settings = settings
        self._context = context
        self._timeout_s = timeout_s
        self._identity = Identity(settings)
        self._wire: Wire | None = None
        self.listener: Listener | None = None
        self.counts = {"connections": 0, "redirects": 0, "challenges": 0}

    async def connect(self) -> None:
        """Open a connection; nothing is sent on it. Raises LinkLost, AuthError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
        except TimeoutError as error:
            raise LinkLost(f"{self._target.authority}: no connection in {self._timeout_s:g} s") from error

    def close(self) -> None:
        """Harmless when repeated."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def get(self, path: str) -> Answer:
        """An answer with 2xx. Raises the contract's errors; the time-out is of everything that it takes."""
        return await self._bounded("GET", path, b"", {})

    async def send(self, method: str, path: str, body: bytes, content_type: str) -> Answer:
        """A write: never repeated when its outcome is not known, and it follows redirects that keep it what it is."""
        return await self._bounded(method, path, body, {"Content-Type": content_type} if body else {}, writing=True)

    async def _bounded(
        self, method: str, path: str, body: bytes, more: dict[str, str], *, writing: bool = False
    ) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._followed(method, path, body, more, writing)
        except TimeoutError as error:
            raise unavailable(f"{method} {path}", self._timeout_s) from error
        finally:
            if not self._settings.keep_alive:
                self.close()

    async def _followed(self, method: str, path: str, body: bytes, more: dict[str, str], writing: bool) -> Answer:
        at = path
        for _ in range(self._settings.redirects + 1):
            answer = await self._identified(method, at, body, more, writing)
            if writing and answer.status == 303:  # it was done, and its page is elsewhere
                return answer
            if answer.status not in _REDIRECTS:
                return _good(f"{method} {at}", answer)
            if writing and answer.status in {301, 302}:
                raise RequestRefused(f"{method} {at}: {answer.status}, moved; write its new path", code=answer.status)
            location = answer.first("location")
            led = redirected(self._target, at, location)
            if led is None:
                text = f"{method} {at}: {answer.status} leads away to {location[:200]!r}, which is not followed"
                raise RequestRefused(text, code=answer.status)
            self.counts["redirects"] += 1
            at = led
        raise RequestRefused(f"{method} {path}: more than {self._settings.redirects} redirects", code=310)

    async def _identified(self, method: str, path: str, body: bytes, more: dict[str, str], writing: bool) -> Answer:
        for _ in range(2):
            sent = self._identity.header(method, path)
            answer = await self._exchange(method, path, body, more | ({"Authorization": sent} if sent else {}), writing)
            if answer.status != 401 or not self._identity.learn(answer.all("www-authenticate"), sent):
                break
            self.counts["challenges"] += 1
        return answer

    async def _exchange(self, method: str, path: str, body: bytes, more: dict[str, str], writing: bool) -> Answer:
        """Over the kept connection, else a new one. A read is asked once more when the kept one had been ended."""
        request = self._request(method, path, body, more)
        self._told(True, body, f"{method} {path}")
        try:
            answer = await (await self._ready()).exchange(request, body)
        except Stale as error:
            if writing:
                raise LinkLost(f"{method} {path}: the server closed the connection without an answer") from error
            self.close()
            try:
                answer = await (await self._ready()).exchange(request, body)
            except Stale as again:  # cannot be: it is a new connection
                raise LinkLost(f"{method} {path}: the connection ended") from again
        self._told(False, answer.body, f"{answer.status}, {len(answer.body)} bytes {answer.first('content-type')}")
        return answer

    async def _ready(self) -> Wire:
        if self._wire is None or not self._wire.usable():
            self.close()
            await self._open()
        assert self._wire is not None  # noqa: S101 - opened just now
        return self._wire

    async def _open(self) -> None:
        self.close()
        settings = self._settings
        self._wire = await Wire.open(self._target, self._context, settings.fingerprint, settings.max_answer)
        self.counts["connections"] += 1

    def _request(self, method: str, path: str, body: bytes, more: dict[str, str]) -> h11.Request:
        headers = {
            "Host": self._target.authority,
            "User-Agent": AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive" if self._settings.keep_alive else "close",
            **self._settings.headers,
            **more,
        }
        if body or method != "GET":
            headers["Content-Length"] = str(len(body))
        return h11.Request(method=method, target=path, headers=list(headers.items()))

    def _told(self, sending: bool, data: bytes, text: str) -> None:
        if self.listener is not None:
            self.listener(sending, data, text)


def _good(what: str, answer: Answer) -> Answer:
    """Statuses as errors of the contract: see the README's table."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status in {401, 407}:
        raise AuthError(f"{what}: {status}, name, password or token are not accepted")
    if status >= 500 or status in _TRY_AGAIN:
        raise RequestRefused(f"{what}: {status}", code=status, reason="comm")
    raise RequestRefused(f"{what}: {status}", code=status)
