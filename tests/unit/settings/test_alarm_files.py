"""Alarms of files, profiles, devices and rules become AlarmSpecs with expressions of their own."""

from __future__ import annotations

import pytest

from gateway.rulebook import AlarmSpec
from tests.unit.settings.plant import plant
from tests.unit.settings.toy import Faults, Load


def alarms(load: Load, text: str) -> tuple[AlarmSpec, ...]:
    return load(plant(alarms=text)).book.alarms


@pytest.mark.parametrize(
    ("keys", "on", "off"),
    [
        ("above: 80", "{boiler.temperature} > 80", ""),
        ("above: 80, deadband: 2", "{boiler.temperature} > 80", "{boiler.temperature} < 78"),
        ("below: 10.5, deadband: 0.1", "{boiler.temperature} < 10.5", "{boiler.temperature} > 10.6"),
        ("above: 0.3, deadband: 0.1", "{boiler.temperature} > 0.3", "{boiler.temperature} < 0.2"),
        ("above: 1e-7", "{boiler.temperature} > 0.0000001", ""),
        ("rate: {above: 5}", "rate({boiler.temperature}) > 5", ""),
        (
            "rate: {below: -5, over: 10s}, deadband: 1",
            "rate({boiler.temperature}, 10s) < -5",
            "rate({boiler.temperature}, 10s) > -4",
        ),
        ("rate: {above: 5, over: 500ms}", "rate({boiler.temperature}, 500ms) > 5", ""),
        ("deviation: {from: pressure, above: 5}", "abs({boiler.temperature} - {boiler.pressure}) > 5", ""),
        ("deviation: {from: 60, above: 5}", "abs({boiler.temperature} - 60) > 5", ""),
        (
            "deviation: {from: -4, above: 5}, deadband: 1",
            "abs({boiler.temperature} - (-4)) > 5",
            "abs({boiler.temperature} - (-4)) < 4",
        ),
        ("stale: 60s", "age({boiler.temperature}) > 60", ""),
    ],
)
def test_a_limit_is_an_expression(load: Load, keys: str, on: str, off: str) -> None:
    (alarm,) = alarms(load, f"a: {{tag: boiler.temperature, {keys}}}\n")
    assert (alarm.id, alarm.entity, alarm.device, alarm.tag) == ("a", "boiler", "boiler", "temperature")
    assert (alarm.on, alarm.off) == (on, off)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("above: 80, deadband: 2", "temperature above 80 degC"),
        ("below: 80", "temperature below 80 degC"),
        ("rate: {above: 5}", "temperature rises faster than 5 degC per s"),
        ("rate: {above: -5, over: 10s}", "temperature falls slower than 5 degC per s"),
        ("rate: {below: -0.5}", "temperature falls faster than 0.5 degC per s"),
        ("rate: {below: 5}", "temperature rises slower than 5 degC per s"),
        ("rate: {above: 0}", "temperature rises faster than 0 degC per s"),
        ("rate: {below: 0}", "temperature falls faster than 0 degC per s"),
        ("deviation: {from: 60, above: 5}", "temperature more than 5 degC from 60"),
        ("stale: 60s", "temperature not known to be good for 60 s"),
    ],
)
def test_an_alarm_without_a_text_says_its_limit(load: Load, keys: str, said: str) -> None:
    (alarm,) = alarms(load, f"a: {{tag: boiler.temperature, {keys}}}\n")
    assert alarm.text == said


@pytest.mark.parametrize(
    ("tag", "value", "on"),
    [
        ("pump1.run", "true", "{pump1.run}"),
        ("pump1.run", "false", "not {pump1.run}"),
        ("pump1.run", "0", "not {pump1.run}"),
        ("boiler.mode", "heat", "{boiler.mode} == 1"),
        ("boiler.mode", "[heat, cool]", "{boiler.mode} in (1, 2)"),
        ("boiler.mode", "[heat]", "{boiler.mode} == 1"),
        ("boiler.mode", "7", "{boiler.mode} == 7"),
        ("pump1.mode", "off", "{pump1.mode} == 'off'"),
        ("pump1.mode", '[off, "it\'s"]', "{pump1.mode} in ('off', \"it's\")"),
    ],
)
def test_a_state_is_an_expression(load: Load, tag: str, value: str, on: str) -> None:
    (alarm,) = alarms(load, f"a: {{tag: {tag}, is: {value}}}\n")
    assert alarm.on == on


def test_levels_make_an_alarm_each_and_inherit(load: Load) -> None:
    text = "a: {tag: boiler.temperature, deadband: 2, priority: low, group: g, levels: {h: {above: 80}, "
    text += "hh: {above: 90, priority: urgent, deadband: 5, text: Hot}, l: {below: 5, enabled: false}}}\n"
    high, highest = alarms(load, text)
    assert (high.id, high.priority, high.group, high.off) == ("a_h", "low", "g", "{boiler.temperature} < 78")
    assert (highest.id, highest.priority, highest.text, highest.off) == (
        "a_hh",
        "urgent",
        "Hot",
        "{boiler.temperature} < 85",
    )
    assert high.text == "temperature above 80 degC"
    assert high.limit == "above 80 degC"


