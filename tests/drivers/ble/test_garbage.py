"""Whatever a radio hears: a bad value at worst, never an error that gets out."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.ble.address import AddressError, address_of
from drivers.ble.advert import Advert, on_air
from drivers.ble.fields import Field, FieldError, field_of
from drivers.ble.identify import EDDYSTONE, identify, properties
from drivers.ble.parsers import BTHOME, RUUVI
from drivers.ble.settings import TagSettings
from drivers.ble.station import Station, counters
from gateway.model import Access, Quality, TagSpec, ValueType
from gateway.testing import FakeContext, ManualClock
from tests.drivers.ble.kit import channel_of
from tests.support.parts import require

TYPES = [
    "int8", "uint8", "int16", "uint16be", "int24", "uint24be", "int32be", "uint40", "uint48", "int56be", "int64", "float32", "float64be", "sfloat16",
    "mfloat32", "bool", "string", "string5", "bytes", "bytes3", "uuid", "url",
]  # fmt: skip
ADDRESS = "AA:BB:CC:00:00:01"
CHANNEL = """
driver: ble
devices:
  d:
    address: "AA:BB:CC:00:00:01"
    kind: KIND
    frames: {f: {source: service/feaa, prefix: "20", min_length: 2}}
    tags:
      a: {address: "f+2:int16be", type: int16, scale: 0.5}
      b: {address: "manufacturer/0x0499+1:float32", type: float64}
      c: {address: "service/fcd2+0.3-9:uint16", type: uint16}
      d: {address: "service/fcd2:string", type: string}
      e: {address: rssi, type: int16}
"""
payload = st.binary(max_size=40)


@given(data=payload, kind=st.sampled_from(TYPES), offset=st.integers(0, 30))
def test_a_field_is_a_value_of_its_type_or_none(data, kind, offset):
    value = field_of(kind, offset).read(data)
    assert value is None or isinstance(value, bool | int | float | str | bytes)


@given(
    kind=st.sampled_from(
        [kind for kind in TYPES if kind not in {"string", "string5", "bytes", "bytes3", "uuid", "url"}]
    ),
    data=payload,
    offset=st.integers(0, 6),
)
def test_what_is_written_is_read_again(kind, data, offset):
    field = field_of(kind, offset)
    value = field.read(data)
    if value is None or "float16" in kind or kind == "mfloat32" or (isinstance(value, float) and math.isnan(value)):
        return
    written = field.write(value, data)
    assert field.read(written) == value
    assert (written[:offset], written[offset + field.size :]) == (data[:offset], data[offset + field.size :])


def test_the_floats_of_the_health_profiles():
    # IEEE 11073-20601: 36.4 as mantissa 364 and exponent -1; 0x07FF and 0x0800 are no number
    assert field_of("sfloat16").read(bytes.fromhex("6cf1")) == 36.4
    assert field_of("mfloat32").read(bytes.fromhex("6c0100ff")) == 36.4
    assert field_of("sfloat16").read(bytes.fromhex("ccf0")) == 20.4
    for special in ("ff07", "fe07", "0008", "0108", "0208"):
        assert math.isnan(field_of("sfloat16").read(bytes.fromhex(special)))


@given(text=st.text(max_size=30), kind=st.sampled_from(["bthome", "ruuvi", "advert", "gatt"]))
def test_any_text_is_an_address_or_an_error_with_words(text, kind):
    spec = TagSpec("t", ValueType.INT16, TagSettings(address=text), access=Access.READ)
    try:
        address_of(spec, kind, {})
    except AddressError as error:
        assert str(error)


@given(text=st.text(max_size=12))
def test_any_text_is_a_field_type_or_an_error(text):
    try:
        assert isinstance(field_of(text), Field)
    except FieldError as error:
        assert error.hint


adverts = st.builds(
    Advert,
    address=st.just(ADDRESS),
    name=st.text(max_size=10),
    rssi=st.integers(-127, 20),
    tx_power=st.none() | st.integers(-127, 127),
    manufacturer=st.dictionaries(st.sampled_from([RUUVI, 0x004C, 0, 65535]), payload, max_size=3),
    service=st.dictionaries(st.sampled_from([BTHOME, EDDYSTONE]), payload, max_size=2),
    uuids=st.just(()),
    ts=st.just(1_800_000_000_000),
    mono=st.just(1.0),
)


@settings(max_examples=80)
@given(heard=st.lists(adverts, max_size=6), kind=st.sampled_from(["bthome", "ruuvi", "advert"]))
def test_no_advert_breaks_a_device(heard, kind):
    require("bthome_ble")
    context = FakeContext(channel_of(CHANNEL.replace("KIND", kind)), ManualClock())
    station = Station(context, context.devices[0], counters())
    for advert in heard:
        assert isinstance(station.heard(advert), str)
        assert isinstance(on_air(advert), bytes)
        assert properties(advert, identify(advert))["kind"]
    station.close()
    known = {int(quality) for quality in Quality}
    for batch in context.batches:
        assert set(batch.quality or ()) <= known
        assert all(value is None or isinstance(value, bool | int | float | str) for value in batch.values)


def test_forged_bthome_data_of_every_first_byte_is_refused_or_taken():
    require("bthome_ble")
    context = FakeContext(channel_of(CHANNEL.replace("KIND", "bthome")), ManualClock())
    station = Station(context, context.devices[0], counters())
    for first in range(256):
        for rest in ("", "02", "02ca", "ff" * 20, "3a", "f100", "53ff41", "50ffffffff"):
            data = bytes([first]) + bytes.fromhex(rest)
            station.heard(Advert(ADDRESS, "", -60, None, {}, {BTHOME: data}, (), 1_800_000_000_000, 1.0))
    station.close()
