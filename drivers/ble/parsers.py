"""BTHome and Ruuvi adverts through the libraries that know them (extra `ble-parsers`).

Their parsers give all they ever saw with each advert; what this advert brought is what they are told to update now:
an old value must not look like a new one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct, field

from drivers.ble.advert import Advert
from drivers.ble.uuids import uuid_of
from gateway.errors import PermanentError

BTHOME = uuid_of("fcd2")
RUUVI = 0x0499
_ENCRYPTED, _WITH_MAC = 0x01, 0x02
"""Bits of the first byte of BTHome v2 service data (bthome.io, "Format")."""
_PACKET_ID = 0x00
_STRENGTH = "signal_strength"
MISSING = "the library for {0} devices is not installed: pip install 'fieldpost[ble-parsers]'"


class Measured(Struct, frozen=True):
    """What one advert brought: values and their units by name, events as (what, fields). `refused`: why nothing."""

    values: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    refused: str = ""


class Parser(Protocol):
    """Decodes the adverts of one device."""

    def measure(self, advert: Advert) -> Measured:
        """What the advert says. Never raises for what a device sends."""
        ...

    @property
    def counter(self) -> int:
        """The encryption counter seen last, 0 without one."""
        ...


def parser_of(kind: str, key: str = "", counter: int = 0) -> Parser:
    """A parser for a `bthome` or `ruuvi` device. `counter`: messages below it are replays. Raises PermanentError when
    the library is missing.
    """
    try:
        if kind == "ruuvi":
            from drivers.ble.ruuviparser import RuuviParser

            return RuuviParser()
        from drivers.ble.bthomeparser import BTHomeParser

        return BTHomeParser(key, counter)
    except ImportError as error:
        raise PermanentError(f"{MISSING.format(kind)} ({error})") from error


def belongs(kind: str, advert: Advert) -> bool:
    """Whether an advert has data for a parser."""
    return RUUVI in advert.manufacturer if kind == "ruuvi" else BTHOME in advert.service


def may_repeat(advert: Advert) -> bool:
    """Whether the same BTHome data heard again after a while may be a new message: it has neither a counter nor a
    packet id.
    """
    data = advert.service.get(BTHOME, b"")
    if len(data) < 2 or data[0] & _ENCRYPTED:
        return False
    first = 7 if data[0] & _WITH_MAC else 1
    return data[first : first + 1] != bytes([_PACKET_ID])


def service_info(advert: Advert) -> Any:
    """The advert as the libraries take it."""
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData
    from habluetooth import BluetoothServiceInfoBleak

    manufacturer, service = dict(advert.manufacturer), dict(advert.service)
    name = advert.name or advert.address
    return BluetoothServiceInfoBleak(
        name=name,
        address=advert.address,
        rssi=advert.rssi,
        manufacturer_data=manufacturer,
        service_data=service,
        service_uuids=list(advert.uuids),
        source="local",
        device=BLEDevice(advert.address, name, {}),
        advertisement=AdvertisementData(
            local_name=name,
            manufacturer_data=manufacturer,
            service_data=service,
            service_uuids=list(advert.uuids),
            tx_power=advert.tx_power,
            rssi=advert.rssi,
            platform_data=(),
        ),
        connectable=False,
        time=advert.mono,
        tx_power=advert.tx_power,
    )


def plain(value: Any) -> Any:
    """A measurement as a value of a tag: a moment is UTC ms."""
    if isinstance(value, dt.datetime):
        return round(value.timestamp() * 1000)
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


class Recorder:
    """What a library's parser is told to update during one advert. Mixed in before the library's class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: dict[str, Any] = {}
        self.units: dict[str, str] = {}
        self.fired: list[tuple[str, Mapping[str, Any]]] = []
        super().__init__(*args, **kwargs)

    def update_sensor(self, key: str, native_unit_of_measurement: Any, native_value: Any, *_: Any, **__: Any) -> None:
        if str(key) == _STRENGTH:  # told with each advert, of our own number
            return
        self.seen[str(key)] = plain(native_value)
        self.units[str(key)] = str(getattr(native_unit_of_measurement, "value", native_unit_of_measurement) or "")

    def update_binary_sensor(self, key: str, native_value: bool | None, *_: Any, **__: Any) -> None:
        self.seen[str(key)] = native_value

    def fire_event(self, key: str, event_type: str, event_properties: Any = None, *_: Any, **__: Any) -> None:
        self.fired.append((str(key), {"event": str(event_type), **(event_properties or {})}))

    def take(self) -> Measured:
        """What came since the last time."""
        seen, units, fired = self.seen, self.units, self.fired
        self.seen, self.units, self.fired = {}, {}, []
        return Measured(seen, units, tuple(fired))
