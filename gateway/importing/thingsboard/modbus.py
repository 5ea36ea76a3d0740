"""A Modbus connector: each slave a device, each of its lists tags.

Keys and meanings as in ThingsBoard's documentation of the Modbus connector and in its samples: addresses count from 0,
function codes name the table, `byteOrder` and `wordOrder` say how registers lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from gateway.importing import registers
from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.numbers import decimal, number_of
from gateway.importing.tagset import TagSet
from gateway.importing.thingsboard.common import milliseconds, reporting
from gateway.importing.views import View

_FIXED = {
    **{f"{bits}{sign}": f"{sign}{bits}" for bits in (8, 16, 32, 64) for sign in ("int", "uint")},
    "32float": "float32",
    "64float": "float64",
    "bit": "bool",
    "bits": "bool",
    "string": "string",
    "bytes": "bytes",
}
_BY_SIZE = {"int": "int", "integer": "int", "long": "int", "uint": "uint", "float": "float", "double": "float"}
_PARITY = {"N": "N", "E": "E", "O": "O", "NONE": "N", "EVEN": "E", "ODD": "O"}
_RANGE = re.compile(r"(?P<first>[0-9]{1,5})-(?P<last>[0-9]{1,5})")
_LONGEST = 250
_MOST_OF_A_RANGE = 20_000


def draw(connector: View, draft: Draft) -> None:
    """Channels and devices of a connector."""
    if (own := connector.get("slave")) is not None:
        draft.report.ignored(own.place, "`slave` makes ThingsBoard a server itself: `servers` of gateway.yaml are ours")
        _ = own.data  # told as a whole
    master = connector.get("master")
    slaves = master.get("slaves") if master is not None else None
    for slave in (slaves.as_list() if slaves is not None else None) or []:
        if slave.as_map() is not None:
            _Slave(slave, draft).draw()


class _Slave:
    """One slave on its way to a device."""

    def __init__(self, view: View, draft: Draft) -> None:
        self._view = view
        self._draft = draft
        self._report = draft.report
        self._places: dict[tuple[str, int, int | None], str] = {}
        """Paths by table, offset and bit: what a later list writes."""
        self._commands: dict[str, Any] = {}

    def draw(self) -> None:
        where = self._where()
        unit = self._whole("unitId", 0, 255, 1)
        name = self._text("deviceName") or f"unit{unit}"
        if where is None:
            return
        channel = self._channel(where, name)
        device = self._draft.device_names.new_id(name, self._view.place)
        tags = TagSet(self._draft, "channels", channel, "devices", device)
        self._draft.at(self._view.place, "channels", channel, "devices", device)
        self._tags(tags)
        keys: dict[str, Any] = {"unit_id": unit, "meta": {"name": literal(name), "imported": "ThingsBoard"}}
        if kind := self._text("deviceType"):
            keys["meta"]["type"] = literal(kind)
        if period := self._draft.options.interval or milliseconds(self._view.get("pollPeriod")):
            keys["interval"] = period
        if self._commands:
            keys["commands"] = self._commands
        self._draft.channels[channel]["devices"][device] = {**keys, "tags": tags.tags}

    def _text(self, key: str) -> str:
        found = self._view.get(key)
        return (found.as_text() or "") if found is not None else ""

    def _whole(self, key: str, low: int, high: int, default: int) -> int:
        found = self._view.get(key)
        number = found.as_whole(low, high) if found is not None else None
        return default if number is None else number

    # --- the channel ---------------------------------------------------------------------------------------

    def _where(self) -> dict[str, Any] | None:
        method, kind = self._text("method").lower(), self._text("type").lower()
        if kind == "serial":
            return self._serial(method)
        scheme = {"rtu": "rtu+tcp", "ascii": "ascii+tcp"}.get(method, "tls" if kind == "tls" else "tcp")
        if kind == "udp":
            self._report.error(self._view.get("type").place, "Modbus over UDP is not spoken here")  # type: ignore[union-attr]
            return None
        if self._view.get("tls") is not None or self._view.get("security") is not None:
            self._report.warning(self._view.place, "certificates are not taken over: see `tls` of the Modbus driver")
        host = self._text("host")
        if not host:
            self._report.error(self._view.place, "a slave needs its `host`")
            return None
        port = self._whole("port", 1, 65535, 502)
        return {"url": f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"}

    def _serial(self, method: str) -> dict[str, Any] | None:
        port = self._text("port") or self._text("serialPort")
        parity = _PARITY.get(self._text("parity").upper() or "N")
        if not port or parity is None:
            self._report.error(self._view.place, "a serial slave needs its `port`, and a `parity` of N, E or O")
            return None
        baud = self._whole("baudrate", 50, 4_000_000, 19200)
        line = f"{baud}-{self._whole('bytesize', 5, 8, 8)}{parity}{self._whole('stopbits', 1, 2, 1)}"
        serial: dict[str, Any] = {"port": port, "line": line}
        if method == "ascii":
            serial["framing"] = "ascii"
        return {"serial": serial}

    def _channel(self, where: dict[str, Any], name: str) -> str:
        channels = self._draft.channels
        for known, data in channels.items():
            if data["driver"] == "modbus" and all(data.get(key) == value for key, value in where.items()):
                return known
        timeout = self._whole("timeout", 1, 3600, 0)
        channel = self._draft.channel_names.new_id(name, self._view.place)
        limit = {"timeout": f"{timeout}s"} if timeout else {}
        channels[channel] = {"driver": "modbus", **where, **limit, "devices": {}}
        self._draft.at(self._view.place, "channels", channel)
        return channel

    # --- tags ----------------------------------------------------------------------------------------------

    def _tags(self, tags: TagSet) -> None:
        inherited = reporting(self._view, {})
        for section, extra in (("timeseries", {}), ("attributes", {"on_change": True})):
            for entry in self._entries(section):
                self._entry(entry, tags, {**extra, **inherited})
        for section in ("attributeUpdates", "rpc"):
            for name, entry in self._named(section):
                self._written(name, entry, tags, is_call=section == "rpc")

    def _entries(self, section: str) -> Iterator[View]:
        found = self._view.get(section)
        for entry in (found.as_list() if found is not None else None) or []:
            if entry.as_map() is not None:
                yield entry

    def _named(self, section: str) -> Iterator[tuple[str, View]]:
        """A list of entries with their `tag`, or a mapping by name."""
        found = self._view.get(section)
        if found is None:
            return
        if found.is_map:
            yield from ((name, entry) for name, entry in found.entries() if entry.as_map() is not None)
            return
        for entry in self._entries(section):
            named = entry.get("tag", "method")
            name = named.as_text() if named is not None else None
            if name:
                yield name, entry
            else:
                self._report.error(entry.place, "an entry has no `tag`")

    def _entry(self, entry: View, tags: TagSet, report: dict[str, Any]) -> None:
        named = entry.get("tag")
        name = named.as_text() if named is not None else None
        if not name:
            self._report.error(entry.place, "an entry has no `tag`")
            return
        kind = _Kind.of(entry, self._order(entry))
        if kind is None:
            return
        written = entry.get("address")
        match = _RANGE.fullmatch(written.text.strip()) if written is not None else None
        if match is None:
            offset = written.as_whole(0, registers.LAST) if written is not None else None
            if written is None:
                self._report.error(entry.place, "an entry has no `address`")
            if offset is not None:
                self._put(name, entry, tags, kind, offset, report)
            return
        first, last = int(match["first"]), int(match["last"])
        if last < first or (last - first) // kind.step > _MOST_OF_A_RANGE:
            self._report.error(written.place, "the range ends before it starts" if last < first else "too many tags")  # type: ignore[union-attr]
            return
        for offset in range(first, last - kind.step + 2, kind.step):
            if tags.full:
                return
            self._put(_filled(name, offset, entry), entry, tags, kind, offset, report)

    def _put(
        self, name: str, entry: View, tags: TagSet, kind: _Kind, offset: int, report: dict[str, Any]
    ) -> str | None:
        keys = kind.keys(offset, self._draft)
        if keys is None:
            return None
        keys |= reporting(entry, report)
        if kind.count > 1 and kind.type == "bool":
            for number in range(kind.count):
                self._one(f"{name}/{number}", entry, tags, {**keys, "address": kind.address(offset, number)}, "/")
            self._report.changed(entry.place, f"`{name}` is {kind.count} bits: a tag for each of them")
            return None
        path = self._one(name, entry, tags, keys, "")
        if path is not None:
            self._places[kind.place(offset)] = path
        return path

    def _one(self, name: str, entry: View, tags: TagSet, keys: dict[str, Any], separator: str) -> str | None:
        return tags.add(name, dict(keys), entry.place, separator)

    def _order(self, entry: View) -> str:
        """Letters of byteOrder and wordOrder, of the entry or the slave."""
        if self._draft.options.word_order and self._view.get("byteOrder", "wordOrder") is None:
            return self._draft.options.word_order
        both = []
        for key in ("byteOrder", "wordOrder"):
            found = entry.get(key) or self._view.get(key)
            if found is None:
                self._report.guessed(self._view.place, f"no `{key}`: LITTLE, as ThingsBoard takes it")
            word = (found.as_text() or "").upper() if found is not None else ""
            if found is not None and word not in {"BIG", "LITTLE"}:
                self._report.error(found.place, f"`{key}` is BIG or LITTLE, not `{word[:20]}`")
            both.append(word != "BIG")
        return {(False, False): "ABCD", (True, False): "BADC", (False, True): "CDAB", (True, True): "DCBA"}[
            (both[0], both[1])
        ]

    def _written(self, name: str, entry: View, tags: TagSet, *, is_call: bool) -> None:
        """An entry that writes, or a call: the tag at its place becomes writable, or a new one is made."""
        kind = _Kind.of(entry, self._order(entry))
        written = entry.get("address")
        offset = written.as_whole(0, registers.LAST) if written is not None else None
        if kind is None or offset is None:
            if written is None:
                self._report.error(entry.place, "an entry has no `address`")
            return
        path = self._places.get(kind.place(offset))
        if path is None:
            keys = kind.keys(offset, self._draft)
            if keys is None:
                return
            if kind.writes:
                keys["access"] = "w"
            else:
                keys["on_demand"] = True
            path = tags.add(name, keys, entry.place)
            if path is None:
                return
            self._places[kind.place(offset)] = path
        elif kind.writes:
            known = tags.tags[path]
            known["access"] = "w" if known.get("access") == "w" else "rw"
        elif tags.tags[path].get("access") == "w":  # the call that writes came before the one that reads
            tags.tags[path] |= {"access": "rw", "on_demand": True}
        if is_call and path != name:
            if name in self._commands:
                self._report.error(entry.place, f"there are two calls `{name}`")
            self._commands[name] = {"access": "w" if kind.writes else "r", "tags": [path]}


class _Kind:
    """What an entry holds: type, size, table and factor."""

    def __init__(self, entry: View, type_: str, table: str, count: int, order: str) -> None:
        self.entry = entry
        self.type = type_
        self.table = table
        self.count = count
        self.order = order
        self.bit: int | None = None
        self.writes = False
        self.factor: Fraction | None = None

    @classmethod
    def of(cls, entry: View, order: str) -> _Kind | None:
        """The kind of an entry; None where something is wrong, which is reported."""
        number, typed = entry.get("functionCode"), entry.get("type")
        code = number.as_whole() if number is not None else None
        if code not in registers.BY_FUNCTION:
            entry.report.error((number or entry).place, "`functionCode` is 1 to 4 to read, 5, 6, 15 or 16 to write")
            return None
        many = entry.get("objectsCount", "registerCount", "registersCount")
        count = (many.as_whole(1, 2000) if many is not None else 1) or 1
        word = (typed.as_text() or "").lower() if typed is not None else ""
        table = registers.BY_FUNCTION[code]
        type_ = _FIXED.get(word) or _by_size(word, count)
        if table in registers.BITS and type_ is not None and word:
            type_ = "bool"
        if type_ is None:
            entry.report.error((typed or entry).place, f"there is no type `{word[:40]}` of {count} registers here")
            return None
        kind = cls(entry, type_, table, count, order)
        kind.writes = code > 4
        return kind if kind._more() else None

    def _more(self) -> bool:
        bit = self.entry.get("bit")
        if bit is not None:
            self.bit = bit.as_whole(0, 15)
            if self.bit is None:
                return False
            self.count = 1
        self.entry.get("bitTargetType")  # a bit is true or false here
        for key in ("divider", "multiplier"):
            found = self.entry.get(key)
            if found is None or self.factor is not None:
                continue
            number = number_of(found.text)
            if number is None or number == 0:
                self.entry.report.error(found.place, f"`{key}` is a number, and not 0")
                return False
            self.factor = 1 / number if key == "divider" else number
        return True

    @property
    def step(self) -> int:
        """How far the next one of a range of addresses is."""
        return max(self.count, 1)

    def place(self, offset: int) -> tuple[str, int, int | None]:
        return self.table, offset, self.bit

    def address(self, offset: int, number: int = 0) -> str:
        if self.type != "bool":
            return registers.address(self.table, offset, "high" if self.type in {"int8", "uint8"} else "")
        if self.table in registers.BITS:
            return registers.address(self.table, offset + (self.bit or 0) + number)
        bit = number if self.bit is None else self.bit
        return registers.address(self.table, offset + bit // 16, bit % 16)

    def keys(self, offset: int, draft: Draft) -> dict[str, Any] | None:
        """address, type, length, word_order and scale of an entry at an offset."""
        if self.table not in registers.BITS and self.type == "bool" and self.bit is None and self.count == 1:
            self.count = 16
        span = self.count if self.type in {"string", "bytes"} else 1
        if offset + span - 1 > registers.LAST or not registers.has_room(self.table, offset, self.type):
            draft.report.error(self.entry.place, "it ends behind the last register")
            return None
        keys: dict[str, Any] = {"address": self.address(offset), "type": self.type}
        if self.type in {"string", "bytes"}:
            if self.count * 2 > _LONGEST:
                draft.report.error(self.entry.place, f"a text has at most {_LONGEST} bytes")
                return None
            keys["length"] = self.count * 2
        elif letters := registers.order(self.order, self.type):
            keys["word_order"] = letters
        if self.factor is not None and self.factor != 1 and self.type not in {"bool", "string", "bytes"}:
            keys["scale"] = decimal(self.factor)
        return keys


def _by_size(word: str, count: int) -> str | None:
    """`int` of two registers is an int32."""
    base = _BY_SIZE.get(word)
    kind = f"{base}{count * 16}" if base else ""
    return kind if kind in registers.SIZE else None


def _filled(name: str, offset: int, entry: View) -> str:
    """The name of one tag of a range of addresses."""
    filled = name.replace("${address}", str(offset))
    for key in ("type", "functionCode", "objectsCount", "unitId"):
        found = entry.get(key)
        filled = filled.replace(f"${{{key}}}", found.text if found is not None else "")
    return filled if filled != name else f"{name}_{offset}"
