"""Kepware tag lists (CSV of a device): a profile each, and a device where the person says its URL.

Columns, types and Modbus addresses as in PTC's manuals of KEPServerEX and of its Modbus drivers: the area digit and a
number that counts from 1, `H` before hexadecimal ones, `.3` a bit, `.20H` a text of 20 bytes, `[8]` an array. Lists of
the OPC UA client driver have node ids as addresses. What else a device has (unit id, order of words) is no part of the
list: Kepware's own defaults are taken and told.
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
from gateway.importing.numbers import as_written, decimal, duration, number_of
from gateway.importing.report import Place
from gateway.importing.sources import Source
from gateway.importing.tables import Row, Table, read_csv
from gateway.importing.tagset import TagSet, Unit, connect, stem, usual_interval
from gateway.importing.views import View

_TYPES = {
    "boolean": "bool",
    "char": "int8",
    "byte": "uint8",
    "short": "int16",
    "word": "uint16",
    "long": "int32",
    "dword": "uint32",
    "llong": "int64",
    "qword": "uint64",
    "float": "float32",
    "double": "float64",
    "bcd": "bcd16",
    "lbcd": "bcd32",
    "string": "string",
    "default": "",
}
_INTEGERS = {"char", "byte", "short", "word", "long", "dword", "llong", "qword", "bcd", "lbcd"}
_ACCESS = {"": "r", "ro": "r", "r": "r", "read only": "r", "r/w": "rw", "rw": "rw", "read/write": "rw", "wo": "w"}
_ADDRESS = re.compile(
    r"(?P<hex>[Hh]?)(?P<number>[0-9A-Fa-f]{5,6})(?:\.(?P<part>[0-9A-Fa-f]{1,3})(?P<order>[HhLl]?))?"
    r"(?: ?\[(?P<rows>[0-9]{1,4})\](?: ?\[(?P<columns>[0-9]{1,4})\])?)?"
)
_NODE = re.compile(r"(?:ns=[0-9]{1,5};|nsu=[^;]+;)?[isgb]=.+|ns=[0-9]{1,5};.+", re.DOTALL)
_DEFAULT_ORDER = "CDAB"
_MOST_TEXT = 250
_MOST_ITEMS = 2000


class _At(Struct, frozen=True):
    """Where a tag of a Modbus list lies. `text`: bytes of a text, and AB or BA. `items`: of an array, 0 for none."""

    table: str
    offset: int
    bit: int | None = None
    text: tuple[int, str] | None = None
    items: int = 0


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
    """A profile for each list."""
    del views
    for source in sources:
        before = len(draft.report.problems)
        table = read_csv(source, ansi=True)
        if table is not None and (table.rows or len(draft.report.problems) == before):
            _List(table, draft).draw()


class _List:
    """One list on its way to a profile."""

    def __init__(self, table: Table, draft: Draft) -> None:
        self._table = table
        self._draft = draft
        self._report = draft.report
        self._place = Place(table.file, 1, 1)
        self._order = draft.options.word_order
        self._told: set[str] = set()

    def draw(self) -> None:
        self._tell_columns()
        if not self._table.rows:
            self._report.error(self._place, "the list has a header and no tags", "export it again")
            return
        node_ids = [row for row in self._table.rows if _NODE.fullmatch(row["address"])]
        driver = "opcua" if len(node_ids) * 2 > len(self._table.rows) else "modbus"
        name = self._draft.profile_names.new_id(stem(self._table.file), self._place)
        tags = TagSet(self._draft, "profiles", name)
        tags.expect((row["tag name"] for row in self._table.rows), ".")
        for row in self._table.rows:
            if not tags.full:
                self._row(row, tags, driver)
        self._draft.at(self._place, "profiles", name)
        profile: dict[str, Any] = {"meta": {"imported": "Kepware"}}
        if interval := self._draft.options.interval or usual_interval(tags.tags):
            profile["interval"] = interval
        self._draft.profiles[name] = {**profile, "tags": tags.tags}
        keys = {"unit_id": self._draft.options.unit} if driver == "modbus" else {}
        connect(self._draft, driver, {name: Unit(name, keys)}, self._place)

    def _tell_columns(self) -> None:
        known = {"tag name", "address", "data type", "client access", "scan rate", "scaling", "raw low", "raw high"}
        known |= {"scaled low", "scaled high", "scaled data type", "clamp low", "clamp high", "eng units", "eng. units"}
        known |= {"description", "negate value"}
        for column in self._table.columns:
            if column not in known and self._table.used(column):
                self._report.ignored(self._table.header(column), f"the column `{column}` has no meaning here")

    def _once(self, key: str, place: Place, kind: str, text: str) -> None:
        """What holds for the whole list is told once."""
        if key not in self._told:
            self._told.add(key)
            self._report.note(place, kind, text)

    def _row(self, row: Row, tags: TagSet, driver: str) -> None:
        wanted = row["data type"].lower()
        array = wanted.endswith(" array")
        wanted = wanted.removesuffix(" array")
        if not wanted:
            self._report.error(row.place("data type"), "the tag has no type", "Default, Word, Short, Float, Boolean...")
            return
        if wanted not in _TYPES:
            hint = f"known: {', '.join(sorted(_TYPES))}"
            self._report.error(row.place("data type"), f"there is no type `{row['data type'][:40]}` here", hint)
            return
        if driver == "opcua":
            keys = self._node(row, wanted, array=array)
        else:
            keys = self._register(row, wanted, array=array, tags=tags)
        if keys is not None:
            tags.add(row["tag name"], keys, row.place("tag name"), ".")

    def _node(self, row: Row, wanted: str, *, array: bool) -> dict[str, Any] | None:
        if not _NODE.fullmatch(row["address"]):
            self._report.error(row.place("address"), f"`{row['address'][:40]}` is no node id", "write ns=2;s=NAME")
            return None
        kind = "object" if array else _TYPES[wanted]
        if not kind or kind.startswith("bcd"):
            self._report.error(row.place("data type"), f"`{row['data type']}` does not say what the node holds")
            return None
        keys = {"address": literal(row["address"]), "type": kind}
        return self._common(row, wanted, keys)

    def _register(self, row: Row, wanted: str, *, array: bool, tags: TagSet) -> dict[str, Any] | None:
        at = self._at(row, wanted)
        if isinstance(at, str):
            self._report.error(row.place("address"), at, "forms: 400001, 40001, 40001.3, 400001.20H, H400001")
            return None
        kind = self._kind(row, wanted, at)
        if kind is None:
            return None
        if not registers.has_room(at.table, at.offset + max(at.items - 1, 0) * _step(at.table, kind), kind):
            self._report.error(row.place("address"), f"`{row['address']}` lies behind the last register")
            return None
        keys = self._common(row, wanted, self._on_wire(row, at, kind))
        if keys is None or not (array or at.items):
            return keys
        self._array(row, at, kind, keys, tags)
        return None

    def _kind(self, row: Row, wanted: str, at: _At) -> str | None:
        """The type of a row; None where it does not fit the address."""
        kind = _TYPES[wanted] or ("bool" if at.bit is not None or at.table in registers.BITS else "uint16")
        is_bit = at.table in registers.BITS or at.bit is not None
        if is_bit and kind != "bool":
            self._report.error(row.place("data type"), f"`{row['address']}` is one bit, not a {row['data type']}")
            return None
        if kind == "string" and at.text is None:
            self._report.error(row.place("address"), "a String needs its length in bytes", f"{row['address']}.20H")
            return None
        if kind == "bool" and not is_bit:
            text = "a Boolean without a bit is true for any value of its register but 0"
            self._report.changed(row.place("address"), text)
        return kind

    def _on_wire(self, row: Row, at: _At, kind: str) -> dict[str, Any]:
        keys: dict[str, Any] = {"address": registers.address(at.table, at.offset, "" if at.bit is None else at.bit)}
        keys["type"] = kind
        if at.text is not None:
            keys["length"] = at.text[0]
            if at.text[1] == "BA":
                keys["word_order"] = "BADC"
            return keys
        if registers.SIZE.get(kind, 1) > 1 and not self._order:
            text = (
                "the list does not say the order of words: CDAB is Kepware's own (first word low), `--word-order ABCD`"
            )
            self._once("order", row.place("address"), "guessed", text)
        order = self._order or (_DEFAULT_ORDER if registers.SIZE.get(kind, 1) > 1 else "ABCD")
        if letters := registers.order(order, kind):
            keys["word_order"] = letters
        return keys

    def _at(self, row: Row, wanted: str) -> _At | str:
        """The place that an address names, or what is wrong with it."""
        text = row["address"]
        match = _ADDRESS.fullmatch(text)
        if match is None or (not match["hex"] and not match["number"].isdecimal()):
            return f"`{text[:40]}` is no Modbus address"
        if match["hex"]:
            place = _hex_place(match["number"], one_based=self._draft.options.one_based)
        else:
            place = registers.classic(match["number"], one_based=self._draft.options.one_based)
        if isinstance(place, str):
            return place
        table, offset = place
        items = int(match["rows"] or 0) * int(match["columns"] or 1)
        if items > _MOST_ITEMS:
            return f"an array of {items} is too long"
        part = match["part"]
        if part is None:
            return (
                f"`{text}` has an order of bytes and no length" if match["order"] else _At(table, offset, items=items)
            )
        if wanted == "string" or match["order"]:
            length = int(part) if part.isdecimal() else 0
            if not 0 < length <= _MOST_TEXT or table in registers.BITS:
                return f"a text in `{text}` has 1 to {_MOST_TEXT} bytes, of registers"
            return _At(table, offset, text=(length, "BA" if match["order"] in {"L", "l"} else "AB"))
        bit = int(part, 16) if match["hex"] else int(part) if part.isdecimal() else 99
        if bit > 15 or table in registers.BITS:
            return f"`.{part}` of `{text}` is no bit of a register: 0 to 15"
        return _At(table, offset, bit)

    def _common(self, row: Row, wanted: str, keys: dict[str, Any]) -> dict[str, Any] | None:
        """The keys that do not depend on the protocol; None where one of them is wrong."""
        access = _ACCESS.get(row["client access"].lower())
        if access is None:
            self._report.error(row.place("client access"), f"`{row['client access'][:40]}` is none of RO, R/W, WO")
            return None
        table = keys["address"].partition("/")[0]
        if access != "r" and table in {registers.INPUT, registers.DISCRETE}:
            self._report.changed(row.place("client access"), f"{table} registers cannot be written: read only here")
            access = "r"
        if access != "r":
            keys["access"] = access
        if unit := row["eng units"] or row["eng. units"]:
            keys["unit"] = literal(unit)
        if not self._scaling(row, wanted, keys) or not self._rate(row, keys):
            return None
        if row["description"]:
            keys["description"] = literal(row["description"])
        return keys

    def _rate(self, row: Row, keys: dict[str, Any]) -> bool:
        text = row["scan rate"]
        if not text or self._draft.options.interval:
            return True
        rate = number_of(text)
        if rate is None or rate < 0 or rate != int(rate):
            self._report.error(row.place("scan rate"), f"`{text[:40]}` is no number of milliseconds")
            return False
        if rate == 0:
            keys["on_demand"] = True
            self._report.changed(row.place("scan rate"), "no scan rate: read on demand only")
        else:
            keys["interval"] = duration(int(rate))
        return True

    def _scaling(self, row: Row, wanted: str, keys: dict[str, Any]) -> bool:
        """scale, offset and range. False where they cannot be understood, which is reported."""
        way = row["scaling"].lower()
        negated = row["negate value"].lower() in {"1", "true", "yes"}
        if way in {"", "none"}:
            if negated:
                keys["scale"] = -1
            return True
        if way not in {"linear", "square root"}:
            self._report.error(row.place("scaling"), f"there is no scaling `{row['scaling'][:40]}`: None or Linear")
            return False
        if wanted in {"boolean", "string"}:
            self._report.ignored(row.place("scaling"), f"a {row['data type']} is not scaled")
            return True
        if way == "square root":
            self._report.warning(row.place("scaling"), "square roots are not taken over: the raw value is read")
            return True
        limits = [self._number(row, name) for name in ("raw low", "raw high", "scaled low", "scaled high")]
        if any(limit is None for limit in limits):
            return False
        low, high, scaled_low, scaled_high = (limit for limit in limits if limit is not None)
        if low == high or scaled_low == scaled_high:
            self._report.error(row.place("raw high"), "a linear scaling needs two different values at each end")
            return False
        scale = (scaled_high - scaled_low) / (high - low)
        offset = scaled_low - low * scale
        self._put_scale(row, keys, -scale if negated else scale, -offset if negated else offset)
        ends = [as_written(keys.get("scale", 1)) * raw + as_written(keys.get("offset", 0)) for raw in (low, high)]
        ends += [-scaled_low, -scaled_high] if negated else [scaled_low, scaled_high]
        self._clamps(row, keys, (min(ends), max(ends)))  # what the rounded factor makes of the ends is within, too
        return True

    def _put_scale(self, row: Row, keys: dict[str, Any], scale: Fraction, offset: Fraction) -> None:
        if scale != 1:
            keys["scale"] = decimal(scale)
        if offset:
            keys["offset"] = decimal(offset)
        into = row["scaled data type"].lower()
        if into in _INTEGERS and (scale.denominator != 1 or offset.denominator != 1):
            text = f"scaled values keep their fraction here; Kepware made a {row['scaled data type']} of them"
            self._once(f"fraction {into}", row.place("scaled data type"), "changed", text)

    def _clamps(self, row: Row, keys: dict[str, Any], span: Sequence[Fraction]) -> None:
        clamped = [row[name].lower() in {"1", "true", "yes"} for name in ("clamp low", "clamp high")]
        if not any(clamped):
            return
        if not all(clamped):
            text = "only one end is clamped: a `range` has two, nothing is limited here"
            self._report.changed(row.place("clamp low"), text)
            return
        keys["range"] = [decimal(span[0]), decimal(span[1])]
        text = "Kepware cuts values at the scaled limits; here a value outside is kept and marked bad/range"
        self._once("clamp", row.place("clamp low"), "changed", text)

    def _number(self, row: Row, column: str) -> Fraction | None:
        number = number_of(row[column])
        if number is None:
            self._report.error(row.place(column), f"`{row[column][:40]}` is no number")
        return number

    def _array(self, row: Row, at: _At, kind: str, keys: dict[str, Any], tags: TagSet) -> None:
        """An array as one tag for each of its values."""
        if not at.items:
            self._report.error(row.place("address"), "an array needs its size", f"{row['address']}[8]")
            return
        text = f"an array: {at.items} tags, `{row['tag name']}.0` to `.{at.items - 1}`"
        self._report.changed(row.place("address"), text)
        for number in range(at.items):
            if tags.full:
                return
            own = {**keys, "address": registers.address(at.table, at.offset + number * _step(at.table, kind))}
            tags.add(f"{row['tag name']}.{number}", own, row.place("tag name"), ".")


def _step(table: str, kind: str) -> int:
    return 1 if table in registers.BITS else registers.SIZE.get(kind, 1)


def _hex_place(text: str, *, one_based: bool) -> tuple[str, int] | str:
    table = registers.BY_DIGIT.get(text[0])
    if table is None:
        return f"`H{text}` begins with {text[0]}: the area is 0, 1, 3 or 4"
    offset = int(text[1:], 16) - one_based
    if not 0 <= offset <= registers.LAST:
        return f"`H{text}` is outside the table"
    return table, offset
