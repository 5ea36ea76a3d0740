"""A third-party driver that misbehaves on purpose, installed like any other: by an entry point.

The channel's key `behaviour` says how. It publishes once a second until `after` seconds have passed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import msgspec

from gateway.driver import Driver, DriverContext, DriverSpec
from gateway.model import Block


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    behaviour: str
    after: float = 1.0


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Tag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Naughty:
    async def run(self, ctx: DriverContext) -> None:
        settings = ctx.channel.settings
        for device in ctx.devices:
            ctx.online(device.id)
            ctx.publish(Block(device.id, device.tags), [1.0] * len(device.tags))
        await asyncio.sleep(settings.after)
        await misbehave(settings.behaviour)


async def misbehave(behaviour: str) -> None:
    if behaviour == "raise":
        raise RuntimeError("planted")
    if behaviour == "return":
        return
    if behaviour == "cancel":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
    if behaviour == "exit":
        sys.exit(3)
    if behaviour == "die":
        os.kill(os.getpid(), 9)
    if behaviour == "block" and os.environ.get("NAUGHTY_BLOCKS") == "1":
        time.sleep(3600)  # what no event loop can defend itself against
    await asyncio.Event().wait()


def create() -> Driver:
    return Naughty()


SPEC = DriverSpec(name="naughty", channel=Channel, device=Device, tag=Tag, create=create)
