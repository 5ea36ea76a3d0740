"""A good polling and a good pushing driver of a line protocol, their peer, and a channel: what faults are planted in."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.driver import Columns, DriverContext, DriverSpec, PollingDriver, Request
from gateway.errors import BadFrame, LinkLost, RequestRefused
from gateway.model import Access, Block, ChannelSpec, Device, DeviceSpec, Schedule, Tag, TagSpec, Value, ValueType
from gateway.textvalues import raw_of
from gateway.transform import to_raw


class Keys(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    word: str = ""


VALUES = {"TEMP": "21.3", "COUNT": "42", "SETPOINT": "12.5"}


@contextlib.asynccontextmanager
async def peer() -> AsyncIterator[int]:
    """Answers `TEMP?`, takes `SETPOINT 5`; after `SUBSCRIBE` it sends all values, and then `PING` now and then."""
    values = dict(VALUES)

    async def push(writer):
        with contextlib.suppress(OSError):
            stamp = time.time_ns() // 1_000_000
            for word, text in values.items():
                writer.write(f"VALUE {word} {text} {stamp}\n".encode())
            while True:
                writer.write(b"PING\n")
                await writer.drain()
                await asyncio.sleep(0.05)

    async def serve(reader, writer):
        pushing = None
        with contextlib.closing(writer), contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                word, _, value = line.decode("ascii", "replace").strip().partition(" ")
                if word == "SUBSCRIBE":
                    writer.write(b"OK\n")
                    pushing = asyncio.ensure_future(push(writer))
                elif word.endswith("?") and word[:-1] in values:
                    writer.write(f"{values[word[:-1]]}\n".encode())
                elif value and word in values:
                    values[word] = value
                    writer.write(b"OK\n")
                else:
                    writer.write(b"ERR unknown\n")
        if pushing is not None:
            pushing.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def tag(path: str, word: str, kind: str, access: str = "r") -> TagSpec:
    return TagSpec(path, ValueType(kind), Point(word), access=Access(access))


def channel(port: int, *, writable: bool) -> ChannelSpec:
    access = "rw" if writable else "r"
    tags = (tag("temp", "TEMP", "float64"), tag("count", "COUNT", "uint32"), tag("set", "SETPOINT", "float64", access))
    device = DeviceSpec("d", Keys(), tags, Schedule(0.1))
    return ChannelSpec("c", "lines", Keys(f"tcp://127.0.0.1:{port}"), (device,), timeout_s=0.5)


def spec_of(create, **more) -> DriverSpec:
    return DriverSpec("lines", Keys, Keys, Point, create=create, **more)


class Good(PollingDriver):
    def __init__(self) -> None:
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.timeout_s = 1.0

    async def connect(self, ctx: DriverContext) -> None:
        url, self.timeout_s = urlsplit(ctx.channel.settings.url), ctx.channel.timeout_s
        try:
            async with asyncio.timeout(self.timeout_s):
                self.reader, self.writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        return [Request(Block(device.id, [tag]), tag.spec.source.word, tag.path) for tag in tags]

    async def read(self, request: Request) -> Columns:
        return Columns([raw_of(request.block.tags[0].spec, await self.exchange(f"{request.detail}?"))])

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        await self.exchange(f"{tag.spec.source.word} {to_raw(tag.spec, value)}")

    async def answer(self) -> bytes:
        assert self.reader is not None
        async with asyncio.timeout(self.timeout_s):
            return await self.reader.readuntil(b"\n")

    async def exchange(self, line: str) -> str:
        if self.writer is None:
            raise LinkLost("closed")
        try:
            self.writer.write(f"{line}\n".encode())
            answer = (await self.answer()).decode("utf-8", "replace").strip()
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            await self.failed()
            raise LinkLost(str(error) or "no answer") from error
        if answer.startswith("ERR"):
            raise RequestRefused(answer)
        return answer

    async def failed(self) -> None:
        await self.close()


class GoodPushing:
    def __init__(self) -> None:
        self.counted = 0

    async def run(self, ctx: DriverContext) -> None:
        url = urlsplit(ctx.channel.settings.url)
        writer = None
        try:
            async with asyncio.timeout(ctx.channel.timeout_s):
                reader, writer = await asyncio.open_connection(url.hostname, url.port)
                await self.connected(ctx)
                writer.write(b"SUBSCRIBE\n")
                if await reader.readuntil(b"\n") != b"OK\n":
                    raise LinkLost("not subscribed")
            ctx.link(up=True)
            while True:
                async with asyncio.timeout(2.0):
                    line = await reader.readuntil(b"\n")
                self.take(ctx, line.decode("utf-8", "replace").split())
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise LinkLost(str(error) or "silent") from error
        finally:
            if writer is not None:
                writer.close()

    async def connected(self, ctx: DriverContext) -> None:
        """A place for faults."""

    def take(self, ctx: DriverContext, words: list[str]) -> None:
        device = ctx.devices[0]
        found = [tag for tag in device.tags if words[1:2] == [tag.spec.source.word]]
        if len(words) != 4 or words[0] != "VALUE" or not found or not words[3].isascii() or not words[3].isdecimal():
            self.counted += 1
            return
        ts = int(words[3][:15])
        if abs(ts - ctx.clock.wall_ms()) > 86_400_000:
            return
        try:
            value = raw_of(found[0].spec, words[2])
        except BadFrame:
            self.counted += 1
            return
        ctx.online(device.id)
        ctx.publish(Block(device.id, found), [value], ts=ts)
