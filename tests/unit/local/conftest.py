"""A local server on a real socket in a temporary directory, with a few small ops."""

import asyncio
import contextlib
import logging

import pytest

from gateway.errors import WriteRejected
from gateway.local.server import Handler, Limits, LocalServer
from gateway.local.wire import OpError

LOG = logging.getLogger("fieldpost.local")


class Ops:
    """Handlers with switches that a test holds."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.finished = 0
        self.streams_open = 0
        self.produced = 0
        self.flood = 0
        self.refusals = 0

    async def echo(self, args):
        return args

    async def wait(self, args):
        await self.gate.wait()
        self.finished += 1
        return args

    async def crash(self, _args):
        raise ZeroDivisionError("secret of the house")

    async def refuse(self, _args):
        raise WriteRejected("out of range", code=403)

    async def missing(self, _args):
        raise OpError("no such tag", code=404)

    async def cancelled(self, _args):
        raise asyncio.CancelledError

    async def count(self, args):
        for i in range(args.get("n", 3)):
            yield {"i": i}

    async def refused(self, _args):
        self.refusals += 1
        raise OpError("not now " * 1000, code=503)
        yield

    async def ticks(self, args):
        self.streams_open += 1
        try:
            while True:
                for _ in range(args.get("burst", 1)):
                    self.produced += 1
                    yield {"i": self.produced, "pad": "x" * args.get("pad", 0)}
                await asyncio.sleep(0)
        finally:
            self.streams_open -= 1

    def table(self):
        return {
            "echo": Handler(self.echo),
            "wait": Handler(self.wait),
            "crash": Handler(self.crash),
            "refuse": Handler(self.refuse),
            "missing": Handler(self.missing),
            "cancelled": Handler(self.cancelled),
            "count": Handler(self.count, stream=True),
            "refused": Handler(self.refused, stream=True),
            "ticks": Handler(self.ticks, stream=True),
            "named": Handler(self.echo, caller=True),
            "operate": Handler(self.echo, scope="operate"),
            "admin": Handler(self.echo, scope="admin"),
            "asked": Handler(self.echo, scope_of=lambda args: str(args.get("scope", "read"))),
        }


@contextlib.asynccontextmanager
async def serving(path, ops, **limits):
    """A running server; ends with the block."""
    server = LocalServer(path, ops.table(), LOG, Limits(**limits))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        async with asyncio.timeout(10):
            await server.listening.wait()
        try:
            yield server
        finally:
            task.cancel()


@pytest.fixture
async def ops():
    return Ops()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fieldpost.sock"
