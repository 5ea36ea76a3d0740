"""Profiles of Bluetooth devices without a radio: adverts and characteristics as a case gives them.

`given`: `adverts`, a list of AD structures in hex (`{data: "...", rssi: -60}` says how strong it was heard), and
`gatt`, a mapping of characteristics to their values in hex. The last value of each tag counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from drivers.ble.address import AddressError, InAdvert, InGatt, Parsed, Radio, address_of
from drivers.ble.advert import Advert, mac_of
from drivers.ble.decoding import Decoder, Reading
from drivers.ble.fields import Field
from drivers.ble.match import matcher_of
from drivers.ble.parsers import Parser, belongs, parser_of
from drivers.ble.settings import DeviceSettings
from drivers.ble.uuids import uuid_of
from gateway.driver import Frame
from gateway.fake_context import bind_devices
from gateway.model import ChannelSpec, Device, Value
from gateway.rehearsal import GivenError, Place, Played, Rehearsal

_NOBODY = "C0:00:00:00:00:01"
_RSSI = -60
_FORM = 'adverts: ["0201060303AAFE..."]'
_GATT = 'gatt: {2a19: "64"}'
_MOST_ADVERTS = 8
"""Of a recording: the newest of those that differ."""
_MOST = 255
"""Bytes of an AD structure; extended adverts have no more in one piece."""
_NAMES, _LISTS, _SERVICE16, _SERVICE128, _COMPANY, _POWER = (8, 9), (2, 3), 0x16, 0x21, 0xFF, 0x0A
"""AD types of the Bluetooth Core Specification Supplement, part A."""


def rehearsal() -> Rehearsal:
    """Of this driver."""
    return Rehearsal({}, {"address": _NOBODY}, play, places, recall)


def play(channel: ChannelSpec, given: Mapping[str, Any]) -> Played:
    """The last value of each tag after these adverts and reads."""
    (device,) = bind_devices(channel)
    settings: DeviceSettings = device.spec.settings
    for key in given:
        if key not in {"adverts", "gatt"}:
            raise GivenError((key,), f"`{key}` is not known here", f"{_FORM} or {_GATT}")
    decoder = Decoder(device)
    parser = parser_of(settings.kind, settings.key) if settings.kind in {"bthome", "ruuvi"} else None
    found: dict[str, tuple[Value, int]] = {}
    for number, row in enumerate(_list(given)):
        place = ("adverts", number)
        advert = _advert(settings, row, place)
        _is_its_own(settings, advert, place)
        _put(found, device, _heard(settings.kind, decoder, parser, advert, place))
    _put(found, device, _read(decoder, given.get("gatt", {})))
    return Played(found)


def _put(found: dict[str, tuple[Value, int]], device: Device, readings: Iterable[Reading]) -> None:
    for i, value, code in readings:
        found[device.tags[i].path] = (value, code)


def _heard(
    kind: str, decoder: Decoder, parser: Parser | None, advert: Advert, place: tuple[str | int, ...]
) -> Iterator[Reading]:
    yield from decoder.radio(advert)
    yield from decoder.data(advert)
    if parser is not None:
        if not belongs(kind, advert):
            raise GivenError(place, "the advert has no data of this kind of device")
        measured = parser.measure(advert)
        if measured.refused:
            raise GivenError(place, f"the advert cannot be used: {measured.refused}")
        yield from decoder.measured(measured)


def _read(decoder: Decoder, rows: Any) -> Iterator[Reading]:
    if not isinstance(rows, dict):
        raise GivenError(("gatt",), "`gatt` is a mapping of characteristics", _GATT)
    for name, written in rows.items():
        service, _, last = str(name).rpartition("/")
        try:
            wanted = uuid_of(last)
            within = uuid_of(service) if service else ""
            data = bytes.fromhex(str(written))
        except ValueError as error:
            raise GivenError(("gatt", name), str(error), _GATT) from None
        tags = [
            (i, address)
            for i, address in decoder.in_gatt
            if address.characteristic == wanted and (not within or address.service in {"", within})
        ]
        if not tags:
            raise GivenError(("gatt", name), f"no tag reads the characteristic {name}")
        yield from (decoder.raw(i, address.field.read(data)) for i, address in tags)


def _list(given: Mapping[str, Any]) -> list[Any]:
    rows = given.get("adverts", [])
    if not isinstance(rows, list):
        raise GivenError(("adverts",), "`adverts` is a list", _FORM)
    return rows


def _is_its_own(settings: DeviceSettings, advert: Advert, place: tuple[str | int, ...]) -> None:
    if settings.match is not None and not matcher_of(settings.match)(advert):
        raise GivenError(place, "the profile's `match` does not fit this advert")


def _advert(settings: DeviceSettings, row: Any, place: tuple[str | int, ...]) -> Advert:
    data, rssi = (row.get("data"), row.get("rssi", _RSSI)) if isinstance(row, dict) else (row, _RSSI)
    if not isinstance(data, str) or not isinstance(rssi, int):
        raise GivenError(place, "an advert is a text of hex digits", _FORM)
    try:
        raw = bytes.fromhex(data)
    except ValueError:
        raise GivenError(place, "these are no hex digits", _FORM) from None
    name, power, manufacturer, service, uuids = "", None, {}, {}, []
    for kind, part in _structures(raw, place):
        if kind in _NAMES:
            name = part.decode("utf-8", "replace")
        elif kind in _LISTS:
            uuids += [uuid_of(part[i : i + 2][::-1].hex()) for i in range(0, len(part) - 1, 2)]
        elif kind == _SERVICE16:
            service[uuid_of(part[1::-1].hex())] = part[2:]
        elif kind == _SERVICE128:
            service[uuid_of(part[15::-1].hex())] = part[16:]
        elif kind == _COMPANY:
            manufacturer[int.from_bytes(part[:2], "little")] = part[2:]
        elif kind == _POWER and part:
            power = int.from_bytes(part[:1], "big", signed=True)
    address = mac_of(settings.address or _NOBODY)
    return Advert(address, name, rssi, power, manufacturer, service, tuple(uuids), 0, 0.0)


def _structures(raw: bytes, place: tuple[str | int, ...]) -> Iterator[tuple[int, bytes]]:
    """(AD type, data) of each structure."""
    while raw:
        length = raw[0]
        part = raw[2 : length + 1]
        needed = {_SERVICE16: 2, _SERVICE128: 16, _COMPANY: 2}.get(raw[1] if len(raw) > 1 else 0, 0)
        if not 1 <= length <= _MOST or len(raw) < length + 1 or len(part) < needed:
            raise GivenError(place, f"an AD structure of {length} bytes is cut", "length, type, data: 02 01 06")
        yield raw[1], part
        raw = raw[length + 1 :]


def recall(_channel: ChannelSpec, _device: str, frames: Sequence[Frame]) -> Mapping[str, Any]:
    """The different adverts, each as it was heard last, and the latest value of each characteristic."""
    adverts: dict[str, Any] = {}
    gatt: dict[str, str] = {}
    for frame in frames:
        words = frame.text.split()
        if frame.sending or len(words) < 2 or not frame.data:
            continue
        if words[1] in {"read", "notified"} and len(words) > 2:
            gatt[words[2].removeprefix("gatt/").partition("#")[0]] = frame.data.hex()
        elif words[2:3] == ["dBm"] and words[1].lstrip("-").isdecimal():
            data = frame.data.hex()
            adverts.pop(data, None)
            adverts[data] = {"data": data, "rssi": int(words[1])}
    found: dict[str, Any] = {"adverts": list(adverts.values())[-_MOST_ADVERTS:]} if adverts else {}
    return found | ({"gatt": gatt} if gatt else {})


def places(channel: ChannelSpec) -> Iterable[Place]:
    """Source and bytes of each tag."""
    (device,) = channel.devices
    settings: DeviceSettings = device.settings
    for spec in device.tags:
        try:
            address = address_of(spec, settings.kind, settings.frames)
        except AddressError:
            continue  # told when the profile is loaded
        if isinstance(address, InAdvert):
            frame = address.frame
            where = f"{frame.source.text} {frame.prefix.hex()} {frame.length} {frame.min_length}"
            yield _placed(spec.path, where, address.field)
        elif isinstance(address, InGatt):
            yield _placed(spec.path, address.text, address.field)
        elif isinstance(address, Parsed | Radio):
            yield Place(spec.path, str(address), form=spec.type.value)


def _placed(tag: str, where: str, field: Field) -> Place:
    bits = (
        ((1 << (field.high - field.low + 1)) - 1) << field.low
        if field.low is not None and field.high is not None
        else 0
    )
    form = f"{field.kind} {'be' if field.big else 'le'}"
    return Place(tag, where, field.offset, field.offset + max(field.size, 1), bits, form)
