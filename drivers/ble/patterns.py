"""What a passive scan listens for: BlueZ wants to know how the data begins."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.ble.address import InAdvert, Source
from drivers.ble.parsers import BTHOME, RUUVI
from drivers.ble.station import Station
from drivers.ble.uuids import short

_COMPANY, _SERVICE16, _SERVICE128, _NAME, _FLAGS_TYPE = 0xFF, 0x16, 0x21, 0x09, 0x01
_FLAGS = (b"\x02", b"\x04", b"\x05", b"\x06", b"\x1a")
"""The flags that devices set: what else there is is heard by them."""


def patterns_of(stations: Iterable[Station]) -> list[tuple[int, bytes]]:
    """(AD type, beginning of its data), each once."""
    found = {(_FLAGS_TYPE, flags): None for flags in _FLAGS}
    for station in stations:
        for source in _sources(station):
            found[_pattern(source)] = None
        if station.matcher is not None and station.matcher.name:
            found[_NAME, station.matcher.name.encode()] = None
    return list(found)


def _sources(station: Station) -> Iterable[Source]:
    yield from (address.frame.source for address in station.decoder.addresses if isinstance(address, InAdvert))
    if station.settings.kind == "bthome":
        yield Source(service=BTHOME)
    if station.settings.kind == "ruuvi":
        yield Source(company=RUUVI)
    matcher = station.matcher
    if matcher is not None and matcher.company is not None:
        yield Source(company=matcher.company)
    if matcher is not None and matcher.service:
        yield Source(service=matcher.service)


def _pattern(source: Source) -> tuple[int, bytes]:
    if source.company is not None:
        return _COMPANY, source.company.to_bytes(2, "little")
    number = short(source.service)
    if len(number) == 4:
        return _SERVICE16, bytes.fromhex(number)[::-1]
    return _SERVICE128, bytes.fromhex(source.service.replace("-", ""))[::-1]
