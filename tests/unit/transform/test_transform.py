"""Raw to engineering values and back, against EdgeX' vectors and exact arithmetic."""

from __future__ import annotations

import json
import math
import re
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WriteRejected
from gateway.model import Access, Quality, TagSpec, Transform, ValueType
from gateway.transform import RAW, RawType, column, engineering_kind, is_plain, scalar, to_raw
from gateway.transformfault import transform_fault
from tests.support.parts import EDGEX_VECTORS, require

RAW_OF_NAME = {"Uint8": RawType(8), "Int16": RAW[ValueType.INT16], "Uint16": RAW[ValueType.UINT16]}
SENSOR, RANGE = int(Quality.BAD_SENSOR), int(Quality.BAD_RANGE)


def spec(kind: ValueType, limits=None, access=Access.READ, **transform) -> TagSpec:
    return TagSpec("t", kind, None, range=limits, access=access, transform=Transform(**transform))


def one(kind: ValueType, raw, **options):
    """Through the columnar path, quality code included."""
    convert = column([spec(kind, **options)])
    if convert is None:
        return raw, 0
    values, codes = convert([raw])
    return values[0], 0 if codes is None else codes[0]


def test_fl_29_every_edgex_vector_gives_the_wanted_value():
    require("edgex-vectors")
    vectors = json.loads(EDGEX_VECTORS.read_text())["vectors"]
    assert len(vectors) >= 15
    for vector in vectors:
        raw = RAW_OF_NAME[vector.get("rawType", vector["valueType"])]
        keys = {k: vector[k] for k in ("mask", "shift", "base", "scale", "offset") if k in vector}
        value, code = scalar(raw, Transform(**keys))(vector["raw"])
        want = vector["want"]
        if isinstance(want, str):  # "bad overflow (or N if promoted)": this gateway promotes
            want = float(re.search(r"or (-?\d+) if promoted", want)[1])
        assert (value, code) == (pytest.approx(want, abs=0), 0), vector


@given(
    raw=st.integers(-(2**15), 2**15 - 1),
    decimals=st.integers(0, 6),
    digits=st.integers(1, 999),
    offset=st.integers(-5000, 5000),
)
def test_fl_29_decimal_scales_are_the_float_next_to_the_exact_result(raw, decimals, digits, offset):
    scale, shift = digits / 10**decimals, offset / 100
    exact = raw * Fraction(digits, 10**decimals) + Fraction(offset, 100)
    value, code = one(ValueType.INT16, raw, scale=scale, offset=shift)
    assert code == 0
    assert value == float(exact)


@given(raw=st.integers(0, 2**64 - 1), scale=st.integers(1, 1000))
def test_whole_scales_keep_64_bit_integers_exact(raw, scale):
    assert one(ValueType.UINT64, raw, scale=float(scale)) == (raw * scale, 0)


@given(
    kind=st.sampled_from([ValueType.INT16, ValueType.UINT16, ValueType.INT32, ValueType.UINT64]),
    transform=st.builds(
        Transform,
        mask=st.none() | st.integers(0, 0xFFFF),
        shift=st.integers(-15, 15),
        base=st.none() | st.sampled_from([2.0, 10.0, 0.5]),
        scale=st.none() | st.sampled_from([0.1, 2.5, 10.0, 0.001]),
        offset=st.none() | st.sampled_from([-40.0, 0.5, 273.15]),
        invalid=st.just(()) | st.just((0xFFFF, 7)),
    ),
    data=st.data(),
)
def test_fl_29_the_python_type_of_a_tag_never_depends_on_the_value_and_column_agrees_with_scalar(kind, transform, data):
    raw = RAW[kind]
    x = data.draw(st.integers(raw.low, raw.high))
    value, code = scalar(raw, transform)(x)
    convert = column([TagSpec("t", kind, None, transform=transform)])
    if convert is None:
        assert (value, code) == (x, 0)
        return
    values, codes = convert([x])
    assert (values[0], 0 if codes is None else codes[0]) == (value, code)
    if value is None:
        assert code != 0
    else:
        assert type(value).__name__ == engineering_kind(raw, transform)


def test_fl_33_one_value_out_of_range_leaves_the_other_99_good():
    specs = [spec(ValueType.UINT16, limits=(0, 100)) for _ in range(100)]
    raws = [50] * 100
    raws[42] = 101
    values, codes = column(specs)(raws)
    assert values[42] == 101
    assert [i for i, code in enumerate(codes) if code] == [42]
    assert codes[42] == RANGE


