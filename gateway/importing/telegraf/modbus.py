"""[[inputs.modbus]] in its three styles: `register` (one slave), `request`, `metric`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.importing import registers
from gateway.importing.draft import Draft
from gateway.importing.names import literal
from gateway.importing.numbers import decimal, number_of
from gateway.importing.tagset import TagSet
from gateway.importing.telegraf.common import duration, interval, text_of, texts, with_texts
from gateway.importing.views import View

_TYPES = {
    **{f"{sign}INT{bits}": f"{sign}int{bits}".lower() for sign in ("", "U") for bits in (16, 32, 64)},
    "FLOAT32": "float32",
    "FLOAT64": "float64",
    "STRING": "string",
    "BIT": "bool",
    **{f"{sign}INT8{half}": f"{sign}int8".lower() for sign in ("", "U") for half in "LH"},
}
_REGISTER_TYPES = {**_TYPES, "FLOAT32-IEEE": "float32", "FLOAT64-IEEE": "float64"}
_FIXED = {"FIXED": "int", "UFIXED": "uint", "FLOAT32": "uint"}
"""Of the register style: integers as long as their addresses say. `FLOAT32` there is an old name of `UFIXED`."""
_ORDERS = {
    **{order: order for order in registers.ORDERS},
    "": "ABCD",
    "AB": "ABCD",
    "BA": "DCBA",
    "ABCDEFGH": "ABCD",
    "BADCFEHG": "BADC",
    "GHEFCDAB": "CDAB",
    "HGFEDCBA": "DCBA",
}
_STYLES = {"register": (), "request": ("request",), "metric": ("metric",)}
_SECTIONS = {
    "coils": registers.COIL,
    "discrete_inputs": registers.DISCRETE,
    "holding_registers": registers.HOLDING,
    "input_registers": registers.INPUT,
}
_MODES = {"": "tcp", "TCP": "tcp", "RTUOVERTCP": "rtu+tcp", "ASCIIOVERTCP": "ascii+tcp"}
_CONTROLLER = re.compile(r"tcp://(?P<host>\[[^\]]+\]|[^:/]+)(?::(?P<port>[0-9]{1,5}))?/?")
_LONGEST = 250


def draw(plugin: View, general: View | None, draft: Draft) -> None:
    """The channel and devices of one input."""
    _Plugin(plugin, draft).draw(interval(plugin, general, draft))


class _Plugin:
    """One [[inputs.modbus]] on its way to a channel."""

    def __init__(self, view: View, draft: Draft) -> None:
        self._view = view
        self._draft = draft
        self._report = draft.report
        self._name = text_of(view, "name") or "modbus"
        self._channel = ""
        workarounds = view.get("workarounds")
        self._half = workarounds.get("string_register_location") if workarounds is not None else None
        """Where a text has one character in each register, and in which half of it."""

    def draw(self, every: str) -> None:
        where = self._where()
        if where is None:
            return
        self._channel = self._channel_of(where)
        style = text_of(self._view, "configuration_type", "register").lower()
        if style not in _STYLES:
            found = self._view.get("configuration_type")
            hint = "register, request or metric"
            self._report.error((found or self._view).place, f"there is no style `{style[:40]}`", hint)
            return
        fields = list(self._registers() if style == "register" else self._requests(style))
        slaves = sorted({field.slave for field in fields})
        devices = self._draft.channels[self._channel]["devices"]
        more = texts(self._view.get("tags"))
        for slave in slaves:
            name = self._name if len(slaves) == 1 else f"{self._name}_{slave}"
            device = self._draft.device_names.new_id(name, self._view.place)
            tags = TagSet(self._draft, "channels", self._channel, "devices", device)
            self._draft.at(self._view.place, "channels", self._channel, "devices", device)
            seen: set[str] = set()
            for field in fields:
                if field.slave == slave:
                    self._put(field, tags, seen)
            meta = {"name": literal(name), "imported": "Telegraf", **more}
            devices[device] = {"unit_id": slave, "interval": every, "meta": meta, "tags": tags.tags}

    # --- the channel ---------------------------------------------------------------------------------------

    def _where(self) -> dict[str, Any] | None:
        found = self._view.get("controller")
        controller = found.text.strip() if found is not None else ""
        mode = text_of(self._view, "transmission_mode").upper()
        if match := re.fullmatch(r"file://(/.+)", controller):
            return self._serial(match[1], mode)
        match = _CONTROLLER.fullmatch(controller)
        scheme = _MODES.get(mode)
        if match is None or scheme is None:
            text = f"`{controller[:60]}` with mode `{mode}` is no controller" if match is None or mode else ""
            self._report.error(
                (found or self._view).place, text or "no controller", "tcp://HOST:502 or file:///dev/ttyUSB0"
            )
            return None
        for key in ("baud_rate", "data_bits", "parity", "stop_bits"):
            self._view.get(key)
        return {"url": f"{scheme}://{match['host']}:{match['port'] or 502}"}

    def _serial(self, port: str, mode: str) -> dict[str, Any] | None:
        numbers = []
        for key, low, high, default in (
            ("baud_rate", 50, 4_000_000, 9600),
            ("data_bits", 5, 8, 8),
            ("stop_bits", 1, 2, 1),
        ):
            found = self._view.get(key)
            numbers.append(default if found is None else found.as_whole(low, high))
        parity = text_of(self._view, "parity", "N").upper()[:1]
        if parity not in {"N", "E", "O"} or None in numbers:
            self._report.error(self._view.place, "`parity` is N, E or O")
            return None
        serial = {"port": port, "line": f"{numbers[0]}-{numbers[1]}{parity}{numbers[2]}"}
        return {"serial": {**serial, "framing": "ascii"} if mode == "ASCII" else serial}

    def _channel_of(self, where: dict[str, Any]) -> str:
        channels = self._draft.channels
        limit = self._view.get("timeout")
        seconds = limit.as_seconds(1.0) if limit is not None else None
        for known, data in channels.items():
            if data["driver"] == "modbus" and all(data.get(key) == value for key, value in where.items()):
                return str(known)
        channel = self._draft.channel_names.new_id(self._draft.options.channel or self._name, self._view.place)
        longest = {"timeout": duration(seconds)} if seconds else {}
        channels[channel] = {"driver": "modbus", **where, **longest, "devices": {}}
        self._draft.at(self._view.place, "channels", channel)
        return channel

    # --- fields --------------------------------------------------------------------------------------------

    def _slave(self, view: View) -> int | None:
        found = view.get("slave_id")
        if found is None:
            self._report.error(view.place, "`slave_id` is missing", "slave_id = 1")
            return None
        return found.as_whole(0, 255)

    def _registers(self) -> Iterator[_Field]:
        slave = self._slave(self._view)
        for section, table in _SECTIONS.items():
            found = self._view.get(section)
            for entry in (found.as_list() if found is not None else None) or []:
                if entry.as_map() is None or slave is None:
                    continue
                field = _Field(entry, slave, table, text_of(entry, "measurement"), {})
                if field.read_register_style():
                    yield field

    def _requests(self, style: str) -> Iterator[_Field]:
        found = self._view.get(style)
        for request in (found.as_list() if found is not None else None) or []:
            if request.as_map() is None:
                continue
            slave = self._slave(request)
            order = text_of(request, "byte_order").upper()
            table = text_of(request, "register", registers.HOLDING)
            measurement = text_of(request, "measurement")
            more = texts(request.get("tags"))
            fields = request.get("fields")
            for entry in (fields.as_list() if fields is not None else None) or []:
                if entry.as_map() is None or slave is None:
                    continue
                own = text_of(entry, "register", table) if style == "metric" else table
                field = _Field(entry, slave, own, text_of(entry, "measurement", measurement), more)
                if field.read(order):
                    yield field

    def _put(self, field: _Field, tags: TagSet, seen: set[str]) -> None:
        keys = field.keys(self._draft.options.word_order)
        if keys is None:
            return
        if field.kind == "string" and self._half is not None and self._half.text in {"lower", "upper"}:
            text = "a text with one character for each register cannot be read"
            self._report.error(self._half.place, text, f"take the registers of `{field.name}` as UINT16")
            return
        name = f"{field.measurement}\t{field.name}" if field.measurement else field.name
        if name in seen:  # Telegraf tells two fields of one name apart by their tags or tables
            name = f"{name}_{field.table}"
        seen.add(name)
        tags.add(name, with_texts(keys, field.texts), field.view.place, "\t", field.name)


class _Field:
    """One field: where it lies and what it holds."""

    def __init__(self, view: View, slave: int, table: str, measurement: str, more: dict[str, str]) -> None:
        self.view = view
        self.slave = slave
        self.table = table.lower()
        self.measurement = "" if measurement == "modbus" else measurement
        self.texts = more
        self.name = ""
        self.kind = "bool"
        self.word = ""
        self.offset = 0
        self.registers = 1
        self.order = "ABCD"

    def _error(self, key: str, message: str, hint: str = "") -> bool:
        found = self.view.get(key)
        self.view.report.error((found or self.view).place, message, hint)
        return False

    def read(self, order: str) -> bool:
        """The request and metric styles. False where it is left out or wrong, which is reported."""
        omitted = self.view.get("omit")
        if omitted is not None and omitted.as_flag():
            _ = self.view.data
            return False
        place = self.view.get("address")
        offset = place.as_whole(0, registers.LAST) if place is not None else None
        if offset is None:
            return place is None and self._error("address", "a field needs its `address`")
        self.offset = offset
        return self._named() and self._typed(text_of(self.view, "type").upper(), _TYPES, order)

    def read_register_style(self) -> bool:
        """The register style: addresses are a list."""
        listed = self.view.get("address")
        places = [each.as_whole(0, registers.LAST) for each in (listed.as_list() if listed is not None else None) or []]
        if not places or None in places:
            return listed is None and self._error("address", "a field needs its `address`", "address = [0]")
        numbers = [number for number in places if number is not None]
        self.offset, self.registers = numbers[0], len(numbers)
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            return self._error("address", "the addresses of a field follow each other")
        word = text_of(self.view, "data_type").upper()
        if word in _FIXED and self.table not in registers.BITS:
            if len(numbers) not in {1, 2, 4}:
                return self._error("address", f"{word} has 1, 2 or 4 registers")
            self.kind = f"{_FIXED[word]}{16 * len(numbers)}"
            if word == "FLOAT32":
                text = "FLOAT32 is an old name of UFIXED, an unsigned whole number; FLOAT32-IEEE is the float"
                self.view.report.changed((self.view.get("data_type") or self.view).place, text)
            return self._named() and self._ordered(text_of(self.view, "byte_order").upper())
        right = self._named() and self._typed(word, _REGISTER_TYPES, text_of(self.view, "byte_order").upper())
        if (
            right
            and self.table not in registers.BITS
            and registers.SIZE.get(self.kind, 1) != len(numbers)
            and self.kind != "string"
        ):
            return self._error("address", f"{word} has {registers.SIZE[self.kind]} registers, here are {len(numbers)}")
        return right

    def _named(self) -> bool:
        self.name = text_of(self.view, "name")
        return bool(self.name) or self._error("name", "a field needs its `name`")

    def _typed(self, word: str, types: dict[str, str], order: str) -> bool:
        if self.table not in {registers.COIL, registers.DISCRETE, registers.HOLDING, registers.INPUT}:
            return self._error("register", f"there is no table `{self.table[:40]}`", "coil, discrete, holding or input")
        self.word = word
        if self.table in registers.BITS:
            for key in ("type", "data_type", "scale", "output", "byte_order"):
                self.view.get(key)  # without meaning there for Telegraf, too
            return True
        kind = types.get(word)
        if kind is None:
            return self._error("type", f"there is no type `{word[:40]}` here", f"known: {', '.join(types)}")
        self.kind = kind
        return self._ordered(order)

    def _ordered(self, order: str) -> bool:
        if order not in _ORDERS:
            return self._error("byte_order", f"there is no order `{order[:20]}`", "ABCD, BADC, CDAB or DCBA")
        self.order = _ORDERS[order]
        return True

    def keys(self, wanted_order: str) -> dict[str, Any] | None:
        """The tag's keys; None where they are wrong, which is reported."""
        if not registers.has_room(self.table, self.offset, self.kind):
            self._error("address", "it ends behind the last register")
            return None
        order = wanted_order if wanted_order and self.view.get("byte_order") is None else self.order
        keys: dict[str, Any] = {"address": registers.address(self.table, self.offset), "type": self.kind}
        if self.table in registers.BITS:
            return keys
        if self.word.endswith(("8L", "8H")):
            high = self.word.endswith("H") == (self.order in {"ABCD", "CDAB"})
            keys["address"] = registers.address(self.table, self.offset, "high" if high else "low")
        elif self.kind == "bool":
            bit = self.view.get("bit")
            number = 0 if bit is None else bit.as_whole(0, 15)
            if number is None:
                return None
            keys["address"] = registers.address(self.table, self.offset, number)
        elif self.kind == "string":
            return self._text(keys, order)
        if letters := registers.order(order, self.kind):
            keys["word_order"] = letters
        return keys if self._scaled(keys) else None

    def _text(self, keys: dict[str, Any], order: str) -> dict[str, Any] | None:
        length = self.view.get("length")
        number = self.registers if length is None else length.as_whole(1, _LONGEST // 2)
        if number is None:
            return None
        keys["length"] = 2 * number
        if order in {"BADC", "DCBA"}:
            keys["word_order"] = "BADC"
        return keys

    def _scaled(self, keys: dict[str, Any]) -> bool:
        output = text_of(self.view, "output").upper()
        scale = self.view.get("scale")
        if scale is None:
            return True
        number = number_of(scale.text)
        if number is None:
            return self._error("scale", f"`{scale.text[:40]}` is no number")
        if number not in {0, 1} and self.kind != "bool":
            keys["scale"] = decimal(number)
            if output in {"INT64", "UINT64"} and number.denominator != 1:
                self.view.report.changed(scale.place, f"the fraction is kept; Telegraf made an {output} of it")
        return True
