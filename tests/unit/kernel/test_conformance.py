"""The conformance kit passes drivers that keep the contract and names what others break."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from msgspec.structs import replace

from gateway.driver import Columns, DriverContext, DriverSpec, PollingDriver, Request
from gateway.errors import LinkLost
from gateway.model import Block, ChannelSpec, Device, DeviceSpec, Schedule, Tag
from gateway.testing import FakeContext, check_driver
from tests.unit.kernel.kernel_world import tag_spec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""


class Loose(msgspec.Struct):
    url: str = ""


class Polling(PollingDriver):
    def __init__(self) -> None:
        self.open = False

    async def connect(self, ctx: DriverContext) -> None:
        if ctx.channel.settings.url == "nowhere":
            raise LinkLost("connection refused")
        self.open = True

    async def close(self) -> None:
        self.open = False

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        return [Request(Block(device.id, tags), None, f"all x {len(tags)}")] if tags else []

    async def read(self, request: Request) -> Columns:
        await asyncio.sleep(0)
        if not self.open:
            raise LinkLost("closed")
        return Columns([1] * len(request.block.tags))


class Pushing:
    async def run(self, ctx: DriverContext) -> None:
        device = ctx.devices[0]
        ctx.publish(Block(device.id, device.tags), [7] * len(device.tags))
        await asyncio.Event().wait()


CHANNEL = ChannelSpec(
    "line1",
    "own",
    Settings("here"),
    (DeviceSpec("a", None, (tag_spec("x"), tag_spec("y")), Schedule(0.05)),),
    timeout_s=0.2,
)
NOWHERE = replace(CHANNEL, settings=Settings("nowhere"))


def spec_of(create, **more) -> DriverSpec:
    return replace(DriverSpec("own", Settings, Settings, Settings, create), **more)


@pytest.mark.parametrize("driver", [Polling, Pushing])
async def test_a_driver_that_keeps_the_contract_passes(driver) -> None:
    assert await check_driver(spec_of(driver), CHANNEL, unreachable=NOWHERE) == []


def broken(**methods) -> type:
    return type("Broken", (Polling,), methods)


async def _hang(self, *_args) -> None:
    await asyncio.Event().wait()


async def _short(self, request):
    return Columns([1])


async def _odd(self, request):
    return Columns([1, object()], quality=[0, 7])


async def _always(self, request):
    return Columns([1, 2])


async def _return(self, ctx) -> None:
    ctx.publish(Block("a", ctx.devices[0].tags), [1, 2])


async def _close_raises(self) -> None:
    if not self.open:
        raise OSError("not open")
    self.open = False


async def _os_error(self, ctx) -> None:
    if ctx.channel.settings.url == "nowhere":
        raise OSError("connection refused")
    self.open = True


@pytest.mark.parametrize(
    ("create", "more", "found"),
    [
        (broken(plan=lambda self, device, tags: [Request(Block(device.id, tags[:1]), None, "one")]), {}, "each tag once"),
        (broken(read=_short), {}, "1 values for 2 tags"),
        (broken(read=_odd), {}, "unknown quality code"),
        (broken(read=_odd), {}, "values of type object"),
        (broken(read=_always), {}, "read after close gave values"),
        (broken(run=_return), {}, "run ended by itself"),
        (broken(close=_close_raises), {}, "close before connect raised OSError"),
        (broken(connect=_os_error), {}, "raised OSError: connection refused"),
        (Polling, {"tag": Loose}, "the tag settings are not frozen"),
        (Polling, {"contract": 99}, "contract 99"),
        (Polling, {"check": lambda channel: ["no"]}, "something else than Faults"),
    ],
)  # fmt: skip
async def test_a_broken_driver_is_named_for_what_it_breaks(create, more, found: str) -> None:
    violations = await check_driver(spec_of(create, **more), CHANNEL, unreachable=NOWHERE, patience_s=0.5)
    assert any(found in violation for violation in violations), violations


async def test_a_shared_driver_object_is_found() -> None:
    one = Polling()
    violations = await check_driver(spec_of(lambda: one), CHANNEL)
    assert "create gives the same object twice" in violations


async def test_the_fake_context_records_what_a_driver_does() -> None:
    async with FakeContext(CHANNEL) as context:
        context.online("a")
        context.online("b")
        context.online("a")
        context.offline("a", "gone")
        context.issue("auth", "refused", device="a")
        context.memory.put("k", 1)
        context.task_group.create_task(Polling().run(context))
        async with asyncio.timeout(10):
            while not context.batches:
                await asyncio.sleep(0)
    assert context.states == [("a", "online"), ("b", "online"), ("a", "offline: gone")], "a repeat is not told again"
    assert context.issues == {("auth", "a"): "refused"}
    assert context.latest()["a.x"] == (1, 0)
