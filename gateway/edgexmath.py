"""Transforms exactly as EdgeX' device SDK computes them, its errors included, for tags with `strict_edgex`.

Source: device-sdk-go, internal/transformer (Apache-2.0), behaviour only. A value stays in its value type at each step:

- Scale and offset are cast to the value type, which cuts their fraction off: an Int16 of 10 with scale 0.1 is 0.
- Each step is first judged in float64: a result with a fraction (whole types) or beyond the type is an overflow, for
  which EdgeX sends the String "overflow"; here an OverflowError, which becomes bad/range without a value.
- Whole numbers wrap where the cast factor says so: 100 with offset -40 is 60 in a Uint16.

Two things are refused where EdgeX' program would go on: a write that wraps, and one that divides by a factor cast to 0
(there the Go program panics).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from gateway.errors import WriteRejected
from gateway.model import TagSpec, Transform, ValueType
from gateway.rawtype import RAW, RawType

Number = int | float
_MAX_FLOAT32 = 3.4028234663852886e38
_UNPROCESSABLE = 422


def reader(transform: Transform, kind: ValueType) -> Callable[[Any], Number]:
    """Raw value to the value that EdgeX gives for a resource of type `kind`. Raises OverflowError."""
    into = RAW[kind]
    steps = [*_bit_steps(transform, into), *_number_steps(transform, into)]

    def read(raw: Any) -> Number:
        value = _cast(raw, into)
        for step in steps:
            value = step(value)
        return value

    return read


def _bit_steps(transform: Transform, into: RawType) -> list[Callable[[Any], Number]]:
    steps: list[Callable[[Any], Number]] = []
    mask, shift = transform.mask, transform.shift
    if into.is_float:
        return steps
    if mask is not None:
        steps.append(lambda value: _wrap(value & mask, into))
    if shift:
        steps.append(lambda value: _wrap(value >> shift if shift > 0 else value << -shift, into))
    return steps


def _number_steps(transform: Transform, into: RawType) -> list[Callable[[Any], Number]]:
    steps: list[Callable[[Any], Number]] = []
    base, scale, offset = transform.base, transform.scale, transform.offset
    if base is not None:
        steps.append(lambda value: _cast(_judged(math.pow(base, value), into), into))
    if scale is not None:
        factor = _cast(scale, into)
        steps.append(lambda value: _after(_judged(float(value) * scale, into), value * factor, into))
    if offset is not None:
        addend = _cast(offset, into)
        steps.append(lambda value: _after(_judged(float(value) + offset, into), value + addend, into))
    return steps


def _after(_judgement: float, result: Number, into: RawType) -> Number:
    """The step's own result, in the value type's arithmetic: the judgement was about another number."""
    return _cast(result, into)


def _judged(result: float, into: RawType) -> float:
    """`result` if EdgeX finds it in the range of the type. Raises OverflowError."""
    if into.is_float:
        fits = abs(result) <= (_MAX_FLOAT32 if into.bits == 32 else math.inf) and math.isfinite(result)
    else:
        fits = math.isfinite(result) and into.low <= result <= float(into.high) and result == math.trunc(result)
    if not fits:
        raise OverflowError("overflow")
    return result


def _cast(value: Number, into: RawType) -> Number:
    """A number in the value type: whole types lose a fraction and wrap, Float32 is rounded."""
    if not into.is_float:
        return _wrap(math.trunc(value), into)
    return _float32(value) if into.bits == 32 else float(value)


def _float32(value: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _wrap(value: Number, into: RawType) -> int:
    low = int(value) & ((1 << into.bits) - 1)
    return low - (1 << into.bits) if into.signed and low >> (into.bits - 1) else low


# --- writing ---------------------------------------------------------------------------------------------------


def takes(kind: ValueType, value: Number) -> bool:
    """Whether EdgeX would take the value for a resource of type `kind` at all."""
    into = RAW[kind]
    return into.is_float or (value == math.trunc(value) and into.low <= value <= into.high)


def write(spec: TagSpec, kind: ValueType, value: Number) -> Number:
    """The raw value that EdgeX would hand to the driver, its fraction cut off where the wire has whole numbers.

    Raises WriteRejected (422). That it fits the wire is the caller's to check.
    """
    into, raw, transform = RAW[kind], RAW[spec.type], spec.transform
    if not takes(kind, value):
        raise _refused(spec, f"{value!r} is no {kind.value}")
    found = _cast(value, into)
    try:
        if transform.offset is not None:
            found = _exactly(found - _cast(transform.offset, into), into)
        if transform.scale is not None:
            found = _divided(found, transform.scale, into)
    except (OverflowError, ZeroDivisionError) as error:
        raise _refused(spec, f"{value!r} has no raw value in EdgeX' arithmetic: {error}") from None
    return found if raw.is_float else math.trunc(found)


def _exactly(result: Number, into: RawType) -> Number:
    if not into.is_float and not into.low <= result <= into.high:
        raise OverflowError("overflow")
    return _cast(result, into)


def _divided(value: Number, scale: float, into: RawType) -> Number:
    _judged(float(value) / scale, into)
    factor = _cast(scale, into)
    if factor == 0:
        raise ZeroDivisionError(f"the scale {scale:g} is 0 in its type")
    if into.is_float:
        return _cast(value / factor, into)
    quotient = abs(int(value)) // abs(int(factor))  # Go divides towards zero
    return _exactly(quotient if (value < 0) == (factor < 0) else -quotient, into)


def _refused(spec: TagSpec, text: str) -> WriteRejected:
    return WriteRejected(f"{spec.path}: {text}", code=_UNPROCESSABLE)
