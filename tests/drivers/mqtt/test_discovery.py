"""What devices say of themselves: templates are understood or said not to be; nothing that comes in makes it fail."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.mqtt.discovery.ha_keys import DEVICE_SHORT, SHORT
from drivers.mqtt.discovery.ha_templates import NotUnderstood, payload_of, value_keys
from tests.drivers.mqtt.kit import Bench, faults_of
from tests.drivers.mqtt.test_jsonpath import JSON


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        (None, {"format": "plain"}),
        ("{{ value }}", {"format": "plain"}),
        ("{{value|float}}", {"format": "plain"}),
        ("{{ value_json.a.b }}", {"path": "$.a.b"}),
        ("{{value_json['a b'].c[0]}}", {"path": "$['a b'].c[0]"}),
        ('{{- value_json["x"] | is_defined -}}', {"path": "$.x"}),
        ("{{ value_json.x | float / 10 }}", {"path": "$.x", "scale": 0.1}),
        ("{{ value_json.x * 0.5 }}", {"path": "$.x", "scale": 0.5}),
        ("{{ value_json }}", {"path": "$"}),
    ],
)
def test_a_template_that_picks_a_value_is_understood(template, keys):
    assert value_keys(template) == keys


@pytest.mark.parametrize(
    "template",
    [
        "",
        5,
        "{{ value_json.x | round(1) }}",
        "{{ value_json.x + value_json.y }}",
        "{{ 'ON' if value_json.x else 'OFF' }}",
        "{% set a = 1 %}{{ value_json.x }}",
        "{{ value_json.x }} {{ value_json.y }}",
        "{{ states('sensor.x') }}",
        "{{ value_json.x / 0 }}",
        "{{ value_json[key] }}",
    ],
)
def test_any_other_is_not_guessed(template):
    with pytest.raises(NotUnderstood):
        value_keys(template)


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ("{{ value }}", None),
        ('{"t": {{ value }}}', {"t": "$value"}),
        ("T={{ value | int }};", "T=$value;"),
        ('{"t": "{{ value }}"}', '{"t": "$value"}'),
    ],
)
def test_a_commands_template_becomes_a_payload(template, payload):
    assert payload_of(template) == payload


@pytest.mark.parametrize("template", ["{{ value * 2 }}", "{% if value %}1{% endif %}", "$value {{ value }}", 3])
def test_any_other_command_is_not_guessed(template):
    with pytest.raises(NotUnderstood):
        payload_of(template)


KEYS = st.sampled_from([*SHORT, *SHORT.values(), *DEVICE_SHORT, "~", "name", "min", "max", "brightness"])
VALUES = JSON | st.sampled_from(["a/b", "~/x", "{{ value_json.a }}", "json", True, ["A"]])
CONFIG = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=5), max_size=12)
KINDS = ["sensor", "switch", "light", "lock", "cover", "climate", "fan", "number", "button", "device", "camera"]
EXPOSES = st.recursive(
    st.dictionaries(st.sampled_from(["type", "name", "property", "access", "unit", "value_on", "value_min"]), JSON),
    lambda inner: st.fixed_dictionaries({"type": st.just("composite"), "property": st.text(max_size=3),
                                         "features": st.lists(inner, max_size=3)}),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=40)
@given(st.sampled_from(KINDS), CONFIG)
def test_no_description_makes_it_fail_and_what_it_gives_loads(kind, config):
    bench = Bench({"discover": {"home_assistant": "ha"}})
    bench.take(f"ha/{kind}/node/thing/config", json.dumps(config))
    assert bench.inbox.counts.unreadable == 0
    for sighting in bench.ctx.sightings:
        if sighting.tags:
            assert not faults_of({"devices": {"d": {**sighting.keys, "tags": dict(sighting.tags)}}})


@settings(max_examples=50)
@given(st.lists(EXPOSES, max_size=4), st.text(max_size=5))
def test_no_exposes_make_it_fail(exposes, name):
    bench = Bench({"discover": {"zigbee2mqtt": "z"}})
    device = {"ieee_address": "0x1", "friendly_name": name, "definition": {"exposes": exposes}}
    bench.take("z/bridge/devices", json.dumps([device]))
    assert bench.inbox.counts.unreadable == 0


def test_a_device_that_is_described_anew_is_told_anew():
    bench = Bench({"discover": {"home_assistant": "ha"}})
    config = {"name": "A", "stat_t": "a", "dev": {"ids": "x", "name": "Box"}}
    bench.take("ha/sensor/x/a/config", json.dumps(config))
    bench.take("ha/sensor/x/a/config", json.dumps({**config, "name": "B"}))
    bench.take("ha/sensor/x/a/config", b"")
    assert [list(sighting.tags) for sighting in bench.ctx.sightings] == [["A"], ["B"], []]


async def test_more_devices_than_are_remembered_are_counted():
    bench = Bench({"discover": {"topics": ["p/{device}"]}})
    for number in range(1003):
        bench.take(f"p/{number}", "1")
    assert len({sighting.identity for sighting in bench.ctx.sightings}) == 1000
    assert bench.watch.left_out == 3
    assert ("descriptions_left_out", "plant") in bench.ctx.issues
    bench.take("p/0", "1")  # all but this one are quiet now
    await bench.clock.advance(61)
    bench.take("p/new", "1")
    assert bench.ctx.sightings[-1].identity.endswith(":new")


def test_a_crowd_of_descriptions_does_not_hide_the_next_device_and_is_told():
    own = {"topic": "own/state", "tags": {"a": {"path": "$.a", "type": "int32"}}}
    bench = Bench({"discover": {"home_assistant": "ha"}, "devices": {"own": own}})
    described = {"name": "A", "stat_t": "own/state", "dev": {"ids": "own"}}
    bench.take("ha/sensor/own/a/config", json.dumps(described))
    for number in range(1200):
        fake = {"name": "A", "stat_t": f"fake/{number}", "dev": {"ids": f"fake{number}"}}
        bench.take(f"ha/sensor/fake{number}/a/config", json.dumps(fake))
    bench.take("ha/sensor/x/a/config", json.dumps({"name": "A", "stat_t": "a", "dev": {"ids": "x"}}))
    assert bench.ctx.sightings[-1].identity == "ha:x"
    assert bench.watch.left_out == 202
    bench.take("ha/sensor/own/b/config", json.dumps({"name": "B", "stat_t": "other", "dev": {"ids": "own"}}))
    assert bench.ctx.sightings[-1].identity == "ha:x", "what is configured is still known to be"
    assert ("descriptions_left_out", "plant") in bench.ctx.issues
    for number in range(1200):
        bench.take(f"ha/sensor/fake{number}/a/config", b"")
    assert not bench.ctx.issues


def test_a_message_that_is_too_large_is_told_until_a_good_one_comes():
    bench = Bench({"discover": {"zigbee2mqtt": "z"}, "max_payload": "1kB"})
    for _ in range(2):
        bench.take("z/bridge/devices", b"[" + b" " * 3000 + b"]")
    text = bench.ctx.issues["message_too_large", "plant"]
    assert "z/bridge/devices (3002 bytes)" in text
    assert bench.inbox.counts.too_large == 2
    bench.take("z/bridge/devices", b"[]")
    assert not bench.ctx.issues
