"""Virtual tags without a device behind them: what the gateway computes or is told, under a device's name."""

from __future__ import annotations

from drivers.virtual.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    from drivers.virtual.driver import VirtualDriver

    return VirtualDriver()


SPEC = DriverSpec(
    name="virtual",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
)
