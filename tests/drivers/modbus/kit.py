"""Small builders for tests of the Modbus driver: specs, tags, a context, a driver on a port."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from typing import Any

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.clock import SystemClock
from gateway.model import (
    Access,
    ChannelSpec,
    Device,
    DeviceSpec,
    Schedule,
    Tag,
    TagSpec,
    Transform,
    Value,
    ValueType,
)
from gateway.testing import DictMemory

_numbers = itertools.count()


class Context:
    """What the driver sees of the gateway when connect, plan, read and write are called directly."""

    def __init__(self, channel: ChannelSpec, devices: tuple[Device, ...]) -> None:
        self.channel = channel
        self.devices = devices
        self.clock = SystemClock()
        self.log = logging.LoggerAdapter(logging.getLogger("test"))
        self.memory = DictMemory()


def tag_spec(path: str, address: str | int, kind: str = "uint16", **options: Any) -> TagSpec:
    """A tag. Options of the kernel (transform fields, access, range) and of the driver may be mixed."""
    transform = {k: options.pop(k) for k in ("mask", "shift", "base", "scale", "offset", "invalid") if k in options}
    kernel = {
        k: options.pop(k)
        for k in ("access", "range", "report", "unit", "schedule", "scale_from", "wrap", "coherent")
        if k in options
    }
    if "access" in kernel:
        kernel["access"] = Access(kernel["access"])
    return TagSpec(
        path, ValueType(kind), TagSettings(address=address, **options), transform=Transform(**transform), **kernel
    )


def device_of(specs: list[TagSpec], id: str = "dev", unit_id: int = 1, **options: Any) -> Device:
    settings = DeviceSettings(unit_id=unit_id, **options)
    spec = DeviceSpec(id, settings, tuple(specs), Schedule(1.0))
    return Device(id, "line", spec, tuple(Tag(id, s.path, next(_numbers), next(_numbers), s) for s in specs))


def channel_of(
    *devices: Device, port: int | dict[str, Any] = 502, timeout_s: float = 1.0, **options: Any
) -> ChannelSpec:
    """A channel to a TCP port of this machine, or to what `port` says in the channel's own words."""
    where = {"url": f"tcp://127.0.0.1:{port}"} if isinstance(port, int) else port
    settings = ChannelSettings(**where, **options)
    return ChannelSpec("line", "modbus", settings, tuple(d.spec for d in devices), timeout_s=timeout_s)


@contextlib.asynccontextmanager
async def driver_on(channel: ChannelSpec, *devices: Device) -> AsyncIterator[ModbusDriver]:
    """A connected driver, closed at the end."""
    driver = ModbusDriver()
    await driver.connect(Context(channel, devices))  # type: ignore[arg-type]
    try:
        yield driver
    finally:
        await driver.close()
        await asyncio.sleep(0)  # lets the transport report its end before the loop closes


async def read_all(driver: ModbusDriver, device: Device) -> dict[str, Value]:
    """Every tag of the device by path, read with as many requests as planned."""
    found: dict[str, Value] = {}
    for request in driver.plan(device, device.tags):
        columns = await driver.read(request)
        found.update(zip([tag.path for tag in request.block.tags], columns.values, strict=True))
    return found
