"""Modbus driver. Importing this loads settings and checks only; pymodbus is imported when a channel starts."""

from __future__ import annotations

from drivers.modbus.check import check
from drivers.modbus.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    from drivers.modbus.driver import ModbusDriver

    return ModbusDriver()


SPEC = DriverSpec(
    name="modbus",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
)
