"""What profiles hand on to those that extend them, and where parameters may stand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.cli.profiletests.resolved import resolved
from gateway.cli.profiletests.sources import Source
from gateway.errors import ConfigError
from gateway.model import DeviceSpec
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.settings.types import GatewaySettings
from rules.expression import RuleExpressions

DEVICE = "{unit_id: 1, profile: p}"
TAG = "tags: {v: {address: 'holding/{base}', type: uint16}}"


def load(profiles: str, device: str = DEVICE, more: str = "") -> GatewaySettings:
    tree = {
        "gateway.yaml": "gateway: {id: x}\n",
        "profiles/p.yaml": profiles,
        "channels/c.yaml": f"driver: modbus\nurl: tcp://h\ndevices:\n  d: {device}\n{more}",
    }
    credentials = CredentialFolders(None, None)
    return load_files(tree, Registry().load, env={}, credentials=credentials, expressions=RuleExpressions())


def device_of(profiles: str, device: str = DEVICE) -> DeviceSpec:
    return load(profiles, device).channels[0].devices[0]


def faults(profiles: str, device: str = DEVICE) -> list[str]:
    try:
        load(profiles, device)
    except ConfigError as error:
        return [f"{each.line}:{each.column}: {each.message}" for each in error.problems]
    return []


def chain(length: int) -> str:
    """`p` extends p1 extends p2...; the last has the tag, each one a parameter of its own value for `base`."""
    names = ["p", *(f"p{number}" for number in range(1, length))]
    lines = [
        f"{name}: {{extends: {names[number + 1]}, params: {{base: {number}}}, meta: {{m{number}: x}}}}"
        for number, name in enumerate(names[:-1])
    ]
    return "\n".join([*lines, f"{names[-1]}: {{params: {{base: 99}}, {TAG}}}"])


def test_a_chain_of_eight_hands_on_and_the_nearest_wins() -> None:
    device = device_of(chain(8))
    assert device.tags[0].source.address == "holding/0"
    assert [key for key, _ in device.meta] == [f"m{number}" for number in range(6, -1, -1)]


def test_a_chain_that_is_too_long_is_told_where_it_goes_on() -> None:
    (fault, *rest) = faults(chain(10))
    assert fault == "9:15: profiles extend each other at most 8 deep"
    assert not rest


def test_a_circle_is_told_once_and_whoever_extends_into_it_loads_nothing_half() -> None:
    text = f"p: {{extends: q, params: {{base: 1}}, {TAG}}}\nq: {{extends: r}}\nr: {{extends: q}}\n"
    assert faults(text) == ["3:14: `r` extends itself over `q`"]


def test_two_profiles_of_one_base_do_not_see_each_other_nor_change_it() -> None:
    text = f"""
base: {{params: {{base: 1, u: V}}, defaults: {{max_gap: 3}}, tags: {{v: {{address: 'holding/{{base}}', type: uint16, unit: '{{u}}'}}}}}}
left: {{extends: base, params: {{base: 2}}, tags: {{v: {{scale: 0.1}}}}}}
p: {{extends: base, params: {{u: A}}, defaults: {{max_gap: 7}}, {"tags: {w: {address: holding/9, type: int16}}"}}}
"""
    more = "".join(f"  {name}: {{unit_id: 2, profile: {name}}}\n" for name in ("left", "base"))
    own, left, base = load(text, more=more).channels[0].devices
    assert [(tag.path, tag.source.address, tag.unit) for tag in own.tags] == [
        ("v", "holding/1", "A"),
        ("w", "holding/9", ""),
    ]
    assert (own.settings.max_gap, left.settings.max_gap, base.settings.max_gap) == (7, 3, 3)
    assert [(tag.source.address, tag.unit, tag.transform.scale) for tag in left.tags] == [("holding/2", "V", 0.1)]
    assert [(tag.source.address, tag.unit, tag.transform.scale) for tag in base.tags] == [("holding/1", "V", None)]


EVERYWHERE = """
p:
  params: {a: 10, u: V, s: 0.1, iv: 10s, lab: "off", lo: 0, hi: 100, m: 15, t: int16, acc: rw, kind: [1, 2]}
  interval: "{iv}"
  meta: {rack: "{u} of {a}", braces: "{{a}}"}
  max_gap: "{a}"
  tags:
    v:
      {address: 'holding/{a}', type: "{t}", unit: "{u}", scale: "{s}", range: ["{lo}", "{hi}"], interval: "{iv}",
       invalid: ["{a * 2}"], heartbeat: "{iv}", access: "{acc}", write: {min: "{lo}", max: "{hi - 1}"}, deadband: "{s}"}
    l: {address: 'holding/0x{a + 10:x}', type: uint16, mask: "{m}", labels: {0: "{lab}", 1: "not {lab}"}}
    k: {address: holding/99, type: uint16, invalid: "{kind}"}
    c: {type: float64, value: "{v} * {s}", unit: "{u}"}
  alarms:
    hi: {tag: v, above: "{hi - 5}", on_delay: "{iv}", text: "{v} is above {hi} {u}"}
