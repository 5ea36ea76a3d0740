"""Answers to reads on demand: a characteristic is read now, of adverts there is what was heard last, with its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.ble.address import Address, AddressError, InAdvert, InGatt, Parsed, Radio, address_of
from drivers.ble.station import Station
from gateway.driver import Columns
from gateway.errors import DeviceUnavailable, RequestRefused
from gateway.model import Quality, Tag, Value

Answer = tuple[Value, int, int]
"""Value, quality code, UTC ms."""


def addresses_of(station: Station, tags: Sequence[Tag]) -> list[Address]:
    """Addresses of tags, configured or only tried. Raises RequestRefused."""
    settings = station.settings
    try:
        return [address_of(tag.spec, settings.kind, settings.frames) for tag in tags]
    except AddressError as error:
        raise RequestRefused(str(error)) from error


def heard_last(station: Station, tag: Tag, address: Address) -> Answer:
    """What a device said last of a tag. Raises DeviceUnavailable when it has not been heard."""
    for i, own in enumerate(station.device.tags):
        if own is tag and i in station.hearing.stale:
            return None, int(Quality.BAD_STALE), station.last.ts if station.last is not None else 0
        if own is tag and (known := station.reporter.last(i)) is not None:
            (_, value, code), ts = known
            return value, code, ts
    if station.last is None:
        raise DeviceUnavailable(f"{station.device.id} has not been heard yet")
    raw, ts = _raw(station, address)
    _, value, code = station.decoder.single(tag, raw)
    return value, code, ts


def _raw(station: Station, address: Address) -> tuple[Any, int]:
    """The raw value in what was heard last, None when it is not in it."""
    advert = station.last
    assert advert is not None
    if isinstance(address, Radio):
        return advert.ts if address.what == "last_seen" else getattr(advert, address.what), advert.ts
    if isinstance(address, Parsed):
        return station.measured.get(address.key, (None, advert.ts))
    if isinstance(address, InAdvert):
        source = address.frame.source
        data = advert.service.get(source.service) if source.company is None else advert.manufacturer.get(source.company)
        if data is not None and address.frame.holds(data):
            return address.field.read(data), advert.ts
    return None, advert.ts


def columns(answers: Sequence[Answer]) -> list[Columns]:
    """Answers as columns, one for each time."""
    times = sorted({ts for _, _, ts in answers})
    return [_at(ts, [(i, each) for i, each in enumerate(answers) if each[2] == ts]) for ts in times]


def _at(ts: int, rows: Sequence[tuple[int, Answer]]) -> Columns:
    codes = [code for _, (_, code, _) in rows]
    return Columns([value for _, (value, _, _) in rows], codes if any(codes) else None, [i for i, _ in rows], ts)


def in_gatt(tags: Sequence[Tag], addresses: Sequence[Address]) -> list[tuple[Tag, InGatt]]:
    """Those that are read over a connection."""
    return [(tag, address) for tag, address in zip(tags, addresses, strict=True) if isinstance(address, InGatt)]
