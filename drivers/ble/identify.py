"""What an advert of a device that nobody configured seems to be, and the keys that would configure it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from drivers.ble.advert import Advert
from drivers.ble.parsers import BTHOME, RUUVI, Measured, parser_of
from drivers.ble.uuids import short, uuid_of
from gateway.errors import PermanentError

EDDYSTONE = uuid_of("feaa")
APPLE = 0x004C
_EDDYSTONE = {0x00: "eddystone_uid", 0x10: "eddystone_url", 0x20: "eddystone_tlm"}
_BEACON = bytes.fromhex("0215")
_NO_MEASUREMENTS = uuid_of("1800"), uuid_of("1801")


class Identity(Struct, frozen=True):
    """`what`: bthome, ruuvi, a profile of the library, gatt or advert. `keys` of the device, `tags` of its profile."""

    what: str
    keys: Mapping[str, Any]
    tags: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, Any]
    profile: str = ""


def identify(advert: Advert) -> Identity:
    """Never raises: what is not known is `gatt` when it lists services, else `advert`."""
    if BTHOME in advert.service:
        return _parsed("bthome", advert)
    if RUUVI in advert.manufacturer:
        return _parsed("ruuvi", advert)
    if beacon := _beacon(advert):
        return Identity(beacon, {"address": advert.address}, {}, {}, beacon)
    what = "gatt" if set(advert.uuids).difference(_NO_MEASUREMENTS) and not advert.service else "advert"
    return Identity(what, {"address": advert.address, "kind": what}, {}, {})


def properties(advert: Advert, identity: Identity) -> dict[str, str]:
    """What people know a device by, and rules match; nothing that changes with each advert."""
    shown = {"address": advert.address, "kind": identity.what, "name": advert.name}
    shown["services"] = ", ".join(sorted(short(uuid) for uuid in {*advert.uuids, *advert.service}))
    shown["manufacturer"] = ", ".join(f"0x{company:04x}" for company in sorted(advert.manufacturer))
    return {key: value for key, value in shown.items() if value}


def _parsed(kind: str, advert: Advert) -> Identity:
    keys: dict[str, Any] = {"address": advert.address, "kind": kind}
    try:
        found = parser_of(kind).measure(advert)
    except PermanentError:
        return Identity(kind, keys, {}, {})
    if kind == "bthome" and advert.service[BTHOME][:1] and advert.service[BTHOME][0] & 1:
        keys["key"] = "${credential:NAME}"
    return Identity(kind, keys, _tags(kind, found), found.values)


def _tags(kind: str, found: Measured) -> dict[str, dict[str, Any]]:
    tags: dict[str, dict[str, Any]] = {}
    for key, value in found.values.items():
        tag: dict[str, Any] = {"address": f"{kind}/{key}", "type": _type(value)}
        if unit := found.units.get(key):
            tag["unit"] = unit
        tags[key] = tag
    return tags


def _type(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "float64"


def _beacon(advert: Advert) -> str:
    frame = advert.service.get(EDDYSTONE)
    if frame:
        return _EDDYSTONE.get(frame[0], "")
    return "ibeacon" if advert.manufacturer.get(APPLE, b"").startswith(_BEACON) else ""
