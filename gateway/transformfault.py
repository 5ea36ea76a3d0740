"""What makes a tag's transform impossible, for a driver's check of its settings."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.inverse import written_bits
from gateway.model import Access, TagSpec
from gateway.rawtype import RAW


class TransformFault(Struct, frozen=True):
    """A transform that cannot work. `field` is the tag's key to blame."""

    field: str
    message: str
    hint: str = ""


def transform_fault(spec: TagSpec, *, parts: bool = False) -> TransformFault | None:
    """The first thing that makes the transform of `spec` impossible, or None.

    `parts`: the driver can write some bits of a raw value and leave the others as they are (gateway/inverse.py).
    """
    raw, transform = RAW[spec.type], spec.transform
    kind = spec.type.value
    numeric = [name for name in ("base", "scale", "offset") if getattr(transform, name) is not None]
    bitwise = [name for name, used in (("mask", transform.mask is not None), ("shift", transform.shift != 0)) if used]
    if raw.bits in {0, 1} and (numeric or bitwise):
        return TransformFault((numeric + bitwise)[0], f"type {kind} has no number to transform")
    if raw.is_float and bitwise:
        return TransformFault(bitwise[0], f"{bitwise[0]} works on integers, not on {kind}")
    if transform.scale == 0:
        return TransformFault("scale", "scale 0 makes every value 0", "scale: 1")
    if abs(transform.shift) >= max(raw.bits, 1) and bitwise:
        return TransformFault("shift", f"shift {transform.shift} leaves nothing of {raw.bits} bits")
    if transform.mask is not None and not 0 <= transform.mask < 1 << raw.bits:
        return TransformFault("mask", f"mask {transform.mask:#x} is wider than {raw.bits} bits")
    if transform.base is not None and transform.base <= 0:
        return TransformFault("base", f"base {transform.base} has no real powers", "base: 10")
    if transform.base == 1:
        return TransformFault("base", "every power of 1 is 1", "base: 10")
    return None if spec.access is Access.READ else _write_fault(spec, bitwise, parts=parts)


def _write_fault(spec: TagSpec, bitwise: Sequence[str], *, parts: bool) -> TransformFault | None:
    transform = spec.transform
    if transform.edgex is not None and (bitwise or transform.base is not None):
        field = bitwise[0] if bitwise else "base"
        return TransformFault("access", f"with `strict_edgex` a value with {field} cannot be written back", "access: r")
    if written_bits(spec) is not None and not (parts and RAW[spec.type].most is None):
        text = f"a value with {bitwise[0]} is a part of its raw value and cannot be written back"
        return TransformFault("access", text, "access: r")
    return None
