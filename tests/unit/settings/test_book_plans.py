"""Plans name the rules and alarms that change, and leave the channels alone."""

from __future__ import annotations

import json

import pytest

from gateway.settings.plan import Plan, diff
from tests.unit.settings.plant import UPLINKS, plant
from tests.unit.settings.toy import Load

RULE = "a: {when: pump1.speed > 5, for: 10s, start: [{log: x}], alarm: {text: x}}\n"
ALARM = "hh: {profile: pump, tag: speed, above: 5}\n"


def plan(load: Load, old: dict[str, str], new: dict[str, str]) -> Plan:
    before, after = load(plant(**old)), load(plant(**new))
    found = diff(before, after)
    assert (before.hash == after.hash) is found.is_empty
    assert not found.channels_changed
    assert json.loads(json.dumps(found.as_json()))["lines"] == found.lines()
    return found


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({}, {"rules": RULE}, ["+ rule a is new"]),
        ({"rules": RULE}, {}, ["- rule a goes"]),
        ({"rules": RULE}, {"rules": RULE + "  # a comment\n"}, []),
        ({"rules": RULE}, {"rules": RULE.replace("10s", "5s")}, ["~ rule a changes: for"]),
        ({"rules": RULE}, {"rules": RULE.replace("text: x", "text: y")}, ["~ rule a changes: alarm"]),
        ({"alarms": ALARM}, {}, ["- alarm hh@pump1, pump2 goes"]),
        ({"alarms": ALARM}, {"alarms": ALARM.replace("5", "6")}, ["~ alarm hh@pump1, pump2 changes: limit, text"]),
        (
            {"alarms": ALARM},
            {"alarms": "hh: {devices: pump1, tag: speed, above: 5, priority: low}\n"},
            ["- alarm hh@pump2 goes", "~ alarm hh@pump1 changes: priority"],
        ),
        ({}, {"gateway": UPLINKS + "rules: {dry_run: true}\n"}, ["~ rules.dry_run changes"]),
        ({}, {"gateway": UPLINKS + "notify: {a: {mqtt: {topic: x}}}\n"}, ["+ notification a is new"]),
        (
            {},
            {"alarms": "a: {issue: uplink_topic, enabled: false}\n"},
            ["~ alarms of the gateway's issues changes"],
        ),
    ],
)
def test_each_change_of_the_book_is_told(
    load: Load, old: dict[str, str], new: dict[str, str], lines: list[str]
) -> None:
    assert plan(load, old, new).lines() == lines


def test_many_devices_of_a_template_are_one_line(load: Load) -> None:
    devices = "  fan{01..30}: {profile: pump}\n"
    found = diff(
        load(plant(devices=devices)),
        load(plant(devices=devices, alarms="x: {devices: 'fan*', tag: speed, above: 5}\n")),
    )
    assert found.lines() == ["+ alarm x@fan01, fan02, fan03, fan04, fan05 and 25 more is new"]
    assert len(found.as_json()["alarms"]["added"]) == 30


def test_alarms_of_a_profile_restart_no_channel(load: Load) -> None:
    new = {"profile": "  alarms: {hh: {tag: speed, above: 5}}\n"}
    assert plan(load, {}, new).lines() == ["+ alarm hh@pump1, pump2 is new"]


def test_the_order_of_rules_does_not_count(load: Load) -> None:
    more = "b: {when: pump2.run, start: [{log: x}]}\n"
    assert plan(load, {"rules": RULE + more}, {"rules": more + RULE}).is_empty
