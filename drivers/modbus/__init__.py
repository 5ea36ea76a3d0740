"""Modbus driver. Importing this loads settings and checks only; pymodbus is imported when a channel starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drivers.modbus.check import check
from drivers.modbus.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec, Endpoint
from gateway.model import ChannelSpec

if TYPE_CHECKING:
    from gateway.rehearsal import Rehearsal


def _endpoint(settings: ChannelSettings) -> Endpoint | None:
    from drivers.modbus.opening import endpoint_of

    return endpoint_of(settings)


async def _simulate(channel: ChannelSpec, options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    from drivers.modbus.simulator.console import simulate

    await simulate(channel, options, tell)


def _create() -> Driver:
    from drivers.modbus.driver import ModbusDriver

    return ModbusDriver()


def _rehearsal() -> Rehearsal:
    from drivers.modbus.rehearsing import rehearsal

    return rehearsal()


SPEC = DriverSpec(
    name="modbus",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    endpoint=_endpoint,
    rehearsal=_rehearsal,
    simulate=_simulate,
    needs=(("pymodbus", "pip install 'fieldpost[modbus]'"),),
)
