"""Signal generator: a driver without a wire, for demos, tests and as an example of a polling driver."""

from __future__ import annotations

from drivers.sim.check import check
from drivers.sim.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    from drivers.sim.driver import SimDriver

    return SimDriver()


SPEC = DriverSpec(
    name="sim",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
)
