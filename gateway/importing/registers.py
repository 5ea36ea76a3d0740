"""Modbus as other gateways write it, in our words: tables, classic numbers, orders of bytes. No driver is imported.

Source of the classic numbers: Modbus Application Protocol V1.1b3, 4.3: they count from 1 and carry the table in the
first digit of five or six.
"""

from __future__ import annotations

import re

COIL, DISCRETE, INPUT, HOLDING = "coil", "discrete", "input", "holding"
BITS = {COIL, DISCRETE}
LAST = 65535
BY_DIGIT = {"0": COIL, "1": DISCRETE, "3": INPUT, "4": HOLDING}
BY_FUNCTION = {1: COIL, 2: DISCRETE, 3: HOLDING, 4: INPUT, 5: COIL, 6: HOLDING, 15: COIL, 16: HOLDING}
"""Function codes and the table that they read or write."""
WRITABLE = {COIL, HOLDING}
ORDERS = ("ABCD", "BADC", "CDAB", "DCBA")
SIZE = {
    **dict.fromkeys(("bool", "int8", "uint8", "int16", "uint16", "bcd16"), 1),
    **dict.fromkeys(("int32", "uint32", "float32", "bcd32"), 2),
    **dict.fromkeys(("int64", "uint64", "float64"), 4),
}
"""Registers of a type."""
_MIXED = {HOLDING: (40001, 49999), INPUT: (30001, 39999), DISCRETE: (10001, 19999)}
_LONG = {"ABCD": "", "BADC": "BADCFEHG", "CDAB": "GHEFCDAB", "DCBA": "HGFEDCBA"}


def address(table: str, offset: int, part: str | int = "") -> str:
    """Our address. `part`: a bit, or `low` and `high` for half a register.

    An offset that looks like a classic number of its own table is written in hex, as the driver wants it.
    """
    low, high = _MIXED.get(table, (1, 0))
    number = f"0x{offset:x}" if low <= offset <= high else str(offset)
    return f"{table}/{number}" if part == "" else f"{table}/{number}.{part}"


def order(letters: str, kind: str) -> str:
    """`word_order` of a tag of this type whose list says ABCD, BADC, CDAB or DCBA; empty where that is ours anyway.

    Of 64 bits CDAB means all registers reversed.
    """
    size = SIZE.get(kind, 1)
    if size == 1:
        return "BADC" if letters in {"BADC", "DCBA"} and kind not in {"bool", "int8", "uint8"} else ""
    if size == 2:
        return "" if letters == "ABCD" else letters
    return _LONG[letters]


def classic(text: str, *, one_based: bool = True) -> tuple[str, int] | str:
    """Table and offset of a number of five or six digits, or what is wrong with it."""
    if not re.fullmatch(r"[0-9]{5,6}", text):
        return f"`{text[:40]}` is no Modbus number: five or six digits, the first of them 0, 1, 3 or 4"
    table = BY_DIGIT.get(text[0])
    if table is None:
        return f"`{text}` begins with {text[0]}: 0 is a coil, 1 a discrete input, 3 an input register, 4 a holding one"
    offset = int(text[1:]) - one_based
    if not 0 <= offset <= LAST:
        return f"`{text}` counts from 1" if offset < 0 else f"`{text}` lies behind the last register"
    return table, offset


def has_room(table: str, offset: int, kind: str) -> bool:
    """Whether a value that begins here ends within the table."""
    return offset + (1 if table in BITS else SIZE.get(kind, 1)) - 1 <= LAST


__all__ = ["BITS", "BY_DIGIT", "BY_FUNCTION", "COIL", "DISCRETE", "HOLDING", "INPUT", "ORDERS", "WRITABLE"]
