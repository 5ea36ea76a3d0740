"""What the wire delivers for each type of a tag: its width, its sign, its extremes."""

from __future__ import annotations

from msgspec import Struct

from gateway.model import ValueType


class RawType(Struct, frozen=True):
    """What the wire delivers. `bits` 0: no number (text, bytes).

    `most`: the largest number of a coding that does not use all bits (BCD); what is no number in it arrives as NaN.
    """

    bits: int
    signed: bool = False
    is_float: bool = False
    most: int | None = None

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return self.most if self.most is not None else (1 << (self.bits - self.signed)) - 1


RAW = {
    ValueType.BOOL: RawType(1),
    ValueType.INT8: RawType(8, signed=True),
    ValueType.UINT8: RawType(8),
    ValueType.INT16: RawType(16, signed=True),
    ValueType.UINT16: RawType(16),
    ValueType.INT24: RawType(24, signed=True),
    ValueType.UINT24: RawType(24),
    ValueType.INT32: RawType(32, signed=True),
    ValueType.UINT32: RawType(32),
    ValueType.INT48: RawType(48, signed=True),
    ValueType.UINT48: RawType(48),
    ValueType.INT64: RawType(64, signed=True),
    ValueType.UINT64: RawType(64),
    ValueType.FLOAT32: RawType(32, signed=True, is_float=True),
    ValueType.FLOAT64: RawType(64, signed=True, is_float=True),
    ValueType.BCD16: RawType(16, most=9999),
    ValueType.BCD32: RawType(32, most=99_999_999),
    ValueType.MOD10K32: RawType(32, most=99_999_999),
    ValueType.MOD10K64: RawType(64, most=10**16 - 1),
    ValueType.STRING: RawType(0),
    ValueType.BYTES: RawType(0),
    ValueType.OBJECT: RawType(0),
}
