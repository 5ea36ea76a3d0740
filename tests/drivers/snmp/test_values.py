"""Values of SNMP in tags of all types, and what is sent for a value."""

from __future__ import annotations

import pytest
from pyasn1.type import univ
from pysnmp.proto import rfc1902, rfc1905

from drivers.snmp.values import NoValue, described, raw_value, to_send
from gateway.errors import WriteRejected
from tests.drivers.snmp.kit import OWN, tag

OCTETS = rfc1902.OctetString
FLOAT = rfc1902.Opaque(b"\x9f\x78\x04\x41\x48\x00\x00")


@pytest.mark.parametrize(
    ("kind", "syntax", "given", "raw"),
    [
        ("int32", "auto", rfc1902.Integer32(-5), -5),
        ("uint64", "auto", rfc1902.Counter64(2**64 - 1), 2**64 - 1),
        ("uint32", "auto", rfc1902.Counter32(2**32 - 1), 2**32 - 1),
        ("uint32", "auto", rfc1902.TimeTicks(100), 100),
        ("float64", "auto", rfc1902.Gauge32(7), 7.0),
        ("string", "auto", rfc1902.Gauge32(7), "7"),
        ("bool", "auto", rfc1902.Integer32(2), True),
        ("bool", "truth", rfc1902.Integer32(2), False),
        ("bool", "truth", rfc1902.Integer32(1), True),
        ("float64", "auto", OCTETS(b" 21.5 "), 21.5),
        ("string", "auto", OCTETS(b"UPS 7\0"), "UPS 7"),
        ("string", "hex", OCTETS(b"\x00\x1a\xff"), "00:1a:ff"),
        ("bytes", "auto", OCTETS(b"\x00\x1a"), b"\x00\x1a"),
        ("string", "auto", rfc1902.IpAddress("192.0.2.7"), "192.0.2.7"),
        ("bytes", "auto", rfc1902.IpAddress("192.0.2.7"), b"\xc0\x00\x02\x07"),
        ("string", "auto", rfc1902.ObjectIdentifier((1, 3, 6)), "1.3.6"),
        ("string", "auto", univ.ObjectIdentifier((1, 3, 6)), "1.3.6"),
        ("float32", "auto", FLOAT, 12.5),
    ],
)
def test_a_value_becomes_the_raw_value_of_its_tag(kind, syntax, given, raw):
    found = raw_value(tag("t", OWN, kind, syntax), given)
    assert (found, type(found)) == (raw, type(raw))


@pytest.mark.parametrize(
    ("kind", "syntax", "given", "why"),
    [
        ("int32", "auto", rfc1905.noSuchObject, "noSuchObject"),
        ("int32", "auto", rfc1905.noSuchInstance, "noSuchInstance"),
        ("int32", "auto", rfc1902.Gauge32(2**32 - 1), "does not fit"),
        ("bool", "truth", rfc1902.Integer32(0), "TruthValue"),
        ("float64", "auto", OCTETS(b"n/a"), "'n/a'"),
        ("int32", "auto", FLOAT, "float"),
        ("float64", "auto", rfc1902.Opaque(b"\x9f\x78\x04\x7f\xc0\x00\x00"), "nan"),
        ("bytes", "auto", rfc1902.Integer32(1), "not octets"),
        ("string", "auto", rfc1902.Null(""), "no value"),
    ],
)
def test_what_is_no_value_of_its_tag_says_why(kind, syntax, given, why):
    with pytest.raises(NoValue, match=why):
        raw_value(tag("t", OWN, kind, syntax), given)


@pytest.mark.parametrize(
    ("kind", "syntax", "value", "sent"),
    [
        ("int32", "auto", -5, rfc1902.Integer32(-5)),
        ("uint32", "auto", 5, rfc1902.Gauge32(5)),
        ("int32", "ticks", 5, rfc1902.TimeTicks(5)),
        ("bool", "truth", False, rfc1902.Integer32(2)),
        ("bool", "auto", True, rfc1902.Integer32(1)),
        ("float64", "auto", 2.5, OCTETS(b"2.5")),
        ("float64", "integer", 2.0, rfc1902.Integer32(2)),
        ("string", "auto", "é", OCTETS("é".encode())),
        ("string", "ip", "192.0.2.7", rfc1902.IpAddress("192.0.2.7")),
        ("string", "oid", "1.3.6", rfc1902.ObjectIdentifier((1, 3, 6))),
        ("string", "hex", "00:1a", OCTETS(b"\x00\x1a")),
        ("bytes", "auto", b"\xff", OCTETS(b"\xff")),
    ],
)
def test_a_written_value_has_the_type_that_the_agent_wants(kind, syntax, value, sent):
    found = to_send(tag("t", OWN, kind, syntax, "rw"), value)
    assert (type(found), found) == (type(sent), sent)


@pytest.mark.parametrize(
    ("kind", "syntax", "value"),
    [
        ("int32", "ticks", -1),
        ("uint64", "auto", 2**32),
        ("int64", "integer", 2**31),
        ("float64", "integer", 2.5),
        ("string", "auto", 5),
        ("bytes", "auto", "text"),
        ("string", "ip", "300.1.1.1"),
        ("string", "oid", "sysName"),
        ("string", "hex", "xyz"),
        ("string", "auto", "x" * 70000),
    ],
)
def test_what_cannot_be_sent_is_refused(kind, syntax, value):
    with pytest.raises(WriteRejected):
        to_send(tag("t", OWN, kind, syntax, "rw"), value)


def test_browsing_shows_types_and_values():
    assert described(rfc1902.Counter64(5)) == ("Counter64", "uint64", 5)
    assert described(OCTETS(b"\x00\x1a\xff")) == ("OctetString", "bytes", "00:1a:ff")
    assert described(OCTETS(b"supply")) == ("OctetString", "string", "supply")
    assert described(FLOAT) == ("Opaque", "float64", 12.5)
    assert described(rfc1902.Opaque(b"\x9f\x78\x04")) == ("Opaque", "float64", None)
