"""Neuron (EMQX Neuron, NeuronEX) tag lists, xlsx or CSV: a profile for each Modbus slave of a list.

Columns and addresses as in EMQ's documentation of the import and of its Modbus drivers:
`SLAVE!ADDRESS[.BIT][#ENDIAN][.LEN[H|L|D|E]][.BYTES]`, where the type decides what a number behind a point means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from gateway.importing import registers
from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.numbers import decimal, number_of
from gateway.importing.report import Place
from gateway.importing.sheets import read_xlsx
from gateway.importing.sources import Source
from gateway.importing.tables import Row, Table, read_csv
from gateway.importing.tagset import TagSet, Unit, connect, stem
from gateway.importing.views import View

_NEEDED = {"group", "name", "address", "attribute", "type"}
_USED = _NEEDED | {"description", "decimal", "bias", "precision", "value", "unit"}
_TYPES = {
    **{name: name for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "string")},
    "bit": "bool",
    "bool": "bool",
    "float": "float32",
    "double": "float64",
    "bytes": "bytes",
    "word": "uint16",
    "dword": "uint32",
    "lword": "uint64",
}
_ADDRESS = re.compile(
    r"(?P<slave>[0-9]{1,3})!(?P<number>[0-9]{5,6})(?P<point>\.[0-9]{1,4}[HLDE]?)?(?:#(?P<order>[LB]{1,2}))?"
    r"(?P<late>\.[0-9]{1,4}[HLDE]?)?"
)
_ORDERS = {"LL": "ABCD", "LB": "BADC", "BL": "CDAB", "BB": "DCBA", "L": "ABCD", "B": "BADC"}
_ATTRIBUTES = {"read", "write", "subscribe", "static"}
_LONGEST = 250


class _At(Struct, frozen=True):
    """An address, read. `tail`: the number behind the point, `letter` behind it; `order` as letters of ours."""

    slave: int
    table: str
    offset: int
    tail: int | None
    letter: str
    order: str


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
    """Profiles of each list."""
    del views
    for source in sources:
        table = read_xlsx(source, lambda each: set(each.columns) >= _NEEDED) if source.is_zip else read_csv(source)
        if table is None:
            continue
        if missing := _NEEDED - set(table.columns):
            text = f"no list of Neuron: there is no column {', '.join(sorted(missing))}"
            draft.report.error(Place(table.file, 1, 1), text, "group, name, address, attribute, type")
            continue
        _List(table, draft).draw()


class _List:
    """One list on its way to profiles."""

    def __init__(self, table: Table, draft: Draft) -> None:
        self._table = table
        self._draft = draft
        self._report = draft.report
        self._place = Place(table.file, 1, 1)
        self._sets: dict[int, TagSet] = {}
        self._names: dict[int, str] = {}
        self._slaves = self._all_slaves()

    def _all_slaves(self) -> list[int]:
        found = {int(match[1]) for row in self._table.rows if (match := re.match(r"([0-9]{1,3})!", row["address"]))}
        return sorted(found) or [1]

    def draw(self) -> None:
        for column in self._table.columns:
            if column not in _USED and self._table.used(column):
                self._report.ignored(self._table.header(column), f"the column `{column}` has no meaning here")
        if self._table.used("precision"):
            text = "digits are for showing: kept as text, values are not rounded"
            self._report.ignored(self._table.header("precision"), text)
        for slave in self._slaves:
            name = stem(self._table.file) if len(self._slaves) == 1 else f"{stem(self._table.file)}_{slave}"
            self._names[slave] = self._draft.profile_names.new_id(name, self._place)
            self._sets[slave] = TagSet(self._draft, "profiles", self._names[slave])
        if not self._table.rows:
            self._report.error(self._place, "the list has a header and no tags", "export it again")
        for row in self._table.rows:
            self._row(row)
        if not self._draft.options.interval:
            text = "the list does not say how often its groups are read: every second, unless `--interval` says more"
            self._report.guessed(self._place, text)
        units = {}
        for slave, name in self._names.items():
            self._draft.at(self._place, "profiles", name)
            profile: dict[str, Any] = {"meta": {"imported": "Neuron"}}
            if self._draft.options.interval:
                profile["interval"] = self._draft.options.interval
            self._draft.profiles[name] = {**profile, "tags": self._sets[slave].tags}
            units[name] = Unit(name, {"unit_id": slave})
        connect(self._draft, "modbus", units, self._place)

    def _row(self, row: Row) -> None:
        attributes = {word for word in re.split(r"[\s,|;]+", row["attribute"].lower()) if word}
        if not attributes or attributes - _ATTRIBUTES:
            text = f"`{row['attribute'][:40]}` is none of Read, Write, Subscribe, Static"
            self._report.error(row.place("attribute"), text)
            return
        kind = _TYPES.get(row["type"].lower())
        if kind is None:
            hint = f"known: {', '.join(sorted(word.upper() for word in _TYPES))}"
            self._report.error(row.place("type"), f"there is no type `{row['type'][:40]}` here", hint)
            return
        if "static" in attributes:
            self._static(row, kind)
            return
        at = self._at(row)
        keys = None if at is None else self._keys(row, kind, at, attributes)
        if at is not None and keys is not None:
            self._add(at.slave, row, keys)

    def _add(self, slave: int, row: Row, keys: dict[str, Any]) -> None:
        group, name = row["group"], row["name"]
        self._sets[slave].add(f"{group}\t{name}" if group and name else name, keys, row.place("name"), "\t", name)

    def _at(self, row: Row) -> _At | None:
        text = row["address"]
        match = _ADDRESS.fullmatch(text.replace(" ", ""))
        if match is None or (match["point"] and match["late"]):
            hint = "SLAVE!ADDRESS as 1!400001, with .BIT, #BL or .LEN behind it"
            self._report.error(row.place("address"), f"`{text[:40]}` is no Modbus address of Neuron", hint)
            return None
        place = registers.classic(match["number"], one_based=self._draft.options.one_based)
        if isinstance(place, str):
            self._report.error(row.place("address"), place)
            return None
        if int(match["slave"]) > 255:
            self._report.error(row.place("address"), f"there is no slave {match['slave']}: 1 to 247")
            return None
        tail = (match["point"] or match["late"] or "").removeprefix(".")
        letter = tail[-1:] if tail[-1:].isalpha() else ""
        digits = tail.removesuffix(letter) if letter else tail
        order = _ORDERS.get(match["order"] or "", "") or self._draft.options.word_order or "ABCD"
        return _At(int(match["slave"]), *place, int(digits) if digits else None, letter, order)

    def _keys(self, row: Row, kind: str, at: _At, attributes: set[str]) -> dict[str, Any] | None:
        keys = self._on_wire(row, kind, at)
        if keys is None:
            return None
        if not registers.has_room(at.table, at.offset, kind):
            self._report.error(row.place("address"), f"`{row['address']}` ends behind the last register")
            return None
        if "write" in attributes:
            if at.table in registers.WRITABLE:
                keys["access"] = "rw" if attributes & {"read", "subscribe"} else "w"
            else:
                self._report.changed(row.place("attribute"), f"the table {at.table} cannot be written: read only here")
        if "subscribe" in attributes:
            keys["on_change"] = True
        return keys if self._scale(row, kind, keys) else None

    def _on_wire(self, row: Row, kind: str, at: _At) -> dict[str, Any] | None:
        """address, type, length and word_order; None where they do not fit, which is reported."""
        if kind in {"string", "bytes"}:
            return self._text(row, kind, at)
        is_bit = kind == "bool"
        if at.table in registers.BITS and not is_bit:
            self._report.error(row.place("type"), f"`{row['address']}` is one bit, not a {row['type']}")
            return None
        part: str | int = ""
        if at.tail is not None:
            if not is_bit or at.letter or at.tail > 15 or at.table in registers.BITS:
                self._report.error(row.place("address"), f"`.{at.tail}{at.letter}` is no bit of a register: 0 to 15")
                return None
            part = at.tail
        elif is_bit and at.table not in registers.BITS:
            part = 0
            self._report.guessed(row.place("address"), "a BIT of a register without its number is bit 0")
        keys: dict[str, Any] = {"address": registers.address(at.table, at.offset, part), "type": kind}
        if letters := registers.order(at.order, kind):
            keys["word_order"] = letters
        return keys

    def _text(self, row: Row, kind: str, at: _At) -> dict[str, Any] | None:
        if at.table in registers.BITS or at.tail is None or not 0 < at.tail <= _LONGEST:
            text = f"a {row['type']} needs its length in bytes, 1 to {_LONGEST}, of registers"
            self._report.error(row.place("address"), text, "1!400001.10H")
            return None
        if at.letter in {"D", "E"}:
            text = "a text with one character for each register cannot be read"
            self._report.error(row.place("address"), text, "take its registers as UINT16")
            return None
        keys: dict[str, Any] = {"address": registers.address(at.table, at.offset), "type": kind, "length": at.tail}
        if at.letter == "L":
            keys["word_order"] = "BADC"
        elif not at.letter and kind == "string":
            self._report.guessed(row.place("address"), "the order of a text's bytes is not said: high byte first (H)")
        return keys

    def _scale(self, row: Row, kind: str, keys: dict[str, Any]) -> bool:
        for column, key, neutral in (("decimal", "scale", 1), ("bias", "offset", 0)):
            if not row[column]:
                continue
            number = number_of(row[column])
            if number is None:
                self._report.error(row.place(column), f"`{row[column][:40]}` is no number")
                return False
            if number == neutral or (column == "decimal" and number == 0):
                continue
            if kind in {"bool", "string", "bytes"}:
                self._report.ignored(row.place(column), f"a {row['type']} has no factor")
                continue
            keys[key] = decimal(Fraction(number))
        self._texts(row, keys)
        return True

    def _texts(self, row: Row, keys: dict[str, Any]) -> None:
        if row["unit"]:
            keys["unit"] = literal(row["unit"])
        if row["precision"]:
            keys["meta"] = {"imported.precision": literal(row["precision"])}
        if row["description"]:
            keys["description"] = literal(row["description"])

    def _static(self, row: Row, kind: str) -> None:
        """A constant: a computed tag whose expression is the value."""
        if not row["value"]:
            self._report.ignored(row.place("attribute"), "a static tag without a `value` says nothing: left out")
            return
        keys: dict[str, Any] = {"type": kind, "value": _constant(row["value"], kind)}
        if keys["value"] is None:
            self._report.error(row.place("value"), f"`{row['value'][:40]}` is no value of a {row['type']}")
            return
        self._texts(row, keys)
        match = re.match(r"([0-9]{1,3})!", row["address"])
        self._add(int(match[1]) if match else self._slaves[0], row, keys)


def _constant(text: str, kind: str) -> str | None:
    """A value as an expression; None where it does not fit."""
    if kind == "bool":
        return {"1": "true", "0": "false", "true": "true", "false": "false"}.get(text.lower())
    if kind == "string":
        return literal('"' + text + '"') if '"' not in text and "\\" not in text else None
    number = number_of(text)
    return None if number is None or kind == "bytes" else repr(decimal(number))
