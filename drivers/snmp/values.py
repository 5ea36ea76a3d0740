"""Values of SNMP (RFC 2578, RFC 3416) as raw values of tags, and the other way round."""

from __future__ import annotations

import math
import struct
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from pyasn1.type import univ
from pysnmp.proto import rfc1902, rfc1905

from drivers.snmp.oid import oid_of, text_of
from drivers.snmp.settings import TagSettings
from gateway.errors import BadFrame, WriteRejected
from gateway.model import TagSpec, Value, ValueType
from gateway.textvalues import raw_of
from gateway.transform import RAW, to_raw

_ABSENT = {
    rfc1905.NoSuchObject: "noSuchObject: the agent does not know this OID",
    rfc1905.NoSuchInstance: "noSuchInstance: the object is known, not this instance of it",
    rfc1905.EndOfMibView: "endOfMibView: nothing is there",
}
_NUMBERS = (rfc1902.Integer32, rfc1902.Counter32, rfc1902.Gauge32, rfc1902.TimeTicks, rfc1902.Counter64)
# Floats have no type of their own in SNMP: they travel in Opaque, as net-snmp and many power meters do it.
_OPAQUE_FLOATS = {b"\x9f\x78\x04": ">f", b"\x9f\x79\x08": ">d"}
_OPAQUE_HEAD = 3
_TRUE, _FALSE = 1, 2  # TruthValue, RFC 2579
_MAX_OCTETS = 65535


class NoValue(Exception):  # noqa: N818 - it is an answer about a value, not a failure
    """The agent gave something that is no value of this tag; the text is for people."""


def raw_value(spec: TagSpec, value: Any) -> Value:
    """The raw value that `value` is for a tag. Raises NoValue."""
    for kind, text in _ABSENT.items():
        if isinstance(value, kind):
            raise NoValue(text)
    if isinstance(value, _NUMBERS):
        return _of_number(spec, int(value))
    if isinstance(value, rfc1902.Opaque):
        return _of_opaque(spec, bytes(value))
    if isinstance(value, rfc1902.IpAddress):
        octets = bytes(value)
        return octets if spec.type is ValueType.BYTES else _of_text(spec, ".".join(map(str, octets)))
    if isinstance(value, rfc1902.OctetString):
        return _of_octets(spec, bytes(value))
    if isinstance(value, univ.ObjectIdentifier):
        return _of_text(spec, text_of(tuple(value)))
    raise NoValue("the agent gave no value (null)")


def _of_number(spec: TagSpec, number: int) -> Value:
    source: TagSettings = spec.source
    if spec.type is ValueType.STRING:
        return str(number)
    if spec.type is ValueType.BYTES:
        raise NoValue(f"a number ({number}), not octets")
    if spec.type is ValueType.BOOL:
        if source.syntax != "truth":
            return number != 0
        if number not in (_TRUE, _FALSE):
            raise NoValue(f"{number} is no TruthValue: 1 is true, 2 is false")
        return number == _TRUE
    kind = RAW[spec.type]
    if kind.is_float:
        return float(number)
    if not kind.low <= number <= kind.high:
        raise NoValue(f"{number} does not fit into {spec.type.value}")
    return number


def _of_opaque(spec: TagSpec, octets: bytes) -> Value:
    form = _OPAQUE_FLOATS.get(octets[:_OPAQUE_HEAD])
    if form is None or len(octets) != _OPAQUE_HEAD + struct.calcsize(form):
        return _of_octets(spec, octets)
    number = struct.unpack(form, octets[_OPAQUE_HEAD:])[0]
    if spec.type in (ValueType.STRING, ValueType.BYTES):
        return _of_text(spec, repr(number))
    if spec.type is ValueType.BOOL or not RAW[spec.type].is_float:
        raise NoValue(f"a float ({number}) for a tag of type {spec.type.value}")
    if not math.isfinite(number):
        raise NoValue(f"{number} is no number")
    return float(number)


def _of_octets(spec: TagSpec, octets: bytes) -> Value:
    source: TagSettings = spec.source
    if spec.type is ValueType.BYTES:
        return octets
    if source.syntax in ("hex", "bits"):
        return octets.hex(":")
    # Many agents end a text with a zero byte that is no part of it.
    return _of_text(spec, octets.rstrip(b"\0").decode("utf-8", "replace"))


