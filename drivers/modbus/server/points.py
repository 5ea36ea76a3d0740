"""What a tag is in registers: its wire type, and values to bytes and back."""

from __future__ import annotations

import math
import struct
from typing import Any

from msgspec import Struct

from drivers.modbus.address import Address, AddressError, Table, parse_address
from drivers.modbus.coding import CODES, encode, text_of
from drivers.modbus.server.settings import PlaceKeys, ServerSettings
from drivers.modbus.words import REGISTERS, TEXTS, text_order, text_positions, wire_order, wire_positions
from gateway.errors import WriteRejected
from gateway.model import Access, Quality, TagSpec, Transform, Value, ValueType
from gateway.serving.contract import BOOL, BYTES, FLOAT, INT, OBJECT, TEXT, Offer, Shown
from gateway.transform import RAW, to_raw

_INTEGERS = (
    *(ValueType.UINT16, ValueType.INT16, ValueType.UINT32, ValueType.INT32, ValueType.UINT64, ValueType.INT64),
)
_LONG_ORDERS = {"ABCD": "ABCDEFGH", "BADC": "BADCFEHG", "CDAB": "GHEFCDAB", "DCBA": "HGFEDCBA"}
"""Word orders of four registers: the whole value is turned round, as those who write CDAB here mean."""
NAN = math.nan