@pytest.mark.parametrize("mark", [-9999.9, 3.4028235e38, 1e20, -1, 0xFFFFFFFF])
def test_a_sentinel_of_a_float32_is_known_as_the_device_sends_it_and_is_not_written(mark):
    raw = struct.unpack(">f", struct.pack(">f", mark))[0]
    assert one(ValueType.FLOAT32, raw, invalid=(mark,)) == (None, SENSOR)
    assert one(ValueType.FLOAT32, raw, invalid=(raw,), scale=0.1) == (None, SENSOR)
    with pytest.raises(WriteRejected, match="invalid"):
        to_raw(spec(ValueType.FLOAT32, invalid=(mark,)), min(mark, raw))


def test_a_sentinel_becomes_no_value_with_a_sensor_fault_also_on_signed_types():
    assert one(ValueType.UINT16, 0xFFFF, invalid=(0xFFFF,), scale=0.1) == (None, SENSOR)
    assert one(ValueType.INT16, -1, invalid=(0xFFFF,)) == (None, SENSOR)
    assert one(ValueType.INT16, -32768, invalid=(0x8000,)) == (None, SENSOR)
    assert one(ValueType.UINT16, 0xFFFE, invalid=(0xFFFF,)) == (0xFFFE, 0)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_become_no_value_with_a_sensor_fault(raw):
    assert one(ValueType.FLOAT32, raw) == (None, SENSOR)


def test_a_result_beyond_floats_is_a_range_fault_and_not_an_exception():
    assert one(ValueType.UINT16, 5000, base=10.0) == (None, RANGE)
    assert one(ValueType.FLOAT64, 1e308, scale=10.0) == (None, RANGE)


def test_only_tags_without_any_test_are_plain():
    assert is_plain(spec(ValueType.UINT16))
    assert not is_plain(spec(ValueType.FLOAT32))
    assert not is_plain(spec(ValueType.UINT16, limits=(0, 1)))
    assert column([spec(ValueType.UINT16)] * 3) is None


@given(
    kind=st.sampled_from([ValueType.INT16, ValueType.UINT16, ValueType.INT32, ValueType.UINT32, ValueType.UINT64]),
    scale=st.none() | st.sampled_from([0.1, 0.01, 2.5, 10.0, -0.5, 0.3]),
    offset=st.none() | st.sampled_from([-40.0, 0.5, 273.15]),
    data=st.data(),
)
def test_writing_undoes_reading_for_every_raw_value(kind, scale, offset, data):
    tag = spec(kind, access=Access.READ_WRITE, scale=scale, offset=offset)
    bound = min(RAW[kind].high, 2**48)  # beyond, a float has no room for every step
    x = data.draw(st.integers(max(RAW[kind].low, -bound), bound))
    value, _ = one(kind, x, scale=scale, offset=offset)
    assert to_raw(tag, value) == x


@pytest.mark.parametrize(
    ("kind", "value", "transform"),
    [
        (ValueType.UINT16, -1, {}),
        (ValueType.UINT16, 6553.6, {"scale": 0.1}),
        (ValueType.INT16, 32768, {}),
        (ValueType.FLOAT32, 1e39, {}),
        (ValueType.FLOAT32, math.nan, {}),
        (ValueType.FLOAT64, 1e308, {"scale": 1e-10}),
        (ValueType.UINT16, "12", {}),
        (ValueType.UINT16, True, {}),
        (ValueType.UINT16, None, {}),
        (ValueType.BOOL, 2, {}),
        (ValueType.UINT16, 65535, {"invalid": (0xFFFF,)}),
    ],
)
def test_a_value_that_the_wire_type_cannot_hold_is_rejected_with_422(kind, value, transform):
    with pytest.raises(WriteRejected) as caught:
        to_raw(spec(kind, access=Access.READ_WRITE, **transform), value)
    assert caught.value.code == 422


@pytest.mark.parametrize(
    ("field", "tag"),
    [
        ("scale", spec(ValueType.UINT16, scale=0.0)),
        ("scale", spec(ValueType.BOOL, scale=2.0)),
        ("mask", spec(ValueType.FLOAT32, mask=1)),
        ("mask", spec(ValueType.UINT16, mask=0x10000)),
        ("shift", spec(ValueType.UINT16, shift=16)),
        ("base", spec(ValueType.UINT16, base=-2.0)),
        ("base", spec(ValueType.UINT16, base=1.0)),
        ("access", spec(ValueType.UINT16, access=Access.READ_WRITE, shift=4)),
        ("access", spec(ValueType.UINT16, access=Access.READ_WRITE, base=10.0, edgex=ValueType.UINT16)),
        ("access", spec(ValueType.UINT16, access=Access.READ_WRITE, mask=0xFF)),
    ],
)
def test_a_transform_that_cannot_work_is_named_by_its_key(field, tag):
    fault = transform_fault(tag)
    assert fault is not None and fault.field == field
