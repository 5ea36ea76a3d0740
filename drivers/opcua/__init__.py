"""OPC UA client driver. Importing this loads settings and checks only; asyncua is imported when a channel starts."""

from __future__ import annotations

from drivers.opcua.check import check
from drivers.opcua.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec
from gateway.errors import PermanentError


def _create() -> Driver:
    try:
        from drivers.opcua.driver import OpcUaDriver
    except ModuleNotFoundError as error:
        if error.name != "asyncua":
            raise
        raise PermanentError("OPC UA needs asyncua: pip install 'fieldpost[opcua]'") from error
    return OpcUaDriver()


SPEC = DriverSpec(
    name="opcua",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    scans_alone=True,
    imports=("drivers.opcua.driver",),
    needs=(("asyncua", "pip install 'fieldpost[opcua]'"),),
)
