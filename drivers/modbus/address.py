"""Modbus addresses: from what people write to table and wire offset, and back to both notations.

Source: Modbus Application Protocol V1.1b3, 4.3 (four tables, offsets 0-65535). The classic five- and six-digit
numbers count from 1 and carry the table in the first digit.
"""

from __future__ import annotations

import enum
import re

from msgspec import Struct

LAST_OFFSET = 65535
REGISTER_BITS = 16


class Table(enum.StrEnum):
    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"

    @property
    def is_bits(self) -> bool:
        return self in {Table.COIL, Table.DISCRETE}

    @property
    def is_writable(self) -> bool:
        return self in {Table.COIL, Table.HOLDING}


CLASSIC_DIGIT = {Table.COIL: 0, Table.DISCRETE: 1, Table.INPUT: 3, Table.HOLDING: 4}
_TABLE_OF_DIGIT = {digit: table for table, digit in CLASSIC_DIGIT.items()}
_MODERN = re.compile(r"(?P<table>[A-Za-z]+)/(?P<offset>0[xX][0-9A-Fa-f]+|[0-9]+)(?:\.(?P<bit>[0-9]+|high|low))?")
_CLASSIC = re.compile(r"(?P<number>[0-9]{1,6})(?:\.(?P<bit>[0-9]+|high|low))?")
_RANGE = re.compile(r"(?P<table>[A-Za-z]+)/(?P<first>0[xX][0-9A-Fa-f]+|[0-9]+)(?:-(?P<last>0[xX][0-9A-Fa-f]+|[0-9]+))?")
_FORMS = "forms: holding/100, holding/0x64, holding/100.3, input/7, coil/3, discrete/9, 40101, 400101, 30008, 10010"


class AddressError(ValueError):
    """A written address cannot be used. `hint` shows the corrected form."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Address(Struct, frozen=True):
    """A place in a table. `offset` as on the wire; `bit` 0 is the least significant of a register. `half`: one byte of
    a register, `high` or `low`.
    """

    table: Table
    offset: int
    bit: int | None = None
    half: str = ""

    def __str__(self) -> str:
        """Both notations: `holding/100 (40101, 0x64)`."""
        return f"{self.short} ({classic(self.table, self.offset)}{self._part}, 0x{self.offset:x})"

    @property
    def short(self) -> str:
        return f"{self.table}/{self.offset}{self._part}"

    @property
    def _part(self) -> str:
        return f".{self.half}" if self.half else "" if self.bit is None else f".{self.bit}"


class Range(Struct, frozen=True):
    """Offsets `first` to `last` of a table, both included."""

    table: Table
    first: int
    last: int

    def overlaps(self, start: int, end: int) -> bool:
        """Whether it shares an offset with `start` to `end` (excluded)."""
        return self.first < end and start <= self.last

    def __str__(self) -> str:
        return f"{self.table}/{self.first}-{self.last}" if self.last > self.first else f"{self.table}/{self.first}"


def classic(table: Table, offset: int) -> str:
    """The classic number of an offset: five digits while they suffice, else six."""
    digits = 4 if offset < 9999 else 5
    return f"{CLASSIC_DIGIT[table]}{offset + 1:0{digits}d}"


def parse_address(text: str | float, address_base: int = 0, bit_base: int = 0) -> Address:
    """Read an address. Classic numbers count from 1 whatever `address_base` is. Raises AddressError."""
    if isinstance(text, float):
        raise AddressError(
            f"address {text} is a number with a fraction in YAML, which cannot tell .1 from .10",
            f'write it as text: "{text}" or holding/{int(text)}.N',
        )
    text = str(text).strip()
    if match := _CLASSIC.fullmatch(text):
        return _with_bit(_classic_address(match["number"]), match["bit"], bit_base)
    match = _MODERN.fullmatch(text)
    if match is None:
        raise AddressError(f"address {text!r} cannot be read", _FORMS)
    table = _table(match["table"])
    offset = _offset(table, match["offset"], address_base)
    return _with_bit(Address(table, offset), match["bit"], bit_base)


def parse_range(text: str, address_base: int = 0) -> Range:
    """Read a range such as `holding/40-49` or `coil/7`. Raises AddressError."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise AddressError(f"range {text!r} cannot be read", "forms: holding/40-49, input/7, coil/0x10-0x1f")
    table = _table(match["table"])
    first = _offset(table, match["first"], address_base)
    last = first if match["last"] is None else _offset(table, match["last"], address_base)
    if last < first:
        raise AddressError(f"range {text!r} ends before it starts", str(Range(table, last, first)))
    return Range(table, first, last)


def _table(word: str) -> Table:
    try:
        return Table(word.lower())
    except ValueError:
        raise AddressError(f"there is no table {word!r}", "tables: holding, input, coil, discrete") from None


def _offset(table: Table, text: str, base: int) -> int:
    is_hex = text[:2] in {"0x", "0X"}
    number = int(text, 16 if is_hex else 10)
    meant = None if is_hex else _classic_meaning(number)
    if meant is not None and meant.table is table:
        # Nearly always a classic number behind a table's name. The real register 40101 is written in hex.
        raise AddressError(
            f"{table}/{number} is the classic number {number} behind a table's name",
            f"{meant}; for wire offset {number} write {table}/0x{number:x}",
        )
    offset = number - base
    if not 0 <= offset <= LAST_OFFSET:
        raise AddressError(f"{table}/{text} is outside {base} to {LAST_OFFSET + base}")
    return offset


def _classic_meaning(number: int) -> Address | None:
    """What a number of five or six digits means when it is a classic one."""
    if number < 10000:
        return None
    try:
        return _classic_address(str(number))
    except AddressError:
        return None


def _classic_address(digits: str) -> Address:
    number = int(digits)
    span = 100_000 if len(digits) == 6 else 10_000
    table = _TABLE_OF_DIGIT.get(number // span)
    offset = number % span - 1
    if table is None or not 0 <= offset <= LAST_OFFSET:
        raise AddressError(f"{digits} is no classic Modbus number", _FORMS)
    return Address(table, offset)


def _with_bit(address: Address, bit: str | None, bit_base: int) -> Address:
    if bit is None:
        return address
    if address.table.is_bits:
        raise AddressError(f"{address.short} is one bit already", address.short)
    if bit in {"high", "low"}:
        return Address(address.table, address.offset, half=bit)
    number = int(bit) - bit_base
    if not 0 <= number < REGISTER_BITS:
        raise AddressError(
            f"bit {bit} of {address.short} is outside {bit_base} to {REGISTER_BITS - 1 + bit_base}",
            f"{address.short}.{bit_base} to {address.short}.{REGISTER_BITS - 1 + bit_base}",
        )
    return Address(address.table, address.offset, number)
