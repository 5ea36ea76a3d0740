"""One advert as it was heard, and what the same device said before."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from msgspec import Struct

from drivers.ble.uuids import short

_MAC = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}\Z")
_NAME, _COMPANY, _SERVICE16, _SERVICE128 = 0x09, 0xFF, 0x16, 0x21
"""AD types of the Bluetooth Core Specification Supplement, part A."""


class Advert(Struct, frozen=True):
    """`address` in capitals. `rssi` in dBm. `manufacturer`: data by company, `service`: data by long UUID; `uuids`:
    services that are listed. `ts`: UTC ms, `mono`: boot-clock seconds when it was heard. `public`: the address is
    registered; else its two top bits tell how long it lasts. `connectable` is not told by BlueZ.
    """

    address: str
    name: str
    rssi: int
    tx_power: int | None
    manufacturer: Mapping[int, bytes]
    service: Mapping[str, bytes]
    uuids: tuple[str, ...]
    ts: int
    mono: float
    public: bool = True

    @property
    def lasting(self) -> bool:
        """Whether the address stays: public or static random (Core Specification, volume 6, part B, 1.3)."""
        return self.public or int(self.address[:2], 16) >> 6 == 0b11

    @property
    def content(self) -> tuple[object, ...]:
        """What two adverts with the same data share."""
        return (tuple(self.manufacturer.items()), tuple(self.service.items()), self.name, self.uuids)


def mac_of(text: str) -> str:
    """A device address in capitals. Raises ValueError."""
    mac = text.strip().upper().replace("-", ":")
    if not _MAC.match(mac):
        raise ValueError(f"{text!r} is no device address")
    return mac


def changed(new: Advert, old: Advert | None) -> Advert:
    """The part of `new` that was sent now. BlueZ gives a device's data as a whole, also what came in an earlier advert:
    what stayed the same while something else changed was not sent again.
    """
    if old is None:
        return new
    manufacturer = {key: data for key, data in new.manufacturer.items() if old.manufacturer.get(key) != data}
    service = {key: data for key, data in new.service.items() if old.service.get(key) != data}
    if not manufacturer and not service:
        return new
    return Advert(
        new.address, new.name, new.rssi, new.tx_power, manufacturer, service, new.uuids, new.ts, new.mono, new.public
    )


def on_air(advert: Advert) -> bytes:
    """The data as AD structures: length, type, data."""
    parts = [struct.pack("<BH", _COMPANY, company) + data for company, data in advert.manufacturer.items()]
    for uuid, data in advert.service.items():
        number = short(uuid)
        if len(number) == 4:
            parts.append(bytes([_SERVICE16]) + bytes.fromhex(number)[::-1] + data)
        else:
            parts.append(bytes([_SERVICE128]) + bytes.fromhex(uuid.replace("-", ""))[::-1] + data)
    if advert.name:
        parts.append(bytes([_NAME]) + advert.name.encode())
    return b"".join(bytes([min(len(part), 255)]) + part for part in parts)
