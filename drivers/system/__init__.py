"""The gateway's own machine as a device: processor, memory, disks, temperatures, clock, network, this process."""

from __future__ import annotations

from drivers.system.check import check
from drivers.system.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    from drivers.system.driver import SystemDriver

    return SystemDriver()


SPEC = DriverSpec(
    name="system",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
)
