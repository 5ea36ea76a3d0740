"""What a user writes: what is refused, where, and that checking needs neither network nor client."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drivers.mqtt import SPEC
from tests.drivers.mqtt.kit import channel_of, faults_of


def device(**keys):
    return {"devices": {"d": {"topic": "t/d", "tags": {"v": {"type": "float64"}}, **keys}}}


def tag(**keys):
    return device(tags={"v": {"type": "float64", **keys}})


def test_a_device_of_a_range_has_its_own_topic():
    spec = channel_of({"devices": {"s{01..03}": {"topic": "plant/{device}/{n}", "tags": {"v": {"type": "bool"}}}}})
    assert [each.settings.topic for each in spec.devices] == ["plant/s01/1", "plant/s02/2", "plant/s03/3"]


@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        ({**device(), "url": "tcp://x"}, "url: tcp://x: the scheme must be"),
        ({**device(), "session": "24"}, "session:"),
        ({**device(), "receive_maximum": 0}, "receive_maximum:"),
        ({**device(), "tls": {"ca": "x.pem"}}, "tls: mqtt:// is not encrypted"),
        ({**device(), "discover": {"topics": ["a/b"]}}, "discover"),
        ({**device(), "protocol": 4}, "protocol:"),
        (device(topic="a/#/b"), "devices.d.topic: `a/#/b`: # stands alone"),
        (device(topic=""), "devices.d.tags.v: neither"),
        (device(items="a"), "devices.d.items: `a` does not begin with $"),
        (device(time={"path": "x"}), "devices.d.time: `x` does not begin with $"),
        (device(time={"path": "$.x", "format": "unix"}), "devices.d.time"),
        (device(availability={"topic": "~/x", "online": "a", "offline": "a"}), "devices.d.availability: `online`"),
        (device(away_after="0"), "devices.d.away_after"),
        (tag(path="v"), "devices.d.tags.v.path: `v` does not begin with $"),
        (tag(path="$.v", format="plain"), "devices.d.tags.v.path: a payload of format plain"),
        (tag(type="bcd16"), "devices.d.tags.v.type: a message has no bcd16"),
        (tag(access="rw"), "devices.d.tags.v: a tag that is written needs"),
        (tag(access="rw", command={"topic": "a/+"}), "devices.d.tags.v.command: `a/+` has a wildcard"),
        (tag(access="rw", command={"topic": "a", "path": "$.x", "payload": "y"}), "`payload` and `path`"),
        (tag(access="rw", command={"topic": "a", "path": "$[0]"}), "a command's path has names only"),
        (tag(words={"a": [1]}), "devices.d.tags.v.words"),
        (tag(topick="a"), "unknown key `topick`"),
    ],
)
def test_a_fault_names_its_place(channel, fault):
    assert any(fault in found for found in faults_of(channel)), faults_of(channel)


def test_the_spec_loads_without_the_client():
    script = "import sys, drivers.mqtt; sys.exit(bool({'aiomqtt', 'paho', 'cbor2', 'msgpack'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_settings_do_not_show_the_password():
    assert "secret" not in repr(SPEC.channel(url="mqtt://x", password="secret"))


def test_two_channels_cannot_share_a_session():
    same = SPEC.channel(url="mqtt://x", client_id="a")
    assert SPEC.endpoint(same) == SPEC.endpoint(SPEC.channel(url="mqtt://x:1883", client_id="a"))
    assert SPEC.endpoint(same) != SPEC.endpoint(SPEC.channel(url="mqtt://x", client_id="b"))
    assert SPEC.endpoint(SPEC.channel(url="mqtt://x")) is None
