"""Names of objects that most agents have, for browsing (RFC 1213, 2863, 1628, 2790, 3433)."""

from __future__ import annotations

from drivers.snmp.oid import Oid, oid_of, text_of

_SYSTEM = "sysDescr sysObjectID sysUpTime sysContact sysName sysLocation sysServices"
_IF = (
    "ifIndex ifDescr ifType ifMtu ifSpeed ifPhysAddress ifAdminStatus ifOperStatus ifLastChange "
    "ifInOctets ifInUcastPkts ifInNUcastPkts ifInDiscards ifInErrors ifInUnknownProtos "
    "ifOutOctets ifOutUcastPkts ifOutNUcastPkts ifOutDiscards ifOutErrors"
)
_IFX = (
    "ifName ifInMulticastPkts ifInBroadcastPkts ifOutMulticastPkts ifOutBroadcastPkts ifHCInOctets ifHCInUcastPkts "
    "ifHCInMulticastPkts ifHCInBroadcastPkts ifHCOutOctets ifHCOutUcastPkts"
)
_UPS_BATTERY = (
    "upsBatteryStatus upsSecondsOnBattery upsEstimatedMinutesRemaining upsEstimatedChargeRemaining upsBatteryVoltage "
    "upsBatteryCurrent upsBatteryTemperature"
)
_TABLES = {
    "1.3.6.1.2.1.1": _SYSTEM,
    "1.3.6.1.2.1.2.2.1": _IF,
    "1.3.6.1.2.1.31.1.1.1": _IFX,
    "1.3.6.1.2.1.33.1.1": "upsIdentManufacturer upsIdentModel upsIdentUPSSoftwareVersion upsIdentAgentSoftwareVersion",
    "1.3.6.1.2.1.33.1.2": _UPS_BATTERY,
    "1.3.6.1.2.1.25.1": "hrSystemUptime hrSystemDate",
    "1.3.6.1.2.1.99.1.1.1": "entPhySensorType entPhySensorScale entPhySensorPrecision entPhySensorValue",
}
_NAMES: dict[Oid, str] = {
    (*oid_of(table), number): name
    for table, names in _TABLES.items()
    for number, name in enumerate(names.split(), start=1)
}


def name_of(oid: Oid) -> str:
    """`sysUpTime` for a single object, `ifInOctets_2` for a row of a table; else the numbers."""
    for length in range(len(oid) - 1, 0, -1):
        name = _NAMES.get(oid[:length])
        if name is not None:
            rest = oid[length:]
            return name if rest == (0,) else "_".join([name, *map(str, rest)])
    return "oid_" + text_of(oid).replace(".", "_")