"""


def test_a_parameter_may_stand_in_every_value_of_a_profile() -> None:
    settings = load(EVERYWHERE, "{unit_id: 1, profile: p, params: {u: A, hi: 200, iv: 5s}}")
    (device,) = settings.channels[0].devices
    v, label, kind, computed = device.tags
    assert (v.source.address, v.type, v.unit, v.range) == ("holding/10", "int16", "A", (0, 200))
    assert (v.transform.scale, v.transform.invalid, v.write.maximum, v.report.deadband) == (0.1, (20,), 199, 0.1)
    assert v.schedule is not None
    assert (device.schedule.every_s, v.schedule.every_s, v.report.heartbeat_s, v.access) == (5, 5, 5, "rw")
    assert (label.source.address, label.labels, label.transform.mask) == (
        "holding/0x14",
        ((0, "off"), (1, "not off")),
        15,
    )
    assert (kind.transform.invalid, computed.unit, device.settings.max_gap) == ((1, 2), "A", 10)
    assert dict(device.meta) == {"rack": "A of 10", "braces": "{a}"}
    (alarm,) = settings.book.alarms
    assert "above 200 A" in str(alarm)
    assert "{v}" not in str(alarm.key)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{base: [1, 2]}", "`{base}` is a list, and cannot stand inside a text"),
        ("{base: {a: 1}}", "`{base}` is a mapping, and cannot stand inside a text"),
        ("{base: abc}", "address 'holding/abc' cannot be read"),
        ("{base: '{other + 1}', other: 2}", "the parameter `base` is '{other + 1}': there is no parameter `other`"),
        ("[base]", "`params` must be a mapping (key: value), not a list"),
        ("{n: 3}", "`n` cannot name a parameter"),
        ("{1st: 3}", "`1st` cannot name a parameter"),
        ("{base: 1, basis: 3}", ""),
    ],
)
def test_a_parameter_that_cannot_be_is_told_at_its_place(params: str, message: str) -> None:
    found = faults(f"p: {{params: {params}, {TAG}}}\n")
    assert [each for each in found if message in each] if message else found == []
    assert all(each.startswith("1:") for each in found)


@pytest.mark.parametrize("written", ["[q]", "{a: b}", "3", "true", "~"])
def test_extends_of_another_kind_is_told_at_its_value(written: str) -> None:
    found = faults(f"p: {{extends: {written}, params: {{base: 1}}, {TAG}}}\nq: {{}}\n")
    assert len(found) == 1
    assert found[0].startswith("1:14: `extends` ")


def test_an_interval_with_a_parameter_that_is_no_duration_is_told_where_it_is_written() -> None:
    text = f"p:\n  interval: '{{iv}}'\n  params: {{base: 1, iv: soon}}\n  {TAG}\n"
    assert faults(text) == ["2:13: `interval` is wrong: `soon` is not a duration"]
    assert faults(text, "{unit_id: 1, profile: p, params: {iv: 5s}}") == []


def test_a_parameter_of_a_device_that_only_the_interval_uses_is_used() -> None:
    text = f"p:\n  interval: '{{iv}}'\n  params: {{base: 1}}\n  {TAG}\n"
    assert device_of(text, "{unit_id: 1, profile: p, params: {iv: 7s}}").schedule.every_s == 7


# --- what results, written as a plain profile

RICH = """
base:
  params: {start: 0, factor: 0.1, unit: V, high: 250}
  meta: {maker: Some, text: "{{x}} {unit}"}
  word_order: CDAB
  forbidden: [holding/100-110]
  defaults: {max_registers: 50, word_order: ABCD}
  interval: 5s
  tags:
    v: {address: "holding/{start}", type: uint16, scale: "{factor}", unit: "{unit}", labels: {0: "{unit}"}}
    w: {address: "holding/{start + 2}", type: uint32, range: [0, "{high}"]}
    c: {type: float64, value: "{v} + {high}"}
  alarms:
    hh: {tag: w, above: "{high - 5}", text: "{w} above {high} of {{braces}}"}
  commands:
    both: {access: r, description: "in {unit}", tags: [v, w]}
p:
  extends: base
  params: {start: 10, unit: A}
  forbidden: [holding/200]
  defaults: {max_registers: 60, forbidden: [holding/300]}
  tags:
    w: {unit: A, interval: 30s}
    x: {address: "holding/{start * 2}", type: uint32}
"""


@pytest.mark.parametrize("text", [RICH, EVERYWHERE], ids=["inherited", "everywhere"])
@pytest.mark.parametrize("params", [{}, {"hi": 200, "u": "bar"}, {"start": 40, "unit": "°C"}])
def test_a_resolved_profile_means_the_same(text: str, params: dict[str, Any]) -> None:
    known = {key: value for key, value in params.items() if f"{key}:" in text.partition("tags:")[0]}
    source = Source("p", "configuration", "modbus", "profiles/p.yaml", {"profiles/p.yaml": text.encode()})
    plain = yaml.safe_dump({"p": resolved(source, known)}, allow_unicode=True, sort_keys=False)
    assert "extends" not in plain
    given = yaml.safe_dump({"unit_id": 1, "profile": "p", "params": known}, default_flow_style=True).strip()
    first, second = load(text, given), load(plain)
    assert first.channels == second.channels
    assert first.book.alarms == second.book.alarms


def test_a_parameter_that_nothing_uses_is_told_when_a_profile_is_resolved() -> None:
    source = Source("p", "configuration", "modbus", "profiles/p.yaml", {"profiles/p.yaml": RICH.encode()})
    with pytest.raises(ConfigError) as error:
        resolved(source, {"strat": 3})
    assert "the parameter `strat` is not used" in str(error.value)
