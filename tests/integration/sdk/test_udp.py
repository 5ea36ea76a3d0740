"""The checks, and their proxy, with a protocol over UDP: a good driver passes, one that takes any answer does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from msgspec.structs import replace

from gateway.conformance.checks import CHECKS
from gateway.driver import Columns, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.model import Block
from gateway.testing import Bench, examine
from gateway.textvalues import raw_of
from gateway.transform import to_raw
from tests.integration.sdk.lines import VALUES, Keys, channel, spec_of


class _Server(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.values = dict(VALUES)

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        number, _, line = data.decode("ascii", "replace").partition(" ")
        word, _, value = line.partition(" ")
        if value and word in self.values:
            self.values[word] = value
        self.transport.sendto(f"{number} {self.values.get(word, 'ERR')}".encode(), addr)


@contextlib.asynccontextmanager
async def peer() -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Server, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


class _Answers(asyncio.DatagramProtocol):
    """The answer to the request that is out; everything else is dropped."""

    def __init__(self) -> None:
        self.number = b""
        self.waiting: asyncio.Future[str] | None = None

    def datagram_received(self, data, addr) -> None:
        number, _, text = data.partition(b" ")
        if number == self.number and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(text.decode("utf-8", "replace"))

    def error_received(self, exc) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(LinkLost(str(exc)))


class Datagrams(PollingDriver):
    transport = None

    async def connect(self, ctx) -> None:
        host, port = ctx.channel.settings.url.removeprefix("udp://").split(":")
        self.timeout_s, self.count = ctx.channel.timeout_s, 0
        self.transport, self.answers = await asyncio.get_running_loop().create_datagram_endpoint(
            _Answers, remote_addr=(host, int(port))
        )
        try:
            await self.exchange("TEMP")
        except DeviceUnavailable as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def plan(self, device, tags):
        return [Request(Block(device.id, [tag]), tag.spec.source.word, tag.path) for tag in tags]

    async def read(self, request):
        return Columns([raw_of(request.block.tags[0].spec, await self.exchange(request.detail))])

    async def write(self, device, tag, value) -> None:
        await self.exchange(f"{tag.spec.source.word} {to_raw(tag.spec, value)}")

    async def exchange(self, line: str) -> str:
        if self.transport is None:
            raise LinkLost("closed")
        self.count += 1
        self.answers.number = str(self.count).encode()
        self.answers.waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.timeout_s):
                self.transport.sendto(f"{self.count} {line}".encode())
                return await self.answers.waiting
        except TimeoutError as error:
            raise DeviceUnavailable(f"{line}: no answer") from error


class TakesAny(_Answers):
    def datagram_received(self, data, addr) -> None:
        super().datagram_received(self.number + b" " + data.partition(b" ")[2], addr)


class OutOfStep(Datagrams):
    """Takes any datagram for the answer."""

    async def connect(self, ctx) -> None:
        await super().connect(ctx)
        self.answers.__class__ = TakesAny


async def examined(create, *only):
    async with Bench() as bench:
        there = channel(await bench.peer(peer), writable=True)
        there = replace(there, settings=Keys(there.settings.url.replace("tcp:", "udp:")))
        return await examine(spec_of(create), there, udp=True, writes={"d.set": 7.5}, only=only)


async def test_a_good_driver_over_udp_has_no_finding():
    report = await examined(Datagrams, *(check.name for check in CHECKS if check.name != "garbage"))
    assert report.findings == []
    assert set(report.skipped) >= {"trickle", "cut", "flood", "back-off"}
    assert {"silence", "late", "half", "away-and-back", "leaks", "unreachable"}.isdisjoint(report.skipped)


async def test_a_driver_that_takes_any_datagram_for_the_answer_is_found():
    report = await examined(OutOfStep, "read", "late")
    assert report.failed == ["late"], report.findings
