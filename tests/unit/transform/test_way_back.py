"""Mask, shift and base undone: what is written is read again, and the bits of others stay."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import WriteRejected
from gateway.inverse import merged, written_bits
from gateway.model import Access, TagSpec, Transform, ValueType
from gateway.rawtype import RAW
from gateway.transform import scalar, to_raw
from gateway.transformfault import transform_fault
from gateway.writes import matches

WHOLE = [kind for kind, raw in RAW.items() if raw.bits > 1 and not raw.is_float and raw.most is None]


def tag(kind: ValueType, **transform: object) -> TagSpec:
    return TagSpec("t", kind, None, access=Access.READ_WRITE, transform=Transform(**transform))  # type: ignore[arg-type]


def read(spec: TagSpec, raw: int) -> object:
    return scalar(RAW[spec.type], spec.transform)(raw)[0]


@st.composite
def cases(draw: st.DrawFn) -> tuple[TagSpec, int, int]:
    """A tag with mask or shift, what it should become, and what the device held before."""
    kind = draw(st.sampled_from(WHOLE))
    raw = RAW[kind]
    mask = draw(st.none() | st.integers(1, (1 << raw.bits) - 1))
    shift = draw(st.integers(-raw.bits + 1, raw.bits - 1))
    scale = draw(st.sampled_from([None, 2.0, 0.1]))
    numbers = st.integers(raw.low, raw.high)
    return tag(kind, mask=mask, shift=shift, scale=scale), draw(numbers), draw(numbers)


@given(cases())
def test_what_was_read_can_be_written_and_is_read_again(case: tuple[TagSpec, int, int]) -> None:
    spec, wanted, before = case
    assume(transform_fault(spec, parts=True) is None)
    value = read(spec, wanted)
    new = to_raw(spec, value)  # type: ignore[arg-type]
    bits = written_bits(spec)
    after = int(new) if bits is None else merged(spec, before, int(new), bits)
    assert RAW[spec.type].low <= after <= RAW[spec.type].high
    assert read(spec, after) == value
    if bits is not None:
        assert (after ^ before) & ~bits & ((1 << RAW[spec.type].bits) - 1) == 0


@given(cases(), st.integers(-(2**70), 2**70))
def test_whatever_is_asked_for_is_either_refused_or_read_again(case: tuple[TagSpec, int, int], asked: int) -> None:
    spec, _, before = case
    assume(transform_fault(spec, parts=True) is None and spec.transform.scale is None)
    try:
        new = int(to_raw(spec, asked))
    except WriteRejected as error:
        assert error.code == 422
        return
    bits = written_bits(spec)
    got = read(spec, new if bits is None else merged(spec, before, new, bits))
    assert matches(spec, asked, got)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "raw"), [(1000, 3), (1, 0), (0.01, -2), (900, 3), (320, 3), (310, 2)])
def test_a_power_is_written_as_its_nearest_exponent(value: float, raw: int) -> None:
    spec = tag(ValueType.INT16, base=10.0)
    assert to_raw(spec, value) == raw
    assert matches(spec, value, read(spec, raw))  # type: ignore[arg-type]
    assert not matches(spec, value, read(spec, raw + 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -5])
def test_what_is_no_power_is_refused(value: float) -> None:
    with pytest.raises(WriteRejected, match="no power"):
        to_raw(tag(ValueType.INT16, base=10.0), value)


def test_a_power_of_a_fraction_type_is_exact() -> None:
    spec = tag(ValueType.FLOAT64, base=2.0, scale=3.0, offset=1.0)
    raw = to_raw(spec, 3.0 * 2.0**5.5 + 1.0)
    assert math.isclose(raw, 5.5)
    assert matches(spec, 3.0 * 2.0**5.5 + 1.0, read(spec, raw))  # type: ignore[arg-type]


def test_a_mask_says_what_it_holds() -> None:
    spec = tag(ValueType.UINT16, mask=0x0F00, shift=8)
    assert (to_raw(spec, 11), written_bits(spec)) == (0x0B00, 0x0F00)
    with pytest.raises(WriteRejected, match="0x1000 is more than the bits 0xf00"):
        to_raw(spec, 16)
    with pytest.raises(WriteRejected, match="outside 0 to 65535"):
        to_raw(spec, -1)


def test_a_driver_that_cannot_write_bits_refuses_such_a_tag() -> None:
    for spec in (tag(ValueType.UINT16, mask=0xF), tag(ValueType.UINT16, shift=4)):
        fault = transform_fault(spec)
        assert fault is not None
        assert fault.field == "access"
        assert transform_fault(spec, parts=True) is None
    assert transform_fault(tag(ValueType.UINT16, base=2.0)) is None
    assert transform_fault(tag(ValueType.BCD16, mask=0xF), parts=True) is not None