def _of_text(spec: TagSpec, text: str) -> Value:
    """Numbers come as text, too: `DisplayString` is how many power supplies tell a temperature."""
    if spec.type is ValueType.STRING:
        return text
    if spec.type is ValueType.BYTES:
        return text.encode()
    try:
        return raw_of(spec, text.strip())
    except BadFrame as error:
        raise NoValue(f"text {text[:40]!r}, not {spec.type.value}") from error


def to_send(spec: TagSpec, value: Value) -> Any:
    """The value of SNMP to write. Raises WriteRejected for what is none."""
    source: TagSettings = spec.source
    if spec.type is ValueType.STRING or spec.type is ValueType.BYTES:
        return _octets_to_send(source, spec.type, value)
    raw = to_raw(spec, value)
    if source.syntax == "truth":
        return rfc1902.Integer32(_TRUE if raw else _FALSE)
    if source.syntax == "auto" and RAW[spec.type].is_float:
        return rfc1902.OctetString(repr(raw).encode())
    if not float(raw).is_integer():
        raise WriteRejected(f"{raw} is no whole number", code=422)
    number = int(raw)
    syntax = source.syntax
    if syntax == "auto":
        syntax = "unsigned" if spec.type in (ValueType.UINT32, ValueType.UINT64) else "integer"
    low, high, kind = _SENT[syntax]
    if not low <= number <= high:
        raise WriteRejected(f"{number} does not fit into {syntax}: {low} to {high}", code=422)
    return kind(number)


_SENT: dict[str, tuple[int, int, Any]] = {
    "integer": (-(2**31), 2**31 - 1, rfc1902.Integer32),
    "unsigned": (0, 2**32 - 1, rfc1902.Gauge32),
    "ticks": (0, 2**32 - 1, rfc1902.TimeTicks),
}


def _octets_to_send(source: TagSettings, kind: ValueType, value: Value) -> Any:
    wanted = bytes if kind is ValueType.BYTES else str
    if not isinstance(value, wanted):
        raise WriteRejected(f"{value!r} is no {kind.value}", code=422)
    octets = value if isinstance(value, bytes) else str(value).encode()
    try:
        if isinstance(value, str):
            if source.syntax == "ip":
                return rfc1902.IpAddress(str(IPv4Address(value)))
            if source.syntax == "oid":
                return rfc1902.ObjectIdentifier(oid_of(value))
            if source.syntax in ("hex", "bits"):
                octets = bytes.fromhex(value.replace(":", " "))
    except (ValueError, AddressValueError) as error:
        raise WriteRejected(str(error), code=422) from error
    if len(octets) > _MAX_OCTETS:
        raise WriteRejected(f"{len(octets)} octets: at most {_MAX_OCTETS} can be sent", code=422)
    return rfc1902.OctetString(octets)


_TYPES: tuple[tuple[Any, str], ...] = (
    (rfc1902.Counter64, "uint64"),
    (rfc1902.TimeTicks, "uint32"),
    (rfc1902.Counter32, "uint32"),
    (rfc1902.Gauge32, "uint32"),
    (rfc1902.Integer32, "int32"),
)


def described(value: Any) -> tuple[str, str, Any]:
    """Name of the SNMP type, type of a tag for it, and the value as JSON has it; for browsing."""
    name = type(value).__name__
    for kind, tag_type in _TYPES:
        if isinstance(value, kind):
            return name, tag_type, int(value)
    if isinstance(value, rfc1902.IpAddress):
        return name, "string", ".".join(map(str, bytes(value)))
    if isinstance(value, rfc1902.Opaque) and bytes(value)[:_OPAQUE_HEAD] in _OPAQUE_FLOATS:
        form = _OPAQUE_FLOATS[bytes(value)[:_OPAQUE_HEAD]]
        body = bytes(value)[_OPAQUE_HEAD:]
        number = struct.unpack(form, body)[0] if len(body) == struct.calcsize(form) else math.nan
        return name, "float64", number if math.isfinite(number) else None
    if isinstance(value, rfc1902.OctetString):
        octets = bytes(value)
        try:
            text = octets.rstrip(b"\0").decode()
        except UnicodeDecodeError:
            return name, "bytes", octets.hex(":")
        return (name, "string", text) if text.isprintable() or "\n" in text else (name, "bytes", octets.hex(":"))
    if isinstance(value, univ.ObjectIdentifier):
        return name, "string", text_of(tuple(value))
    return name, "string", None
