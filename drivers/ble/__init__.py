"""Bluetooth LE driver. Importing this loads settings and checks only; bleak is imported when a channel starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.ble.check import check
from drivers.ble.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec, Endpoint

if TYPE_CHECKING:
    from gateway.rehearsal import Rehearsal


def _endpoint(settings: ChannelSettings) -> Endpoint | None:
    """A radio has one owner: BlueZ scans for a program once, and the connections are counted together."""
    return Endpoint(f"bluetooth:{settings.adapter or 'the first adapter'}", 1, "adapter")


def _create() -> Driver:
    from drivers.ble.driver import BleDriver

    return BleDriver()


def _rehearsal() -> Rehearsal:
    from drivers.ble.rehearsing import rehearsal

    return rehearsal()


SPEC = DriverSpec(
    name="ble",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    endpoint=_endpoint,
    rehearsal=_rehearsal,
    # the readers of formats as well: made on the way, their libraries would hold up the event loop
    imports=("drivers.ble.driver", "drivers.ble.bthomeparser", "drivers.ble.ruuviparser"),
    needs=(("bleak", "pip install 'fieldpost[ble]'"),),
)
