"""Order of bytes over registers, as letters: `A` is the most significant byte of the value.

ABCD, BADC, CDAB, DCBA say how a value of two registers lies on the wire. For one register, and for texts, the letters
of a four letter word say whether its bytes are swapped (BADC, DCBA). Six letters say it for three registers, eight for
four.
"""

from __future__ import annotations

from gateway.model import ValueType

REGISTERS = {
    ValueType.BOOL: 1,
    ValueType.INT8: 1,
    ValueType.UINT8: 1,
    ValueType.INT16: 1,
    ValueType.UINT16: 1,
    ValueType.BCD16: 1,
    ValueType.INT24: 2,
    ValueType.UINT24: 2,
    ValueType.INT32: 2,
    ValueType.UINT32: 2,
    ValueType.FLOAT32: 2,
    ValueType.BCD32: 2,
    ValueType.MOD10K32: 2,
    ValueType.INT48: 3,
    ValueType.UINT48: 3,
    ValueType.INT64: 4,
    ValueType.UINT64: 4,
    ValueType.FLOAT64: 4,
    ValueType.MOD10K64: 4,
}
"""Registers of each type of fixed size."""

TEXTS = {ValueType.STRING, ValueType.BYTES}
"""Types whose size a tag's `length` says."""

HALVES = {ValueType.INT8, ValueType.UINT8}
"""Types of one byte, half a register."""

PACKED = {
    *HALVES,
    *(ValueType.INT16, ValueType.UINT16, ValueType.INT32, ValueType.UINT32, ValueType.INT64, ValueType.UINT64),
    *(ValueType.FLOAT32, ValueType.FLOAT64),
}
"""Types that a row of coils or discrete inputs may hold."""

UNSIGNED = {ValueType.UINT8, ValueType.UINT16, ValueType.UINT32, ValueType.UINT64}
"""Of these, the ones whose row may be shorter than the type."""

FOUR = {"ABCD", "BADC", "CDAB", "DCBA"}
_SINGLE = {"AB": "AB", "BA": "BA", "ABCD": "AB", "CDAB": "AB", "BADC": "BA", "DCBA": "BA"}
_LONG = {
    3: {"ABCD": "ABCDEF", "BADC": "BADCFE", "DCBA": "FEDCBA"},
    4: {"ABCD": "ABCDEFGH", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"},
}
_AMBIGUOUS = {
    3: "EFCDAB (all three registers reversed)",
    4: "GHEFCDAB (all four registers reversed) or CDABGHEF (reversed in each half)",
}
_EXAMPLE = {1: "AB or BA", 2: "ABCD, BADC, CDAB or DCBA", 3: "six letters such as ABCDEF or EFCDAB"}


class OrderError(ValueError):
    """Letters that do not fit the type. `hint` shows the corrected form."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def text_order(order: str) -> str:
    """Whether the two bytes of each register of a text are swapped: AB or BA. Raises OrderError."""
    return wire_order(order, 1)


def wire_order(order: str, registers: int) -> str:
    """The letters for a value of 1 to 4 registers, written out in full. Raises OrderError."""
    letters = order.upper()
    if registers == 1 and letters in _SINGLE:
        return _SINGLE[letters]
    if registers == 2 and letters in FOUR:
        return letters
    if registers > 2:
        return _long_order(letters, registers)
    raise OrderError(f"word order {order!r} does not fit {registers * 16} bits", _EXAMPLE[registers])


def _long_order(letters: str, registers: int) -> str:
    bits = registers * 16
    if letters in _LONG[registers]:
        return _LONG[registers][letters]
    if letters == "CDAB":
        raise OrderError(f"word order CDAB is ambiguous for {bits} bits", _AMBIGUOUS[registers])
    if sorted(letters) == list("ABCDEFGH"[: 2 * registers]):
        return letters
    hint = _EXAMPLE.get(registers, "eight letters such as ABCDEFGH or GHEFCDAB")
    raise OrderError(f"word order {letters!r} does not fit {bits} bits", hint)


def value_positions(letters: str) -> tuple[int, ...]:
    """Where in the wire's bytes each byte of the value lies, most significant first: CDAB gives (2, 3, 0, 1)."""
    return tuple(letters.index(letter) for letter in sorted(letters))


def wire_positions(letters: str) -> tuple[int, ...]:
    """Which byte of the value (0 the most significant) each byte of the wire is: the inverse for writing."""
    return tuple(ord(letter) - ord("A") for letter in letters)


def text_positions(letters: str, registers: int) -> tuple[int, ...]:
    """Where the bytes of a text lie, and its own inverse: swapping twice gives the same."""
    pair = (0, 1) if letters == "AB" else (1, 0)
    return tuple(2 * register + place for register in range(registers) for place in pair)
