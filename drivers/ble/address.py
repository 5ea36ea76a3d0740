"""Addresses of tags as they are written, see the README's table.

`rssi` | `bthome/temperature` | `ruuvi/humidity` | `manufacturer/0x0499+3:int16be` | `service/feaa+2.4-7:uint8` |
`FRAME+2:uint16be` | `gatt/2a6e:int16` | `gatt/181a/2a6e+0:int16` | `gatt/2a19#2`
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from drivers.ble.fields import Field, FieldError, default_field, field_of
from drivers.ble.settings import FrameSettings
from drivers.ble.uuids import company_of, short, uuid_of
from gateway.model import TagSpec

RADIO = ("rssi", "last_seen", "tx_power", "name")
"""What every advert tells besides its data."""
PARSED = ("bthome", "ruuvi")
_FIELD = re.compile(
    r"(?P<place>[^+:]+)(?:\+(?P<offset>\d{1,3}))?(?:\.(?P<low>\d{1,2})(?:-(?P<high>\d{1,2}))?)?(?::(?P<type>[a-zA-Z]+\d*[a-zA-Z]*))?\Z"
)
_LONGEST = 512
"""Bytes of the longest value in the attribute protocol."""


class AddressError(ValueError):
    """An address that cannot be. `hint` shows the form that was probably meant."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Source(Struct, frozen=True):
    """Where data stands in an advert: of a company, or of a service. `text` as written in short."""

    company: int | None = None
    service: str = ""

    @property
    def text(self) -> str:
        return f"manufacturer/0x{self.company:04x}" if self.company is not None else f"service/{short(self.service)}"


class Frame(Struct, frozen=True):
    """Data that a field is read from: its source and what tells it from other data there."""

    source: Source
    prefix: bytes = b""
    length: int | None = None
    min_length: int = 0

    def holds(self, data: bytes) -> bool:
        """Whether data of the source is this frame."""
        fits = len(data) == self.length if self.length is not None else len(data) >= self.min_length
        return fits and data.startswith(self.prefix)


class Radio(Struct, frozen=True):
    """One of RADIO."""

    what: str


class Parsed(Struct, frozen=True):
    """A measurement that a parser library names."""

    library: str
    key: str


class InAdvert(Struct, frozen=True):
    """A field of an advert's data."""

    frame: Frame
    field: Field


class InGatt(Struct, frozen=True):
    """A field of a characteristic's value. `service` empty: in whatever service; `instance` counts from 1."""

    service: str
    characteristic: str
    instance: int
    field: Field

    @property
    def text(self) -> str:
        place = f"{short(self.service)}/{short(self.characteristic)}" if self.service else short(self.characteristic)
        return f"gatt/{place}" + (f"#{self.instance}" if self.instance > 1 else "")


Address = Radio | Parsed | InAdvert | InGatt


def source_of(text: str) -> Source:
    """`manufacturer/COMPANY` or `service/UUID`. Raises AddressError."""
    kind, _, rest = text.partition("/")
    try:
        if kind == "manufacturer" and rest:
            return Source(company=company_of(rest))
        if kind == "service" and rest:
            return Source(service=uuid_of(rest))
    except ValueError as error:
        raise AddressError(str(error)) from None
    raise AddressError(f"{text!r} is no place in an advert", "manufacturer/0x0499 or service/feaa")


def frame_of(settings: FrameSettings) -> Frame:
    """A frame from its settings. Raises AddressError."""
    return Frame(source_of(settings.source), hex_of(settings.prefix), settings.length, settings.min_length)


def hex_of(text: str) -> bytes:
    """Bytes of hex digits. Raises AddressError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AddressError(f"{text!r} are no hex digits", "two for each byte: 0215") from None


def address_of(spec: TagSpec, kind: str, frames: Mapping[str, FrameSettings]) -> Address:
    """Where a tag's value comes from. `kind` is the device's, `frames` its own names. Raises AddressError."""
    text = spec.source.address.strip()
    if text in RADIO:
        return Radio(text)
    if text == "battery":
        return _battery(kind)
    library, _, key = text.partition("/")
    if library in PARSED and key:
        return Parsed(library, key)
    found = _FIELD.match(text)
    if found is None:
        raise _strange(text)
    field = _field(found, spec)
    place = found["place"]
    if place in frames:
        return InAdvert(frame_of(frames[place]), field)
    if place.startswith("gatt/"):
        return _gatt(place, field)
    if "/" not in place:
        raise _strange(text, ", ".join(frames))
    return InAdvert(Frame(source_of(place)), field)


def _strange(text: str, frames: str = "") -> AddressError:
    known = "rssi, last_seen, battery, bthome/temperature, manufacturer/0x0499+3:int16be, service/feaa+2, gatt/2a6e"
    return AddressError(
        f"{text!r} is no address of this driver", f"{known}{', a frame of: ' if frames else ''}{frames}"
    )


def _battery(kind: str) -> Address:
    if kind == "bthome":
        return Parsed("bthome", "battery")
    if kind == "ruuvi":
        return Parsed("ruuvi", "voltage")
    if kind == "gatt":
        return InGatt(uuid_of("180f"), uuid_of("2a19"), 1, field_of("uint8"))
    raise AddressError("nobody knows where an advert has its battery", "write the field's own address")


def _field(found: re.Match[str], spec: TagSpec) -> Field:
    low, high = found["low"], found["high"] or found["low"]
    kind = found["type"] or ("uint8" if low is not None else default_field(spec.type))
    offset = int(found["offset"] or 0)
    if offset > _LONGEST:
        raise AddressError(f"offset {offset} is beyond the longest value ({_LONGEST} bytes)")
    try:
        field = field_of(kind, offset, None if low is None else int(low), None if high is None else int(high))
    except FieldError as error:
        raise AddressError(str(error), error.hint) from None
    if low is not None and int(high) < int(low):
        raise AddressError(f"bits {low}-{high} run backwards", f".{high}-{low}")
    return field


def _gatt(place: str, field: Field) -> InGatt:
    parts = place.split("/")[1:]
    last, _, number = parts[-1].partition("#")
    if len(parts) > 2 or (number and not (number.isdigit() and int(number) >= 1)):
        raise AddressError(f"{place!r} is no characteristic", "gatt/2a6e, gatt/181a/2a6e or gatt/2a6e#2")
    try:
        service = uuid_of(parts[0]) if len(parts) == 2 else ""
        return InGatt(service, uuid_of(last), int(number or 1), field)
    except ValueError as error:
        raise AddressError(str(error)) from None
