"""Where a resource lies on Modbus: attributes of device-modbus-go as the keys of our driver.

`startingAddress` is taken from its text. EdgeX prints a YAML float with two decimals and splits at the dot, so that
plain `10.1` and `10.10` are bit 10, `10.01` and the text "10.1" are bit 1.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.importing.edgex.kinds import Kind, kind_of
from gateway.importing.views import View

_TABLES = {
    "COILS": "coil",
    "DISCRETES_INPUT": "discrete",
    "DISCRETE_INPUTS": "discrete",
    "INPUT_REGISTERS": "input",
    "HOLDING_REGISTERS": "holding",
}
_BIT_TABLES = {"coil", "discrete"}
_LAST = 65535
_CLASSIC = 10_000
_MOST_TEXT = 123
_FRACTION = re.compile(r"[-+]?(?:[0-9]*\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_ORDERS = {
    32: {(True, False): "BADC", (False, True): "CDAB", (True, True): "DCBA"},
    64: {(True, False): "BADCFEHG", (False, True): "GHEFCDAB", (True, True): "HGFEDCBA"},
}
KNOWN = ("primaryTable", "startingAddress", "rawType", "isByteSwap", "isWordSwap", "stringRegisterSize")


def modbus_keys(attributes: View, kind: Kind, *, strict: bool) -> tuple[dict[str, Any], Kind] | None:
    """Keys of the tag and the type on the wire; None when the attributes make no address (all reported).

    `strict`: swaps of 64 bits are ignored, as EdgeX does.
    """
    table, start = _table(attributes), _start(attributes, kind)
    wire = _wire(attributes, kind)
    if table is None or start is None or wire is None:
        return None
    register, bit = start
    if kind.type == "bool":
        if table in _BIT_TABLES:
            if bit:
                attributes.report.error(_place(attributes), f"a {table} has no bit {bit}", f"write {register}")
                return None
            return {"address": f"{table}/{_number(register)}"}, wire
        return {"address": f"{table}/{_number(register)}.{bit}"}, wire
    keys: dict[str, Any] = {"address": f"{table}/{_number(register)}"}
    if table in _BIT_TABLES:
        if kind.type == "string" or register + wire.bits - 1 > _LAST:
            attributes.report.error(_place(attributes), f"the {table} table has no room for a {wire.name}")
            return None
        keys["address"] += f"-{_number(register + wire.bits - 1)}"
        text = f"a {wire.name} is {wire.bits} bits of the {table} table, the first eight its high byte"
        attributes.report.guessed(_place(attributes), text)
    if kind.type == "string":
        length = _length(attributes)
        if length is None:
            return None
        keys["length"] = length
    order = _order(attributes, wire, strict=strict)
    if order:
        keys["word_order"] = order
    return keys, wire


def _number(register: int) -> str:
    """An offset; one that looks like a classic number (40001) is written in hexadecimal digits."""
    return str(register) if register < _CLASSIC else f"0x{register:x}"


def _place(attributes: View) -> Any:
    found = attributes.get_folded("startingAddress")
    return attributes.place if found is None else found.place


def _table(attributes: View) -> str | None:
    found = attributes.get_folded("primaryTable")
    if found is None:
        attributes.report.error(attributes.place, "`primaryTable` is missing", "primaryTable: HOLDING_REGISTERS")
        return None
    table = _TABLES.get(found.text.strip().upper())
    if table is None:
        attributes.report.error(found.place, f"`{found.text[:40]}` is no table", f"known: {', '.join(_TABLES)}")
    return table


def _start(attributes: View, kind: Kind) -> tuple[int, int] | None:
    """Register and bit."""
    found = attributes.get_folded("startingAddress")
    if found is None:
        attributes.report.error(attributes.place, "`startingAddress` is missing", "startingAddress: 0")
        return None
    written = found.text.strip()
    if found.quoted or not _FRACTION.fullmatch(written) or written == ".":
        whole, dot, part = written.partition(".")
    else:
        if abs(float(written)) > _LAST + 1:
            found.report.error(found.place, f"`{written[:40]}` is no address", f"0 to {_LAST}")
            return None
        whole, dot, part = f"{float(written):.2f}".partition(".")
    register = _whole(found, whole, _LAST, "an address")
    bit = _whole(found, part.lstrip("0") or "0" if part else part, 15, "a bit") if dot else 0
    if register is None or bit is None:
        return None
    if dot and kind.type == "bool" and f"{register}.{bit}" != written and not found.quoted and bit:
        text = f"`{written}` is bit {bit} of register {register}: EdgeX reads the number as {whole}.{part}"
        found.report.changed(found.place, text)
    elif bit and kind.type != "bool":
        found.report.ignored(found.place, f"a {kind.name} has no bit: `{written}` is register {register}")
    return register, bit


def _whole(found: View, text: str, most: int, what: str) -> int | None:
    plain = re.fullmatch(r"0|[1-9][0-9]{0,9}", text)
    if plain or re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", text):
        number = int(text, 10 if plain else 16)
        if number <= most:
            return number
    hint = f"{what} is a whole number from 0 to {most}"
    if what == "a bit":
        hint += '; EdgeX prints plain numbers with two decimals: write "10.5" in quotes for bit 5'
    elif re.fullmatch(r"0[0-9]+", text):
        hint = f"a leading zero is octal for some readers: write {text.lstrip('0') or '0'}"
    found.report.error(found.place, f"`{found.text[:40]}` holds `{text[:20]}`, which is not {what}", hint)
    return None


def _wire(attributes: View, kind: Kind) -> Kind | None:
    """The type of the registers: `rawType`, else that of the value."""
    if not (kind.is_number or kind.type in {"bool", "string"}):
        attributes.report.error(attributes.place, f"registers hold no {kind.name}", "a number, Bool or String")
        return None
    found = attributes.get_folded("rawType")
    if found is None:
        return kind
    raw = kind_of(found.text)
    if raw is None or not raw.is_number:
        found.report.error(found.place, f"`{found.text[:40]}` is no type of registers", "Int16, Uint16, Int32, Float32")
        return None
    if not kind.is_number:
        found.report.ignored(found.place, f"a {kind.name} has no raw type")
        return kind
    return raw


def _length(attributes: View) -> int | None:
    """Bytes of a text."""
    found = attributes.get_folded("stringRegisterSize")
    if found is None:
        attributes.report.error(attributes.place, "a String needs `stringRegisterSize`", "stringRegisterSize: 8")
        return None
    registers = found.as_whole(1, _MOST_TEXT)
    return None if registers is None else 2 * registers


def _order(attributes: View, wire: Kind, *, strict: bool) -> str:
    """Letters of the order of bytes, empty for the usual one."""
    found = [attributes.get_folded(name) for name in ("isByteSwap", "isWordSwap")]
    flags = [view.as_flag() if view is not None else False for view in found]
    swap = (bool(flags[0]), bool(flags[1]))
    view = next((view for view, flag in zip(found, flags, strict=True) if flag), None)
    if view is None:
        return ""
    if wire.bits not in _ORDERS:
        view.report.ignored(view.place, f"EdgeX swaps nothing in a {wire.name}")
        return ""
    order = _ORDERS[wire.bits][swap]
    if wire.bits == 64:
        if strict:
            view.report.ignored(view.place, "EdgeX swaps nothing in 64 bits")
            return ""
        view.report.changed(view.place, f"EdgeX ignores this in 64 bits; here it is word order {order}")
    return order
