"""Channels to an agent, and a driver at work on one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.snmp.driver import SnmpDriver
from drivers.snmp.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.model import Access, ChannelSpec, DeviceSpec, Quality, Schedule, TagSpec, ValueType
from gateway.testing import FakeContext

OWN = "1.3.6.1.4.1.32473.1"


def tag(path: str, oid: str, kind: str = "int32", syntax: Any = "auto", access: str = "r") -> TagSpec:
    return TagSpec(path, ValueType(kind), TagSettings(oid, syntax), access=Access(access))


def channel(port: int, *tags: TagSpec, timeout_s: float = 5.0, **keys: Any) -> ChannelSpec:
    device = DeviceSpec("bench", DeviceSettings(), tags, Schedule(0.1))
    settings = ChannelSettings(f"udp://127.0.0.1:{port}", **keys)
    return ChannelSpec("line", "snmp", settings, (device,), timeout_s=timeout_s)


@asynccontextmanager
async def at_work(spec: ChannelSpec) -> AsyncIterator[tuple[SnmpDriver, FakeContext]]:
    async with FakeContext(spec) as context:
        driver = SnmpDriver()
        try:
            await driver.connect(context)
            yield driver, context
        finally:
            await driver.close()


async def read(driver: SnmpDriver, context: FakeContext) -> dict[str, tuple[Any, int]]:
    """Value and quality of each tag of the first device."""
    found: dict[str, tuple[Any, int]] = {}
    for request in driver.plan(context.devices[0], context.devices[0].tags):
        columns = await driver.read(request)
        codes = columns.quality or [int(Quality.GOOD)] * len(columns.values)
        pairs = zip(columns.values, map(int, codes), strict=True)
        found |= dict(zip([tag.path for tag in request.block.tags], pairs, strict=True))
    return found
