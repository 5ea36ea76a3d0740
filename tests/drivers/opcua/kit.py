"""Channels of the OPC UA driver, and a driver at work in a recording context."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from drivers.opcua import SPEC
from drivers.opcua.driver import OpcUaDriver
from drivers.opcua.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.fake_context import FakeContext
from gateway.model import ChannelSpec, Device, DeviceSpec, Schedule, Tag, TagSpec, Value, ValueType
from tests.support.opcua_plant import LINE


def tag_spec(path: str, address: str | None = None, kind: str = "float64", **more: Any) -> TagSpec:
    """A tag of the plant's line unless `address` says another."""
    source = {key: more.pop(key) for key in ("queue", "sampling") if key in more}
    written = f"nsu={LINE};s=Line.{path}" if address is None else address
    return TagSpec(path, ValueType(kind), TagSettings(written, **source), **more)


def channel_of(
    url: str, tags: Sequence[TagSpec], *, every_s: float = 0.1, device: DeviceSettings | None = None, **settings: Any
) -> ChannelSpec:
    spec = DeviceSpec("line", device or DeviceSettings(), tuple(tags), Schedule(every_s))
    return ChannelSpec("plant", "opcua", ChannelSettings(url=url, **settings), (spec,), timeout_s=3.0, probe_s=5.0)


@contextlib.asynccontextmanager
async def at_work(
    channel: ChannelSpec, ctx: FakeContext | None = None
) -> AsyncIterator[tuple[FakeContext, OpcUaDriver]]:
    """The driver runs while the block lasts."""
    async with ctx or FakeContext(channel) as context:
        driver = SPEC.create()
        assert isinstance(driver, OpcUaDriver)
        task = context.task_group.create_task(driver.run(context))
        try:
            yield context, driver
        finally:
            task.cancel()


async def asked(driver: OpcUaDriver, device: Device, *tags: Tag) -> list[Value]:
    """What the driver answers when it is asked for these tags, in their order."""
    found: dict[int, Value] = {}
    for columns in await driver.ask(device, tags):
        found.update(zip(columns.index or (), columns.values, strict=True))
    return [found[place] for place in range(len(tags))]
