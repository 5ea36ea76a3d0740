"""Drivers with one fault each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

from gateway.driver import Columns, Fault, Request
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.model import Block
from gateway.textvalues import raw_of
from tests.integration.sdk.lines import Good, GoodPushing

OVER = threading.Event()
"""Ends what the drivers leave behind, after a test."""
LEFT: list[object] = []


class Blocks(Good):
    async def read(self, request):
        time.sleep(0.5)
        return await super().read(request)


class BlocksWithASocket(Good):
    async def connect(self, ctx):
        await super().connect(ctx)
        self.sock = socket.create_connection(self.writer.get_extra_info("peername"), timeout=self.timeout_s)

    async def close(self):
        if self.writer is not None:
            self.sock.close()
        await super().close()

    async def read(self, request):
        if self.writer is None:
            raise LinkLost("closed")
        self.sock.sendall(f"{request.detail}?\n".encode())
        try:
            answer = self.sock.recv(100)
        except OSError as error:
            raise LinkLost("silent") from error
        return Columns([float(answer) if request.block.tags[0].path != "count" else int(answer)])


class LeaksATask(Good):
    async def connect(self, ctx):
        await super().connect(ctx)

        async def forgotten():
            while not OVER.is_set():
                await asyncio.sleep(0.02)

        LEFT.append(asyncio.ensure_future(forgotten()))


class KeepsAThread(Good):
    async def connect(self, ctx):
        await super().connect(ctx)
        threading.Thread(target=OVER.wait, daemon=True).start()


class KeepsTheConnection(Good):
    async def close(self):
        LEFT.append(self.writer)
        self.reader = self.writer = None


class SwallowsCancellation(Good):
    async def read(self, request):
        try:
            return await super().read(request)
        except asyncio.CancelledError:
            return Columns([0.0])


class TurnsCancellation(Good):
    async def connect(self, ctx):
        try:
            await super().connect(ctx)
        except BaseException as error:
            raise LinkLost("something") from error


class GoesOnAfterCancellation(Good):
    async def write(self, device, tag, value):
        if value == 7.5:
            while not OVER.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)


class GivesOldValues(Good):
    def __init__(self):
        super().__init__()
        self.before = {}

    async def read(self, request):
        try:
            self.before[request.text] = await super().read(request)
        except LinkLost:
            if request.text not in self.before or self.writer is None:
                raise
        return self.before[request.text]

    async def failed(self):
        pass


class ForgetsATimeout(Good):
    async def answer(self):
        return await self.reader.readuntil(b"\n")


class ForgetsATimeoutOfConnect(Good):
    async def connect(self, ctx):
        await super().connect(ctx)
        self.writer.write(b"TEMP?\n")
        await self.reader.readuntil(b"\n")


class ForgetsATimeoutOfOpening(Good):
    async def connect(self, ctx):
        url, self.timeout_s = urlsplit(ctx.channel.settings.url), ctx.channel.timeout_s
        try:
            self.reader, self.writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError as error:
            raise LinkLost(str(error)) from error


class OpensForEver(GoodPushing):
    async def run(self, ctx):
        url = urlsplit(ctx.channel.settings.url)
        try:
            _, writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError as error:
            raise LinkLost(str(error)) from error
        writer.close()
        await super().run(ctx)


class TimesEachByte(Good):
    async def answer(self):
        line = b""
        while not line.endswith(b"\n"):
            async with asyncio.timeout(self.timeout_s):
                line += await self.reader.readexactly(1)
        return line


class TakesLateBatches(Good):
    """The first request has all tags but the last, a line each."""

    def plan(self, device, tags):
        parts = [each for each in (tags[:-1], tags[-1:]) if each]
        return [Request(Block(device.id, part), [tag.spec.source.word for tag in part], part[0].path) for part in parts]

    async def read(self, request):
        if self.writer is None:
            raise LinkLost("closed")
        self.writer.write("".join(f"{word}?\n" for word in request.detail).encode())
        try:
            texts = [(await self.answer()).decode("utf-8", "replace").strip() for _ in request.detail]
        except (OSError, EOFError) as error:
            raise DeviceUnavailable("no answer") from error
        return Columns([raw_of(tag.spec, text) for tag, text in zip(request.block.tags, texts, strict=True)])

    async def failed(self):
        pass


class TakesLateAnswers(Good):
    async def failed(self):
        pass


class HasATypo(Good):
    async def read(self, request):
        return await super().reed(request)


class WrongCount(Good):
    async def read(self, request):
        columns = await super().read(request)
        return Columns([*columns.values, 1.0])


class WrongType(Good):
    async def read(self, request):
        columns = await super().read(request)
        return Columns([str(columns.values[0])])


class TimesInSeconds(Good):
    async def read(self, request):
        columns = await super().read(request)
        return Columns(columns.values, ts=int(time.time()))


class StrangeErrors(Good):
    async def read(self, request):
        answer = await self.exchange(f"{request.detail}?")
        return Columns([float(answer) if request.block.tags[0].path != "count" else int(answer)])


class NotTheContractsError(Good):
    async def exchange(self, line):
        if self.writer is None:
            raise LinkLost("closed")
        self.writer.write(f"{line}\n".encode())
        return (await self.answer()).decode("utf-8", "replace").strip()


class KeepsEverything(Good):
    async def answer(self):
        line = b""
        async with asyncio.timeout(self.timeout_s):
            while b"\n" not in line:
                line += await self.reader.read(65536) or _end()
        return line


def _end():
    raise EOFError


class KeepsALongQueue(Good):
    """A task reads ahead into a queue without a bound."""

    async def connect(self, ctx):
        await super().connect(ctx)
        self.queue = asyncio.Queue()
        self.task = ctx.task_group.create_task(self.ahead(self.reader))

    async def close(self):
        if self.writer is not None:
            self.task.cancel()
        await super().close()

    async def ahead(self, reader):
        while data := await reader.read(65536):
            self.queue.put_nowait(data)

    async def answer(self):
        async with asyncio.timeout(self.timeout_s):
            data = b""
            while not data.endswith(b"\n"):
                await asyncio.sleep(0.01)
                while not self.queue.empty() and self.queue.qsize() < 5:
                    data += self.queue.get_nowait()
        return data


class SendsBeforeItRefuses(Good):
    async def write(self, device, tag, value):
        await self.exchange("TEMP?")
        await super().write(device, tag, value)


class WritesAnything(Good):
    async def write(self, device, tag, value):
        await self.exchange(f"{tag.spec.source.word} {value}")


class WritesSomethingElse(Good):
    async def write(self, device, tag, value):
        await super().write(device, tag, value + 1 if isinstance(value, float) else value)


class CannotBeClosedTwice(Good):
    async def close(self):
        self.writer.close()
        self.writer = None


class KnocksWithoutAPause(Good):
    """A retry of its own in `connect`, instead of LinkLost."""

    async def connect(self, ctx):
        for _ in range(40):
            try:
                await super().connect(ctx)
                await self.exchange("TEMP?")
                return
            except LinkLost:
                await self.close()
        raise LinkLost("refused")


class LetsErrorsEscape(Good):
    async def read(self, request):
        asyncio.get_running_loop().call_soon(self.boom)
        return await super().read(request)

    def boom(self):
        raise KeyError("late")


class CountsBackwards(Good):
    def __init__(self):
        super().__init__()
        self.count = 10

    def counters(self):
        self.count -= 1
        return {"frames": self.count}


class ScansAnything(Good):
    async def scan(self, options):
        yield {"done": 1, "of": 1}


class TheSameTextTwice(Good):
    def plan(self, device, tags):
        requests = super().plan(device, tags)
        for request in requests:
            request.text = "read"
        return requests


def check_by_asking(channel):
    """A check that looks whether the device is there."""
    with socket.socket() as sock:
        sock.settimeout(0.2)
        sock.connect_ex(("127.0.0.1", 9))
    return ()


def check_strangely(channel):
    return ["no"] if channel else [Fault("", "")]


class Restamps(GoodPushing):
    def take(self, ctx, words):
        super().take(ctx, words)
        if words[:1] == ["PING"] and not getattr(self, "again", False):
            self.again = True
            ctx.task_group.create_task(self.repeat(ctx))

    async def repeat(self, ctx):
        device = ctx.devices[0]
        while True:
            await asyncio.sleep(0.1)
            ctx.publish(Block(device.id, device.tags[:1]), [21.3])


class OnlineBeforeItSpoke(GoodPushing):
    async def connected(self, ctx):
        ctx.online(ctx.devices[0].id)


class CrashesOnRubbish(GoodPushing):
    def take(self, ctx, words):
        if words[0] != "PING":
            _, _, value, ts = words
            super().take(ctx, ["VALUE", words[1], value, str(int(ts))])


class Returns(GoodPushing):
    async def run(self, ctx):
        try:
            await super().run(ctx)
        except LinkLost:
            return


class SaysNothing(GoodPushing):
    """Tries again by itself, with pauses, and tells nobody."""

    async def run(self, ctx):
        while True:
            try:
                await super().run(ctx)
            except LinkLost:
                await asyncio.sleep(0.3)


class KnocksAllTheTime(GoodPushing):
    async def run(self, ctx):
        while True:
            try:
                await super().run(ctx)
            except LinkLost as error:
                ctx.link(up=False, why=str(error))
                ctx.offline(ctx.devices[0].id, str(error))


class LeavesATask(GoodPushing):
    async def connected(self, ctx):
        async def forgotten():
            while not OVER.is_set():
                await asyncio.sleep(0.02)

        LEFT.append(asyncio.ensure_future(forgotten()))


class SwallowsItsEnd(GoodPushing):
    async def run(self, ctx):
        try:
            await super().run(ctx)
        except asyncio.CancelledError as error:
            raise DeviceUnavailable("cancelled") from error


class BadTimes(GoodPushing):
    def take(self, ctx, words):
        if words[0] == "VALUE":
            device = ctx.devices[0]
            ctx.online(device.id)
            ctx.publish(Block(device.id, device.tags[:1]), [21.3], ts=int(time.time()))