def test_an_alarm_may_block_updates_and_a_level_of_it_may_not(load: Load) -> None:
    levels = "{h: {above: 80, blocks_updates: false}, hh: {above: 90}}"
    high, highest, other = alarms(
        load, f"a: {{tag: boiler.temperature, blocks_updates: true, levels: {levels}}}\nb: {{when: pump1.run}}\n"
    )
    assert [one.blocks_updates for one in (high, highest, other)] == [False, True, False]


def test_a_condition_is_the_gateways_unless_it_is_a_template(load: Load) -> None:
    text = "a: {when: pump1.run and pump2.run, until: not pump1.run, off_delay: 5s, on_bad: reset, latched: true}\n"
    text += "b: {profile: pump, when: speed > 5, on_delay: 1m, suppress: not run}\n"
    a, b, c = alarms(load, text)
    assert (a.key, a.on, a.off, a.off_delay_s, a.on_bad, a.latched) == (
        "a@gateway",
        "pump1.run and pump2.run",
        "not pump1.run",
        5.0,
        "reset",
        True,
    )
    assert (b.key, b.on, b.device, b.on_delay_s, b.suppress) == ("b@pump1", "speed > 5", "pump1", 60.0, "not run")
    assert c.key == "b@pump2"


def test_a_template_watches_the_tag_of_each_device(load: Load) -> None:
    one, two = alarms(load, "a: {devices: 'pump*', tag: speed, above: 5}\n")
    assert (one.on, two.on) == ("{pump1.speed} > 5", "{pump2.speed} > 5")


def test_alarms_of_a_profile_are_filled_with_parameters_and_changed_by_the_device(load: Load) -> None:
    profile = "  alarms:\n    hh: {tag: speed, above: '{limit}', priority: high, "
    profile += (
        "text: 'Pump {n} over {limit}: {speed:.0f}', action: 'See {run} {n}'}\n    gone: {tag: speed, above: 3}\n"
    )
    devices = "  spare: {profile: pump, params: {limit: 9}, alarms: {hh: {priority: low, text: x, action: ''}, "
    devices += "gone: {enabled: false}, own: {when: speed > 7}}}\n"
    found = {alarm.key: alarm for alarm in load(plant(profile=profile, devices=devices)).book.alarms}
    assert set(found) == {"hh@pump1", "gone@pump1", "hh@pump2", "gone@pump2", "hh@spare", "own@spare"}
    assert found["hh@pump2"].on == "{pump2.speed} > 1002"
    assert found["hh@pump2"].text == "Pump 2 over 1002: {speed:.0f}"
    assert found["hh@pump2"].action == "See {run} 2"
    assert (found["hh@spare"].on, found["hh@spare"].priority) == ("{spare.speed} > 9", "low")


def test_a_profile_that_extends_another_has_its_alarms(load: Load) -> None:
    profile = "  alarms: {hh: {tag: speed, above: 5}}\nother: {extends: pump, alarms: {hh: {priority: urgent}}}\n"
    found = {a.key: a for a in load(plant(profile=profile, devices="  fan: {profile: other}\n")).book.alarms}
    assert found["hh@fan"].priority == "urgent"
    assert found["hh@pump1"].priority == "medium"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{limit}", "1001"),
        ("{limit + n}", "1002"),
        ("{speed:.1f} of {limit} {{n}} {base-x} {limit:.1f}", "{speed:.1f} of 1001 {{n}} {base-x} {limit:.1f}"),
    ],
)
def test_braces_of_parameters_are_filled_and_others_are_left_to_the_text(load: Load, text: str, filled: str) -> None:
    profile = "    base-x: {address: 5, type: uint16}\n    limit: {address: 6, type: uint16}\n"
    profile += f"  alarms: {{a: {{tag: speed, above: 5, text: '{text}'}}}}\n"
    found = load(plant(profile=profile)).book.alarms
    assert found[0].text == filled


def test_alarms_of_issues_are_changed_and_silenced(load: Load) -> None:
    text = "a: {issue: device_offline, priority: urgent}\nb: {issue: uplink_unrouted, enabled: false}\n"
    book = load(plant(alarms=text)).book
    assert [(alarm.id, alarm.issue, alarm.priority) for alarm in book.alarms] == [("a", "device_offline", "urgent")]
    assert book.quiet_issues == ("uplink_unrouted",)


def test_a_fault_in_a_profile_is_told_once_for_all_its_devices(faults: Faults) -> None:
    (problem,) = faults(plant(profile="  alarms: {a: {tag: speed, above: 5, suppress: runs}}\n"))
    assert (problem.file, problem.line, problem.column) == ("profiles/pump.yaml", 7, 48)


def test_the_id_of_a_rules_alarm_is_unique_too(faults: Faults) -> None:
    text = "hh: {profile: pump, when: speed > 9, alarm: {text: x}}\n"
    (problem,) = faults(plant(profile="  alarms: {hh: {tag: speed, above: 5}}\n", rules=text))
    assert "two alarms `hh` of device `pump1`, the other in profiles/pump.yaml:7" in problem.message
