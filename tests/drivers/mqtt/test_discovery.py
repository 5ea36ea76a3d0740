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


def test_more_devices_than_are_remembered_are_counted():
    bench = Bench({"discover": {"topics": ["p/{device}"]}})
    for number in range(1003):
        bench.take(f"p/{number}", "1")
    assert len({sighting.identity for sighting in bench.ctx.sightings}) == 1000
    assert bench.watch.left_out == 3
