"""The virtual driver. Computed values come from the rules engine; here memory tags take what is written to them."""

from __future__ import annotations

import asyncio

from gateway.driver import DriverContext
from gateway.errors import DeviceUnavailable
from gateway.model import Block, Device, Tag, Value, ValueType

_FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}


class VirtualDriver:
    """A pushing driver whose devices are always there."""

    def __init__(self) -> None:
        self._ctx: DriverContext | None = None
        self._blocks: dict[str, Block] = {}

    async def run(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        for device in ctx.devices:
            ctx.online(device.id)
        await asyncio.Event().wait()

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """The tag has this value from now on."""
        if self._ctx is None:
            raise DeviceUnavailable("the driver is not running")
        block = self._blocks.setdefault(tag.name, Block(device.id, (tag,)))
        self._ctx.publish(block, [float(value) if isinstance(value, int) and tag.spec.type in _FLOATS else value])
