"""What is said about a channel before anything is sent."""

from __future__ import annotations

import msgspec
import pytest

from drivers.snmp import SPEC
from drivers.snmp.oid import oid_of, text_of
from drivers.snmp.settings import ChannelSettings
from tests.drivers.snmp.kit import OWN, channel, tag

GOOD = tag("t", f"{OWN}.1.0")


def faults(spec):
    return [fault.path for fault in SPEC.check(spec)]


def test_a_good_channel_has_no_faults():
    assert faults(channel(161, GOOD)) == []
    v3 = {"version": 3, "user": "gw", "auth_password": "12345678", "privacy_password": "12345678"}
    assert faults(channel(161, GOOD, **v3)) == []


@pytest.mark.parametrize(
    ("keys", "paths"),
    [
        ({"community": ""}, ["community"]),
        ({"user": "gw"}, ["version"]),
        ({"max_oids": 0, "resend": 9}, ["max_oids", "resend"]),
        ({"version": 3}, ["user", "auth_password", "privacy_password"]),
        ({"version": 3, "user": "a", "auth": "none", "privacy_password": "12345678"}, ["privacy"]),
        ({"version": 3, "user": "a", "auth_password": "short", "privacy": "none"}, ["auth_password"]),
    ],
)
def test_an_identity_that_cannot_work_is_named(keys, paths):
    assert faults(channel(161, GOOD, **keys)) == paths


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (tag("t", "sysUpTime.0"), "oid"),
        (tag("t", "1"), "oid"),
        (tag("t", "3.1.1"), "oid"),
        (tag("t", "1.40.1"), "oid"),
        (tag("t", "1.3.4294967296"), "oid"),
        (tag("t", "1..3"), "oid"),
        (tag("t", OWN, "object"), "type"),
        (tag("t", OWN, "int32", "hex"), "syntax"),
        (tag("t", OWN, "int32", "truth"), "syntax"),
        (tag("t", OWN, "string", "ticks"), "syntax"),
        (tag("t", OWN, "uint32", "counter", "rw"), "access"),
    ],
)
def test_a_tag_that_cannot_work_is_named(wrong, key):
    assert faults(channel(161, wrong)) == [f"devices.bench.tags.t.{key}"]


@pytest.mark.parametrize("url", ["tcp://h:161", "udp://", "udp://h:99999", "udp://h:0", "udp://u@h", "udp://[x", "h"])
def test_an_address_that_is_none_is_a_fault_of_the_url(url):
    spec = channel(161, GOOD)
    assert faults(msgspec.structs.replace(spec, settings=ChannelSettings(url))) == ["url"]


def test_an_oid_may_begin_with_a_dot():
    assert text_of(oid_of(".1.3.6")) == "1.3.6"
