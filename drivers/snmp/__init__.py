"""Driver snmp: agents of SNMP v2c and v3 over UDP, with GET, SET and GETBULK."""

from __future__ import annotations

from drivers.snmp.check import check
from drivers.snmp.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    # Imported when a channel runs: looking at a configuration must not load the protocol library.
    from drivers.snmp.driver import SnmpDriver

    return SnmpDriver()


SPEC = DriverSpec(
    name="snmp",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    imports=("pysnmp.entity.config", "pysnmp.entity.rfc3413.cmdgen", "cryptography.hazmat.primitives.ciphers"),
    needs=(("pysnmp", "pip install 'fieldpost[snmp]'"),),
)

__all__ = ["SPEC"]
