"""The simulator as the peer of the conformance checks (`conformance` in quality.yaml)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from drivers.modbus.simulator.faults import Faults
from drivers.modbus.simulator.image import Image
from drivers.modbus.simulator.server import Server
from drivers.modbus.simulator.unit import Unit
from gateway.model import ChannelSpec


@contextlib.asynccontextmanager
async def serve(channel: ChannelSpec) -> AsyncIterator[int]:
    """Serve the devices of a channel, with values that stand still; gives the TCP port."""
    faults = Faults()
    units = {
        device.settings.unit_id: Unit(Image(channel, device, static=True), faults, device.profile)
        for device in channel.devices
    }
    async with Server(units, faults).tcp("127.0.0.1", 0) as port:
        yield port
