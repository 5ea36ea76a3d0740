"""A tag that several topics bring: its own, and documents that hold it beside others."""

from __future__ import annotations

import pytest

from drivers.mqtt.check import check
from drivers.mqtt.point import points_of
from drivers.mqtt.settings import ChannelSettings, DeviceSettings, Place, TagSettings
from gateway.model import ChannelSpec, DeviceSpec, Schedule, TagSpec, ValueType

CHANNEL = ChannelSettings(url="mqtt://127.0.0.1:1883")


def device(**tag):
    spec = TagSpec("speed", ValueType.INT32, TagSettings(**tag))
    return DeviceSpec("d", DeviceSettings(topic="plant/d"), (spec,), Schedule(1.0)), spec


def test_each_place_has_its_own_topic_path_and_format():
    made, spec = device(topic="~/speed", format="plain", also=(Place("~/all", "$.s"), Place("x", format="msgpack")))
    found = points_of(CHANNEL, made, spec)
    assert [(point.topic, point.format, point.path) for point in found] == [
        ("plant/d/speed", "plain", ()),
        ("plant/d/all", "json", ("s",)),
        ("x", "msgpack", ("speed",)),
    ]


@pytest.mark.parametrize("place", [Place("a/#/b"), Place("x", "speed"), Place("x", "$.a", "plain")])
def test_a_further_place_that_cannot_work_is_found(place):
    made, _ = device(also=(place,))
    assert [fault.path for fault in check(ChannelSpec("c", "mqtt", CHANNEL, (made,)))] == ["devices.d.tags.speed.also"]
