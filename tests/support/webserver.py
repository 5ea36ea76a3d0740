"""An HTTP server on loopback that behaves as told: for whoever calls webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG = b""
"""Takes the request and says nothing."""
GARBAGE = b"\x16\x03\x01 this is no HTTP\r\n\r\n"
CLOSE = None
"""Closes without an answer."""


def answer(status: int, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n{more}\r\n".encode()


class WebServer:
    """`answers`: what each request gets in turn, the last one for ever. A callable writes to the stream itself."""

    def __init__(self, *answers: bytes | Callable[..., object] | None, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers) or [OK]
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._writers: list[asyncio.StreamWriter] = []
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/hook"

    async def __aenter__(self) -> WebServer:  # noqa: PYI034
        self._server = await asyncio.start_server(self._serve, "localhost", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # connections just accepted have their handlers then
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._writers.append(writer)
        self.connections += 1
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._handlers.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        self.received.append(Received(method, target, headers, body))
        then = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(then):
            await then(writer)
        elif then == HANG:
            await asyncio.Event().wait()
        elif then is not None:
            writer.write(then)
            await writer.drain()
        writer.close()
