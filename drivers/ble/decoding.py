"""Raw values of a device's tags to values with a quality; one decoder per device, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from drivers.ble.address import Address, InAdvert, InGatt, Parsed, Radio, address_of
from drivers.ble.advert import Advert
from drivers.ble.parsers import Measured
from drivers.ble.settings import DeviceSettings
from gateway.model import Access, Device, Quality, Tag, TagSpec, Value, ValueType
from gateway.transform import RAW, scalar

Reading = tuple[int, Value, int]
"""Position of the tag in the device, value, quality code."""
_CONFIG, _SENSOR, _GOOD = int(Quality.BAD_CONFIG), int(Quality.BAD_SENSOR), int(Quality.GOOD)
_WHOLE = 2**53


class Decoder:
    """Knows where each tag of a device has its value."""

    def __init__(self, device: Device) -> None:
        settings: DeviceSettings = device.spec.settings
        self.addresses: list[Address] = [address_of(tag.spec, settings.kind, settings.frames) for tag in device.tags]
        self._converts = [converter(tag.spec) for tag in device.tags]
        readable = [tag.spec.access is not Access.WRITE for tag in device.tags]
        places = [(i, address) for i, address in enumerate(self.addresses) if readable[i]]
        self.in_gatt = [(i, a) for i, a in places if isinstance(a, InGatt)]
        places = [(i, address) for i, address in places if not device.tags[i].spec.on_demand]
        self._radio = [(i, a.what) for i, a in places if isinstance(a, Radio)]
        self._parsed = [(i, a.key) for i, a in places if isinstance(a, Parsed)]
        self._fields = [(i, a) for i, a in places if isinstance(a, InAdvert)]

    @property
    def of_adverts(self) -> list[int]:
        """Tags that adverts bring by themselves."""
        return sorted(i for i, *_ in (*self._radio, *self._parsed, *self._fields))

    def wants(self, i: int) -> str:
        """Where tag `i` has its value in an advert, for people."""
        address = self.addresses[i]
        if isinstance(address, Parsed):
            return repr(address.key)
        return address.frame.source.text if isinstance(address, InAdvert) else getattr(address, "what", "")

    def radio(self, advert: Advert) -> Iterator[Reading]:
        """What comes with each advert, whatever its data."""
        for i, what in self._radio:
            raw: Any = advert.ts if what == "last_seen" else getattr(advert, what)
            if raw is not None and raw != "":
                yield (i, *self._converts[i](raw))

    def data(self, advert: Advert) -> Iterator[Reading]:
        """Fields of the data that an advert has."""
        for i, address in self._fields:
            source = address.frame.source
            data = (
                advert.manufacturer.get(source.company)
                if source.company is not None
                else advert.service.get(source.service)
            )
            if data is not None and address.frame.holds(data):
                yield self.raw(i, address.field.read(data))

    def measured(self, found: Measured) -> Iterator[Reading]:
        """Measurements that a parser named."""
        for i, key in self._parsed:
            if key in found.values:
                yield self.raw(i, found.values[key])

    def raw(self, i: int, raw: Any) -> Reading:
        """One raw value of tag `i`; None: the device has none now."""
        return (i, None, _SENSOR) if raw is None else (i, *self._converts[i](raw))

    def single(self, tag: Tag, raw: Any) -> Reading:
        """One raw value of a tag that need not be the device's (an address that somebody tries)."""
        return (-1, None, _SENSOR) if raw is None else (-1, *converter(tag.spec)(raw))


def converter(spec: TagSpec) -> Callable[[Any], tuple[Value, int]]:
    """Raw to engineering value of one tag. What does not fit the tag's type is bad/config."""
    raw_type = RAW[spec.type]
    limits = spec.range if raw_type.bits > 1 else None
    convert = scalar(raw_type, spec.transform, limits)

    def typed(raw: Any) -> tuple[Value, int]:
        fitting = _fitting(spec.type, raw)
        return (None, _CONFIG) if fitting is None else convert(fitting)

    return typed


def _fitting(kind: ValueType, raw: Any) -> Any:
    """The raw value as the tag's type has it, None when it cannot be."""
    raw_type = RAW[kind]
    if kind is ValueType.STRING:
        return raw.hex() if isinstance(raw, bytes) else str(raw)
    if kind is ValueType.BYTES:
        return raw if isinstance(raw, bytes) else None
    if isinstance(raw, str | bytes) or raw_type.bits == 0:
        return None
    if kind is ValueType.BOOL:
        return bool(raw)
    if raw_type.is_float:
        return float(raw)
    if isinstance(raw, float) and (not raw.is_integer() or abs(raw) > _WHOLE):
        return None
    number = int(raw)
    return number if raw_type.low <= number <= raw_type.high else None


def names(device: Device, readings: Sequence[Reading]) -> str:
    """Readings for people: `temperature 24.3, humidity 53.49`."""
    tags: Sequence[Tag] = device.tags
    return ", ".join(f"{tags[i].path} {value!r}" for i, value, _ in readings)


__all__ = ["Decoder", "Reading", "converter", "names"]
