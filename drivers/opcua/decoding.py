"""Notifications and answers of reads from their bytes, without an object per value.

asyncua makes a tree of objects for each value; at 10,000 changes a second that is most of what a gateway would do. The
forms here are those of OPC 10000-6, 5.2: numbers of all kinds take one unpack; whatever else comes goes to asyncua.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import extensionobject_from_binary, nodeid_from_binary, variant_from_binary

Item = Callable[[int, int, Any, int, int], None]
"""Told (key, built-in type, value, status, ticks): key is the client handle or the place in a read."""

_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_I64 = struct.Struct("<q")
_NOTIFICATION = 811
_EVENTS = 916
_STATUS_CHANGE = 820
_PUBLISH = 829
_READ = 634
_FAULT = 397
_CODES = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
_EPOCH_MS = 11_644_473_600_000
_TICKS_PER_MS = 10_000

# mask of a DataValue: value 1, status 2, source time 4, server time 8, picoseconds 0x10 and 0x20
_STRUCTURE, _ARRAY = 22, 0x80
_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PICO, _SERVER_PICO = 1, 2, 4, 8, 16, 32


class Malformed(ValueError):
    """Bytes that are no answer of the kind that was asked for."""


class Refused(Exception):
    """The server answered with a fault. `code`: its status."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:#010x}")
        self.code = code


def unix_ms(ticks: int) -> int:
    """100 ns since 1601 as UTC ms."""
    return ticks // _TICKS_PER_MS - _EPOCH_MS


def _form(code: str, mask: int) -> str:
    """The fields of a DataValue behind its mask and type: value, status, both times; picoseconds are passed over."""
    source = "q" + ("2x" if mask & _SOURCE_PICO else "") if mask & _SOURCE else ""
    server = "q" + ("2x" if mask & _SERVER_PICO else "") if mask & _SERVER else ""
    return code + ("I" if mask & _STATUS else "") + source + server


def _possible(mask: int) -> bool:
    """A mask with a value, and no picoseconds without their time."""
    sense = bool(mask & _SOURCE or not mask & _SOURCE_PICO) and bool(mask & _SERVER or not mask & _SERVER_PICO)
    return bool(mask & _VALUE) and sense


_FORMS = {
    kind << 8 | mask: struct.Struct("<" + _form(code, mask))
    for kind, code in _CODES.items()
    for mask in range(64)
    if _possible(mask)
}
"""type << 8 | mask -> how a number lies behind these two."""
_USUAL = {
    kind << 8 | mask: struct.Struct("<IH" + _form(code, mask)) for kind, code in _CODES.items() for mask in (13, 61)
}
"""The usual item of a notification, whole: handle, mask and type, a number, both times; its status is good."""
_HEAD = struct.Struct("<IH")


class Reader:
    """A cursor over one message. Raises Malformed where the bytes end too early."""

    __slots__ = ("data", "place")

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data = data
        self.place = place

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.place)[0]
        self.place += 4
        return value

    def count(self) -> int:
        """Length of an array or a text; null is 0."""
        value: int = _I32.unpack_from(self.data, self.place)[0]
        self.place += 4
        if value > len(self.data) - self.place:
            raise Malformed(f"{value} elements in {len(self.data) - self.place} bytes")
        return max(value, 0)

    def skip(self, size: int) -> None:
        self.place += size
        if self.place > len(self.data):
            raise Malformed("the message ends too early")

    def node_id(self) -> int:
        """A numeric node id of namespace 0, or -1 for any other."""
        form = self.data[self.place]
        if form == 0:
            self.place += 2
            return self.data[self.place - 1]
        if form == 1:
            space, number = struct.unpack_from("<BH", self.data, self.place + 1)
            self.place += 4
            return int(number) if space == 0 else -1
        if form == 2:
            space, number = struct.unpack_from("<HI", self.data, self.place + 1)
            self.place += 7
            return int(number) if space == 0 else -1
        if form in {3, 5}:
            self.place += 3
            self.skip(self.count())
            return -1
        if form == 4:
            self.skip(19)
            return -1
        raise Malformed(f"node id of form {form}")

    def diagnostics(self, depth: int = 0) -> None:
        """A DiagnosticInfo, passed over."""
        mask = self.data[self.place]
        self.place += 1
        for bit in (1, 2, 4, 8):
            if mask & bit:
                self.skip(4)
        if mask & 16:
            self.skip(self.count())
        if mask & 32:
            self.skip(4)
        if mask & 64:
            if depth > 8:
                raise Malformed("diagnostics nested too deep")
            self.diagnostics(depth + 1)

    def header(self, wanted: int) -> None:
        """Type id and response header. Raises Refused for a fault, Malformed for another answer."""
        kind = self.node_id()
        self.skip(12)
        code = self.u32()
        self.diagnostics()
        for _ in range(self.count()):
            self.skip(self.count())
        self.node_id()
        if self.data[self.place] & 3:
            self.place += 1
            self.skip(self.count())
        else:
            self.place += 1
        if code & 0x80000000:
            raise Refused(code)
        if kind != wanted:
            raise Malformed(f"answer {kind}, wanted {wanted}")

    def data_value(self, key: int, tell: Item) -> None:
        """One DataValue."""
        data, place = self.data, self.place
        mask = data[place]
        if mask & _VALUE:
            kind = data[place + 1]
            form = _FORMS.get(kind << 8 | mask)
            if form is not None:
                fields = form.unpack_from(data, place + 2)
                self.place = place + 2 + form.size
                status = fields[1] if mask & _STATUS else 0
                # the source's time stands before the server's, which counts where the source has none
                times = fields[2 if mask & _STATUS else 1 :]
                tell(key, kind, fields[0], status, next((ticks for ticks in times if ticks), 0))
                return
        self._any_value(key, mask, tell)

    def _any_value(self, key: int, mask: int, tell: Item) -> None:
        self.place += 1
        kind, value = self._variant() if mask & _VALUE else (0, None)
        status = self.u32() if mask & _STATUS else 0
        source = server = 0
        if mask & _SOURCE:
            source = _I64.unpack_from(self.data, self.place)[0]
            self.place += 8
        if mask & _SOURCE_PICO:
            self.place += 2
        if mask & _SERVER:
            server = _I64.unpack_from(self.data, self.place)[0]
            self.place += 8
        if mask & _SERVER_PICO:
            self.place += 2
        tell(key, kind, value, status, source or server)

    def _variant(self) -> tuple[int, Any]:
        kind = self.data[self.place] & 0x3F
        if self.data[self.place] == 12:  # a text
            self.place += 1
            if _I32.unpack_from(self.data, self.place)[0] < 0:
                self.place += 4
                return kind, None
            size = self.count()
            self.place += size
            return kind, self.data[self.place - size : self.place].decode("utf-8", "replace")
        if self.data[self.place] == _STRUCTURE:
            self.place += 1
            return kind, self._structure()
        if self.data[self.place] == _STRUCTURE | _ARRAY:
            self.place += 1
            return kind, [self._structure() for _ in range(self.count())]
        buffer = ua.utils.Buffer(self.data, self.place)
        variant = variant_from_binary(buffer)
        self.place = buffer.cur_pos
        return kind, variant.Value

    def _structure(self) -> Any:
        """An ExtensionObject. One of a type that nobody knows, or that is not as its type says, costs only itself."""
        buffer = ua.utils.Buffer(self.data, self.place)
        kind = nodeid_from_binary(buffer)
        start, form = buffer.cur_pos, self.data[buffer.cur_pos]
        begin, self.place = self.place, start + 1
        body = b""
        if form & 3:
            size = self.count()
            body = self.data[self.place : self.place + size]
            self.place += size
        try:
            return extensionobject_from_binary(ua.utils.Buffer(self.data[begin : self.place]))
        except Exception:  # whatever asyncua trips over
            return ua.ExtensionObject(TypeId=kind, Body=body)


