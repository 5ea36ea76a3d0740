"""The way back of base, shift and mask: what a written value means on the wire, and which bits of the raw value it is.

A value with a mask, or one whose shift drops bits, is a part of its raw value: a write must leave the other bits as
they are. A driver that can (read, change, write) asks `written_bits`; for others such a tag is read only.
"""

from __future__ import annotations

import math
from fractions import Fraction

from gateway.model import TagSpec, Transform
from gateway.rawtype import RAW, RawType


def written_bits(spec: TagSpec) -> int | None:
    """The bits of the raw value that the tag's value is made of, the raw value taken as unsigned. None: all of them."""
    raw, transform = RAW[spec.type], spec.transform
    if raw.is_float or raw.bits <= 1:
        return None
    full = (1 << raw.bits) - 1
    seen = full if transform.mask is None else transform.mask & full
    seen &= full << transform.shift if transform.shift > 0 else full >> -transform.shift
    seen &= full
    return None if seen == full else seen


def merged(spec: TagSpec, old: int, new: int, bits: int) -> int:
    """The raw value that a device holds afterwards: `new` in the written bits, `old` in the others."""
    raw = RAW[spec.type]
    full = (1 << raw.bits) - 1
    whole = (old & full & ~bits) | (new & bits)
    return whole - (1 << raw.bits) if raw.signed and whole >> (raw.bits - 1) else whole


def exponent_of(transform: Transform, number: Fraction, raw: RawType) -> Fraction:
    """The exponent whose power is nearest to `number`, whole for an integer type. ValueError where there is none."""
    assert transform.base is not None
    if number <= 0:
        raise ValueError("a power is above 0")
    exponent = math.log(number) / math.log(transform.base)
    return Fraction(exponent) if raw.is_float else Fraction(round(exponent))


def unshifted(transform: Transform, number: int, raw: RawType) -> int:
    """The raw value of a whole number, mask and shift undone: only `written_bits` of it count.

    Raises ValueError for what these bits cannot hold.
    """
    full, mask = (1 << raw.bits) - 1, transform.mask
    if transform.shift < 0:
        step = 1 << -transform.shift
        steps = (number + step // 2) // step  # the nearest one
        moved, low, high = steps * step, raw.low, raw.high
        bits = steps & (full >> -transform.shift)
    else:
        moved = number << transform.shift
        signed = raw.signed and (mask is None or mask >> (raw.bits - 1) == 1)
        low, high = (raw.low, raw.high) if signed else (0, full)
        bits = moved & full
    if not low <= moved <= high:
        raise ValueError(f"{moved} is outside {low} to {high}")
    if mask is not None and bits & ~mask:
        raise ValueError(f"{bits:#x} is more than the bits {mask:#x}")
    return bits - (1 << raw.bits) if raw.signed and bits >> (raw.bits - 1) else bits
