"""`strict_edgex`: results and errors as EdgeX computes them, against its own vectors and an oracle in exact arithmetic."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import WriteRejected
from gateway.model import Access, Quality, TagSpec, Transform, ValueType
from gateway.transform import RAW, column, engineering_kind, scalar, to_raw
from gateway.writes import matches
from tests.support.parts import EDGEX_VECTORS, require

RANGE, SENSOR = int(Quality.BAD_RANGE), int(Quality.BAD_SENSOR)
WHOLE = [
    *(ValueType.INT8, ValueType.UINT8, ValueType.INT16, ValueType.UINT16),
    *(ValueType.INT32, ValueType.UINT32, ValueType.INT64, ValueType.UINT64),
]


def spec(kind: str, edgex: str = "", **transform) -> TagSpec:
    made = Transform(edgex=ValueType(edgex or kind), **transform)
    return TagSpec("t", ValueType(kind), None, access=Access.READ_WRITE, transform=made)


def read(tag: TagSpec, raw) -> tuple[object, int]:
    """Through the columnar path, beside a tag that has nothing to do with it."""
    other = TagSpec("o", ValueType.INT16, None, transform=Transform(scale=0.1))
    values, codes = column([other, tag])([251, raw])
    assert values[0] == 25.1
    return values[1], 0 if codes is None else codes[1]


def float32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


def test_every_edgex_vector_gives_what_edgex_gives():
    require("edgex-vectors")
    for vector in json.loads(EDGEX_VECTORS.read_text())["vectors"]:
        kind = vector["valueType"].lower()
        keys = {k: vector[k] for k in ("mask", "shift", "base", "scale", "offset") if k in vector}
        value, code = read(spec(vector.get("rawType", kind).lower(), kind, **keys), vector["raw"])
        want = vector["edgex"]
        if want == "String:overflow":
            assert (value, code) == (None, RANGE), vector
        else:
            assert (value, code) == (float32(want) if kind == "float32" else want, 0), vector


@pytest.mark.parametrize(
    ("tag", "raw", "value"),
    [
        (spec("int16", scale=0.1), 10, 0),
        (spec("uint16", scale=2.5), 4, 8),
        (spec("uint16", offset=-40.0), 100, 60),
        (spec("uint16", mask=0x0F00, shift=8), 0xABCD, 11),
        (spec("int16", shift=4), -256, -16),
        (spec("uint8", shift=-1), 129, 2),
        (spec("int16", base=10.0), 3, 1000),
        (spec("int16", "float32", scale=0.1), 251, float32(25.1)),
        (spec("int16", "float64", scale=0.1), 251, 251 * 0.1),
        (spec("int16", "float32", mask=0x0F, scale=2.0), 255, 510.0),
        (spec("int32", "float32"), 16_777_217, 16_777_216.0),
        (spec("int16", "int8"), 200, -56),
        (spec("float32", scale=3.0), float32(0.1), float32(float32(0.1) * 3)),
        (spec("int64", scale=1000.0), 3, 3000),
    ],
)
def test_a_value_stays_in_its_value_type_at_every_step(tag, raw, value):
    got = read(tag, raw)
    assert got == (value, 0)
    assert type(got[0]) is type(value)
    assert engineering_kind(RAW[tag.type], tag.transform) == ("float" if isinstance(value, float) else "int")


@pytest.mark.parametrize(
    ("tag", "raw", "code"),
    [
        (spec("int16", scale=0.1), 251, RANGE),
        (spec("int16", scale=10.0), 3277, RANGE),
        (spec("uint16", offset=-40.0), 10, RANGE),
        (spec("int16", offset=0.5), 10, RANGE),
        (spec("int16", base=10.0), 5, RANGE),
        (spec("int16", base=10.0), -1, RANGE),
        (spec("float32", scale=10.0), 3.4e38, RANGE),
        (spec("float64", scale=10.0), 1.7e308, RANGE),
        (spec("float64", base=10.0), 400.0, RANGE),
        (spec("float64", scale=2.0), math.nan, SENSOR),
        (spec("int16", scale=0.1, invalid=(-1,)), -1, SENSOR),
    ],
)
def test_an_overflow_has_no_value(tag, raw, code):
    assert read(tag, raw) == (None, code)


@given(
    kind=st.sampled_from(WHOLE),
    raw=st.integers(-(2**63), 2**64 - 1),
    scale=st.sampled_from([2.0, 0.5, 10.0, 2.5, -1.0, 100.0]),
    offset=st.sampled_from([-40.0, 0.5, 7.0, -0.5]),
)
def test_whole_types_overflow_or_give_a_number_of_their_type(kind, raw, scale, offset):
    into = RAW[kind]
    assume(into.low <= raw <= into.high)
    value, code = scalar(into, Transform(scale=scale, offset=offset, edgex=kind))(raw)
    product = float(raw) * scale
    if code:
        assert (value, code) == (None, RANGE)
        return
    assert product == math.trunc(product)
    span = into.high - into.low + 1
    scaled = (raw * int(scale) - into.low) % span + into.low
    assert float(scaled) + offset == math.trunc(float(scaled) + offset)
    assert value == (scaled + int(offset) - into.low) % span + into.low


# --- writing


@pytest.mark.parametrize(
    ("tag", "value", "raw"),
    [
        (spec("int16", "float32", scale=0.1), 25.16, 251),
        (spec("int16", "float32", scale=0.1), -25.16, -251),
        (spec("int16", "float64", scale=0.1, offset=-40.0), 10.19, 501),
        (spec("uint16", scale=2.5), 10, 5),
        (spec("uint16", offset=40.0), 60, 20),
        (spec("int16", scale=-2.0), 8, -4),
        (spec("float32", scale=0.5), 3.0, 6.0),
        (spec("int16"), 7, 7),
        (spec("int64", scale=2.0), 2**53, 2**52),
    ],
)
def test_a_write_cuts_off_what_edgex_cuts_off(tag, value, raw):
    got = to_raw(tag, value)
    assert got == raw
    assert type(got) is type(raw)


def test_the_plain_transform_rounds_where_the_strict_one_cuts():
    plain = TagSpec("t", ValueType.INT16, None, access=Access.READ_WRITE, transform=Transform(scale=0.1))
    assert to_raw(plain, 25.16) == 252
    assert to_raw(spec("int16", "float32", scale=0.1), 25.16) == 251


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (spec("int16", scale=0.1), 10),  # 0.1 is 0 in an Int16
        (spec("int16", scale=2.0), 3),  # 1.5 is no Int16
        (spec("int16", scale=2.0), 3.5),
        (spec("uint16", offset=40.0), 10),
        (spec("uint8", scale=0.5), 255),
        (spec("int16", "float32", scale=0.1), 5000),
        (spec("uint16"), -1),
    ],
)
def test_what_edgex_has_no_raw_value_for_is_refused(tag, value):
    with pytest.raises(WriteRejected) as caught:
        to_raw(tag, value)
    assert caught.value.code == 422


@given(value=st.integers(-32_000, 32_000))
def test_what_was_written_is_found_again_when_it_is_read_back(value):
    tag = spec("int16", "float32", scale=0.1)
    wanted = value / 10
    assert matches(tag, wanted, read(tag, to_raw(tag, wanted))[0])