class PointFault(ValueError):
    """A tag that cannot be put there. `hint` shows the corrected form."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Form(Struct, frozen=True):
    """What a tag is on the wire. `count`: registers, or 1 bit. `address`: its own, where it was given one."""

    type: ValueType
    count: int
    order: str = ""
    scale: float | None = None
    length: int = 0
    address: Address | None = None


def form_of(offer: Offer, settings: ServerSettings, keys: PlaceKeys | None) -> Form:
    """How an offered tag is served. Raises PointFault."""
    address = _address(keys.address) if keys is not None else None
    bits = address.table.is_bits if address is not None else offer.kind == BOOL
    if bits:
        return _bit(offer, keys, address)
    kind = _type(offer, settings, keys)
    length = (keys and keys.length) or settings.text_length if kind in TEXTS else 0
    if keys is not None and keys.length is not None and kind not in TEXTS:
        raise PointFault(f"`length` is for texts; this is {kind.value}", "remove `length`")
    count = (length + 1) // 2 if kind in TEXTS else REGISTERS[kind]
    order = (keys and keys.word_order) or settings.word_order
    scale = keys.scale if keys is not None else None
    if scale is not None and (kind in TEXTS or kind is ValueType.BOOL):
        raise PointFault(f"`scale` is for numbers; this is {kind.value}", "remove `scale`")
    return Form(kind, count, _letters(kind, order, count), scale, length, address)


def _bit(offer: Offer, keys: PlaceKeys | None, address: Address | None) -> Form:
    if offer.kind != BOOL:
        raise PointFault(f"{offer.name} is a {offer.type.value}: it needs registers", "write holding/N or input/N")
    if keys is not None and (keys.type not in (None, "bool") or keys.scale or keys.length or keys.word_order):
        raise PointFault("a coil or discrete input has nothing but its address", "remove the other keys")
    return Form(ValueType.BOOL, 1, address=address)


def _address(text: str | int) -> Address:
    try:
        address = parse_address(text)
    except AddressError as error:
        raise PointFault(str(error), error.hint) from None
    if address.bit is not None:
        raise PointFault(f"{address.short}: tags have whole registers here", "map a bool to coil/N, or a register")
    return address


def _type(offer: Offer, settings: ServerSettings, keys: PlaceKeys | None) -> ValueType:
    natural = _natural(offer, settings)
    if keys is None or keys.type is None:
        return natural
    wanted = ValueType(keys.type)
    # a number is shown as any number; a text, bytes and a bool among numbers as themselves only
    fixed = wanted in TEXTS or wanted is ValueType.BOOL or offer.kind in {TEXT, BYTES}
    if fixed and wanted is not natural:
        raise PointFault(f"{offer.name} is a {offer.type.value} and cannot be shown as {wanted.value}")
    return wanted


def _natural(offer: Offer, settings: ServerSettings) -> ValueType:
    if offer.kind == OBJECT:
        raise PointFault(f"{offer.name} is an object: Modbus has nothing for it", "leave it out of `select`")
    if offer.kind == INT:
        fits = (kind for kind in _INTEGERS if RAW[kind].low <= offer.low and offer.high <= RAW[kind].high)
        return next(fits, ValueType.FLOAT64)
    return {
        BOOL: ValueType.BOOL,
        FLOAT: ValueType(settings.floats),
        TEXT: ValueType.STRING,
        BYTES: ValueType.BYTES,
    }[offer.kind]


def _letters(kind: ValueType, order: str, count: int) -> str:
    if kind in TEXTS:
        return text_order(order)
    return _LONG_ORDERS[order] if count == 4 else wire_order(order, count)


class Point:
    """One tag at its place: what a client reads there, and what a write there means. `status`: its number among the
    status registers.
    """

    def __init__(self, place: int, offer: Offer, form: Form, address: Address, status: int) -> None:
        self.place = place
        self.offer = offer
        self.form = form
        self.table = address.table
        self.first = address.offset
        self.end = address.offset + form.count
        self.address = address
        self.status = status
        self.writable = offer.writable and address.table.is_writable
        self._spec = TagSpec(
            offer.path, form.type, None, access=Access.READ_WRITE, transform=Transform(scale=form.scale)
        )
        self._places = _positions(form)
        self._inverse = sorted(range(len(self._places)), key=self._places.__getitem__)
        """Which byte of the wire each byte of the value is."""

    def data(self, shown: Shown) -> bytes | None:
        """The registers of a value; None when there is none to show, or the registers cannot hold it."""
        if not self.offer.readable:
            return bytes(2 * self.form.count)
        if not is_usable(shown):
            return None
        try:
            return self._wire(self._raw(shown.value))
        except (WriteRejected, struct.error, OverflowError):
            return None

    def bit(self, shown: Shown) -> bool | None:
        """The bit of a value; None when there is none to show."""
        if not self.offer.readable:
            return False
        return bool(shown.value) if is_usable(shown) else None

    def sentinel(self) -> bytes:
        """What stands for no value: NaN, the least signed, the greatest unsigned number, an empty text."""
        kind = self.form.type
        if kind in TEXTS or kind is ValueType.BOOL:
            return bytes(2 * self.form.count)
        raw = RAW[kind]
        return self._wire(NAN if raw.is_float else raw.low if raw.signed else raw.high)

    def value(self, data: bytes) -> Value:
        """What registers that a client wrote mean. Raises WriteRejected."""
        kind = self.form.type
        straight = bytes(data[place] for place in self._inverse)
        if kind is ValueType.STRING:
            return text_of(straight[: self.form.length])
        if kind is ValueType.BYTES:
            return straight[: self.form.length]
        raw = struct.unpack(">" + CODES[kind], straight)[0]
        if kind is ValueType.BOOL:
            if raw not in (0, 1):
                raise WriteRejected(f"{self.offer.name} is a bool; got {raw}", code=400)
            return bool(raw)
        return self._engineering(raw)

    def _engineering(self, raw: Any) -> Value:
        scale = self.form.scale
        value = raw if scale is None else float(f"{raw * scale:.12g}")
        if self.offer.kind == BOOL:
            if value not in (0, 1):
                raise WriteRejected(f"{self.offer.name} is a bool; got {value!r}", code=400)
            return bool(value)
        if self.offer.kind == INT and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    def _raw(self, value: Value) -> Any:
        kind = self.form.type
        if kind in TEXTS:
            data = value.encode() if isinstance(value, str) else value
            assert isinstance(data, bytes)
            return _cut(data, self.form.length, text=isinstance(value, str))
        if isinstance(value, bool) and kind is not ValueType.BOOL:
            value = int(value)
        return to_raw(self._spec, value)

    def _wire(self, raw: Any) -> bytes:
        value = encode(self.form.type, raw, self.form.count)
        return bytes(value[place] for place in self._places)


def _positions(form: Form) -> tuple[int, ...]:
    """Which byte of the value each byte of the wire is."""
    if form.type in TEXTS:
        return text_positions(form.order, form.count)
    return wire_positions(form.order) if form.order else (0, 1)


def _cut(data: bytes, most: int, *, text: bool) -> bytes:
    """A text that fits: never half a character."""
    if len(data) <= most or not text:
        return data[:most]
    return data[:most].decode(errors="ignore").encode()


def is_usable(shown: Shown) -> bool:
    """Whether a client that sees no quality may take the value for what is: not bad, and not from before a restart."""
    return shown.value is not None and shown.quality < Quality.BAD and shown.quality is not Quality.LAST_KNOWN


def placed(table_of: Address | None, offer: Offer, form: Form) -> Table:
    """The table of a tag: what can be written is a coil or a holding register, all else a discrete or an input."""
    if table_of is not None:
        return table_of.table
    if form.type is ValueType.BOOL:
        return Table.COIL if offer.writable else Table.DISCRETE
    return Table.HOLDING if offer.writable else Table.INPUT
