"""The virtual driver. Computed values come from the rules engine; here memory tags take what is written to them."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from gateway.driver import DriverContext
from gateway.errors import DeviceUnavailable, WriteRejected
from gateway.model import IDENTITY, Block, Device, Tag, Value, ValueType
from gateway.transform import RAW, to_raw

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
        """The tag has this value from now on. Raises WriteRejected 422 for a number that its type cannot hold."""
        if self._ctx is None:
            raise DeviceUnavailable("the driver is not running")
        raw = RAW[tag.spec.type]
        if isinstance(value, int) and raw.bits > 1 and not raw.is_float and not raw.low <= value <= raw.high:
            raise WriteRejected(f"{tag.name}: {value} is beyond {raw.low} to {raw.high}", code=422)
        if raw.bits:
            to_raw(replace(tag.spec, transform=IDENTITY), value)
        block = self._blocks.setdefault(tag.name, Block(device.id, (tag,)))
        self._ctx.publish(block, [float(value) if isinstance(value, int) and tag.spec.type in _FLOATS else value])
