"""A desk of commands over a real store that can be killed, and a plant that notes what is done to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from gateway.runtime.commandlog import CommandLog
from gateway.testing import ManualClock
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.commands import CommandMessage
from gateway.uplink.ports import Caller
from tests.unit.store.kit import opened
from tests.unit.uplink.memory_table import BOOT, nothing_shown


class Plant:
    """What commands act on: each call is noted; a gate holds those of a device until it opens."""

    def __init__(self):
        self.done = []
        self.began = []
        self.callers = []
        self.gates = {}
        self.error = None

    async def __call__(self, op, device, args, caller):
        self.began.append((op, device))
        self.callers.append(caller)
        if device in self.gates:
            await self.gates[device].wait()
        if self.error is not None:
            raise self.error
        self.done.append((op, device, dict(args)))
        return {"out": {"count": len(self.done)}}

    def hold(self, *devices):
        for device in devices:
            self.gates[device] = asyncio.Event()


class Bench:
    """A desk over a store that can be killed and opened again."""

    def __init__(self, tmp_path, clock=None):
        self.path = tmp_path / "state"
        self.clock = clock or ManualClock()
        self.plant = Plant()
        self.look = nothing_shown
        self.boot = BOOT

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CommandDesk]:
        """From start to kill: nothing that was not committed survives."""
        store = opened(self.path, self.clock)
        desk = CommandDesk(CommandLog(store), self.plant, self.look, self.clock, self.boot)
        desk.restore()
        committing = asyncio.ensure_future(self._commit(store))
        serving = asyncio.ensure_future(desk.run())
        await asyncio.sleep(0)
        try:
            yield desk
        finally:
            serving.cancel()
            committing.cancel()
            await asyncio.gather(serving, committing, return_exceptions=True)
            store.abandon()

    @staticmethod
    async def _commit(store):
        while True:  # the store's own schedule is on the manual clock
            await store.commit()
            await asyncio.sleep(0.001)


def command(rid="c1", op="write", device="pump", **more):
    args = more.pop("args", {"values": {"speed": 1}})
    return CommandMessage(1, rid, op, device, args, **more)


CLOUD = Caller("cloud", uplink="cloud")


async def ask(desk, *args, **more):
    return json.loads(await desk.ask(command(*args, **more), CLOUD))
