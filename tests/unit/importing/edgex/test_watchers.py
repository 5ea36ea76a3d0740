"""EdgeX' provision watchers become rules for devices that are seen."""

from __future__ import annotations

import pytest

from tests.unit.importing.edgex.kit import MQTT, PLAIN, PROFILE, device, drawn, load, notes, problems


def at_work(draft):
    """The draft with every rule switched on."""
    for channel in draft.channels.values():
        for rule in channel.get("watch", {}).values():
            rule.pop("enabled", None)
    return draft


def watcher(identifiers, more=""):
    return f"name: W\nidentifiers: {identifiers}\ndiscoveredDevice: {{profileName: P, adminState: UNLOCKED}}\n{more}"


def test_a_watcher_is_a_rule_of_the_channels_that_its_devices_could_be_on():
    lists = device() + device("e", protocol="modbus-tcp: {Address: h, Port: 1, UnitID: 1}").removeprefix(
        "deviceList:\n"
    )
    draft, report = drawn(PROFILE, lists, watcher("{Address: '192.*', Port: 50}"))
    assert load(draft).watch == (), "Modbus sees nobody by itself"
    assert "driver modbus" in notes(report)
    rules = load(at_work(draft)).watch
    assert [rule.channel for rule in rules] == sorted(draft.channels)
    rule = rules[0]
    assert rule.auto
    assert rule.fits({"address": "192.0.2.9", "port": "502"}), "50 stands anywhere in 502"
    assert not rule.fits({"address": "10.0.0.1", "port": "502"})
    assert "/50/ would have to fit all of it" in notes(report)


@pytest.mark.parametrize(("more", "enabled"), [("adminState: LOCKED", False), ("adminState: UNLOCKED", True)])
def test_a_locked_watcher_is_a_disabled_rule(more, enabled):
    draft, _ = drawn(PLAIN, device(protocol=MQTT), watcher("{Name: 'd.*'}", more))
    found = load(draft)
    assert bool(found.watch) == enabled
    assert found.channels[0].settings.discover.topics == ("incoming/data/{device}/+",)
    assert not enabled or found.watch[0].fits({"name": "d2"})


@pytest.mark.parametrize("pattern", ["'('", "'a**'", "'[[:alpha:]]'", "[1]", "'" + "x" * 300 + "'"])
def test_what_is_no_pattern_is_an_error_at_its_line(pattern):
    found = problems(PROFILE, device(), watcher(f"{{Port: {pattern}}}"))
    assert found[0].startswith("c.yaml:2:")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[[:alpha:]]", "Go's [:alpha:] has no form here"),
        (r"\pL+", r"Go's \pL has no form here"),
        (r"\p{Greek}", r"Go's \p{Greek} has no form here"),
        ("a(?i)b", "(?i) is taken at the beginning only"),
        ("a)(b", "unbalanced"),
        (r"(a)\1", "reference back"),
    ],
)
def test_a_pattern_that_means_nothing_here_is_one_error_that_names_it(pattern, said):
    (found,) = problems(PROFILE, device(), watcher(f"{{Port: '{pattern}'}}"))
    assert found.startswith("c.yaml:2:")
    assert said in found
    assert pattern in found


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("(?i)simple|plain", ["my SIMPLE one", "Plain"], ["simpl"]),
        ("(?i)(?U)^a+$", ["aA"], ["ab"]),
        ("(?-i)a", ["a"], ["A"]),
        (r"^d\z", ["d"], ["dd"]),
        ("(?s)a.b", ["a\nb"], ["ab"]),
        ("(a+)+$", ["a"], ["a" * 41 + "!"]),
        (r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", ["at 192.0.2.1"], ["1.2.3"]),
    ],
)
def test_a_pattern_of_go_finds_what_go_finds_and_always_ends(pattern, fitting, others):
    draft, _ = drawn(PLAIN, device(protocol=MQTT), watcher(f"{{Name: '{pattern}'}}"))
    (rule,) = load(draft).watch
    assert [text for text in (*fitting, *others) if rule.fits({"name": text})] == fitting


def test_a_watcher_without_identifiers_is_an_error():
    text = '{"apiVersion": "v3", "provisionwatcher": {"name": "W", "discoveredDevice": {"profileName": "P"}}}'
    assert "a provision watcher needs `identifiers`" in problems(PROFILE, device(), text)[0]


def test_a_watcher_of_nobodys_channel_gets_a_stub():
    draft, report = drawn(PLAIN, watcher("{Address: x}", "serviceName: device-simple"))
    assert list(draft.channels) == ["device-simple"]
    load(draft)
    assert "the rule gets one of its own" in notes(report)
    assert "sees no devices by itself" in notes(report)


def test_values_that_block_are_compared_as_texts():
    text = "blockingIdentifiers: {Port: [502, '503'], Site: ['a*', B]}"
    draft, _ = drawn(PROFILE, device(), watcher("{Port: '5'}", text))
    (rule,) = load(at_work(draft)).watch
    assert not any(rule.fits({"port": port}) for port in ("502", "503"))
    assert rule.fits({"port": "504", "Site": "abc"})
    assert rule.fits({"port": "504", "Site": "b"}), "case counts"
    assert not rule.fits({"port": "504", "Site": "a*"})
    assert not rule.fits({"port": "504", "Site": "B"})