def fault_of(data: bytes) -> int:
    """The status of a fault, 0 where the bytes are none."""
    try:
        Reader(data).header(_FAULT)
    except Refused as error:
        return error.code
    except (Malformed, struct.error, IndexError):
        pass
    return 0


class Publication:
    """What one publish answer said beside the values. `acknowledge`: whether it has a number to be acknowledged."""

    __slots__ = ("acknowledge", "events", "more", "sequence", "status", "subscription", "values")

    def __init__(self) -> None:
        self.subscription = 0
        self.sequence = 0
        self.more = False
        self.values = 0
        self.acknowledge = False
        self.events: list[Any] = []
        self.status = 0


def publication(data: bytes, tell: Item) -> Publication:
    """A publish answer; each value is told. Raises Refused, Malformed."""
    try:
        return _publication(Reader(data), tell)
    except (Refused, Malformed):
        raise
    except Exception as error:  # whatever asyncua trips over, too
        raise Malformed(f"a notification that cannot be read: {error!r}") from error


def _publication(reader: Reader, tell: Item) -> Publication:
    reader.header(_PUBLISH)
    found = Publication()
    found.subscription = reader.u32()
    reader.skip(4 * reader.count())
    found.more = bool(reader.data[reader.place])
    reader.skip(1)
    found.sequence = reader.u32()
    reader.skip(8)
    for _ in range(reader.count()):
        found.acknowledge = True
        start = reader.place
        kind = reader.node_id()
        reader.skip(1)
        end = reader.count() + reader.place
        if kind == _NOTIFICATION:
            found.values += _items(reader, tell)
        elif kind == _EVENTS:
            found.events.append(extensionobject_from_binary(ua.utils.Buffer(reader.data, start)))
        elif kind == _STATUS_CHANGE:
            found.status = reader.u32()
        reader.place = end
    for _ in range(reader.count()):  # what became of our acknowledgements
        reader.skip(4)
    reader.count()  # diagnostics
    return found


def _items(reader: Reader, tell: Item) -> int:
    """MonitoredItemNotifications; the loop that everything waits for."""
    data, usual, head = reader.data, _USUAL, _HEAD.unpack_from
    count = reader.count()
    for _ in range(count):
        place = reader.place
        handle, key = head(data, place)
        form = usual.get(key)
        if form is not None:
            _, _, value, source, server = form.unpack_from(data, place)
            reader.place = place + form.size
            tell(handle, key >> 8, value, 0, source or server)
        else:
            reader.place = place + 4
            reader.data_value(handle, tell)
    return count


def read_answer(data: bytes, tell: Item) -> int:
    """The answer of a read; each value is told by its place. Returns how many. Raises Refused, Malformed."""
    reader = Reader(data)
    try:
        reader.header(_READ)
        count = reader.count()
        for place in range(count):
            reader.data_value(place, tell)
        reader.count()  # diagnostics
    except (Refused, Malformed):
        raise
    except Exception as error:  # whatever asyncua trips over, too
        raise Malformed(f"an answer that cannot be read: {error!r}") from error
    return count
