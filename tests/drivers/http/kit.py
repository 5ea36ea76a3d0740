"""Channels to servers of tests, and servers that say exactly what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from drivers.http.driver import HttpDriver
from drivers.http.settings import ChannelSettings, DeviceSettings, Setting, TagSettings
from gateway.model import Access, ChannelSpec, DeviceSpec, Schedule, TagSpec, ValueType
from gateway.testing import FakeContext


def tag_spec(path: str, kind: str = "float64", *, at: str = "/status", access: str = "r", **keys: Any) -> TagSpec:
    if isinstance(setting := keys.get("set"), dict):
        keys["set"] = Setting(**setting)
    return TagSpec(path, ValueType(kind), TagSettings(path=at, **keys), access=Access(access))


def channel_of(
    port: int, *tags: TagSpec, url: str = "", timeout_s: float = 1.0, device: dict[str, Any] | None = None, **keys: Any
) -> ChannelSpec:
    settings = ChannelSettings(url=url or f"http://127.0.0.1:{port}", **keys)
    spec = DeviceSpec("plug", DeviceSettings(**(device or {})), tags, Schedule(0.1))
    return ChannelSpec("line", "http", settings, (spec,), timeout_s=timeout_s)


@asynccontextmanager
async def driving(channel: ChannelSpec) -> AsyncIterator[tuple[HttpDriver, FakeContext]]:
    """Errors come out as they are: the context's task group would make a group of them."""
    failed: Exception | None = None
    async with FakeContext(channel) as context:
        driver = HttpDriver()
        try:
            await driver.connect(context)
            yield driver, context
        except Exception as error:
            failed = error
        finally:
            await driver.close()
    if failed is not None:
        raise failed


async def found(driver: HttpDriver, context: FakeContext) -> dict[str, tuple[Any, int, int | None]]:
    """Value, quality and time of each tag, out of one round of reads."""
    device, got = context.devices[0], {}
    for request in driver.plan(device, device.tags):
        columns = await driver.read(request)
        codes = columns.quality or [0] * len(columns.values)
        for tag, value, code in zip(request.block.tags, columns.values, codes, strict=True):
            got[tag.path] = (value, code, columns.ts)
    return got


def answer(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


Say = Callable[[str, bytes], bytes | None]


class Server:
    """`heads`: what was asked, with its headers. `connections`: how many there were."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0
        self.tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks[task] = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                sizes = [line[15:] for line in head.splitlines() if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(sizes[0])) if sizes else b""
                self.heads.append(head)
                said = self._say(head, body)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
            del self.tasks[task]


@asynccontextmanager
async def saying(say: Say, **keys: Any) -> AsyncIterator[Server]:
    """A server that answers each request with the bytes of `say`; None hangs up."""
    made = Server(say)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, **keys)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        left = dict(made.tasks)
        for writer in left.values():
            writer.close()
        await asyncio.gather(*left)
