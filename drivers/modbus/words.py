"""Order of bytes over registers, as letters: `A` is the most significant byte of the value.

ABCD, BADC, CDAB, DCBA say how a value of two registers lies on the wire. For one register the letters of a four
letter word say whether its bytes are swapped (BADC, DCBA). Eight letters say it for four registers.
"""

from __future__ import annotations

from gateway.model import ValueType

REGISTERS = {
    ValueType.BOOL: 1,
    ValueType.INT16: 1,
    ValueType.UINT16: 1,
    ValueType.INT32: 2,
    ValueType.UINT32: 2,
    ValueType.FLOAT32: 2,
    ValueType.INT64: 4,
    ValueType.UINT64: 4,
    ValueType.FLOAT64: 4,
}
"""Registers of each type that this driver knows."""

CODES = {
    ValueType.BOOL: "H",
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.FLOAT32: "f",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT64: "d",
}
"""struct's letter of each type."""

FOUR = {"ABCD", "BADC", "CDAB", "DCBA"}
_SINGLE = {"AB": "AB", "BA": "BA", "ABCD": "AB", "CDAB": "AB", "BADC": "BA", "DCBA": "BA"}
_LONG = {"ABCD": "ABCDEFGH", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}


class OrderError(ValueError):
    """Letters that do not fit the type. `hint` shows the corrected form."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def wire_order(order: str, registers: int) -> str:
    """The letters for a value of 1, 2 or 4 registers, written out in full. Raises OrderError."""
    letters = order.upper()
    if registers == 1 and letters in _SINGLE:
        return _SINGLE[letters]
    if registers == 2 and letters in FOUR:
        return letters
    if registers == 4:
        return _long_order(letters)
    hint = {1: "AB or BA", 2: "ABCD, BADC, CDAB or DCBA"}[registers]
    raise OrderError(f"word order {order!r} does not fit {registers * 16} bits", hint)


def _long_order(letters: str) -> str:
    if letters in _LONG:
        return _LONG[letters]
    if letters == "CDAB":
        raise OrderError(
            "word order CDAB is ambiguous for 64 bits",
            "GHEFCDAB (all four registers reversed) or CDABGHEF (reversed in each half)",
        )
    if sorted(letters) == sorted("ABCDEFGH"):
        return letters
    raise OrderError(f"word order {letters!r} does not fit 64 bits", "eight letters such as ABCDEFGH or GHEFCDAB")


def value_positions(letters: str) -> tuple[int, ...]:
    """Where in the wire's bytes each byte of the value lies, most significant first: CDAB gives (2, 3, 0, 1)."""
    return tuple(letters.index(letter) for letter in sorted(letters))


def wire_positions(letters: str) -> tuple[int, ...]:
    """Which byte of the value (0 the most significant) each byte of the wire is: the inverse for writing."""
    return tuple(ord(letter) - ord("A") for letter in letters)
