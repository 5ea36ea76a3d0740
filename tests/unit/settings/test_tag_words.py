"""Keys of tags that say what a value is for: texts, expectations, wishes, what stays here, EdgeX' own arithmetic."""

from __future__ import annotations

import pytest

from gateway.model import IDENTITY, Report, TagSpec, Transform, ValueType
from tests.unit.settings.toy import Faults, Load, channel


def tag(load: Load, keys: str, head: str = "") -> TagSpec:
    text = channel(f"  p: {{tags: {{x: {{address: 1, {keys}}}}}}}\n", head)
    (line,) = load({"channels/line1.yaml": text}).channels
    return line.devices[0].tags[0]


def test_texts_stay_with_the_tag(load: Load) -> None:
    found = tag(load, 'type: bool, description: "The pump, on or off", meta: {name: Pump Nr. 1, panel: 3}')
    assert found.description == "The pump, on or off"
    assert found.meta == (("name", "Pump Nr. 1"), ("panel", "3"))


def test_a_tag_without_them_has_nothing_of_its_own(load: Load) -> None:
    found = tag(load, "type: uint16")
    assert (found.description, found.meta, found.expect, found.desired, found.local) == ("", (), None, None, False)
    assert found.transform is IDENTITY


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("type: bool, expect: true", True),
        ("type: uint16, expect: run, labels: {1: run}", 1),
        ("type: float32, expect: 5", 5.0),
        ("type: uint16, expect: 99, access: rw, write: {max: 10}, range: [0, 10]", 99),
        ("type: string, length: 4, expect: ok", "ok"),
        ("type: object, expect: [1, 2]", "[1,2]"),
    ],
)
def test_an_expectation_is_a_value_of_the_tag(load: Load, keys: str, value: object) -> None:
    found = tag(load, keys).expect
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("type: float32, access: rw, desired: 21", 21.0),
        ("type: uint16, access: rw, desired: run, labels: {1: run}", 1),
        ("type: bool, access: rw, desired: false", False),
    ],
)
def test_a_wish_is_a_value_that_may_be_written(load: Load, keys: str, value: object) -> None:
    found = tag(load, keys).desired
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("keys", "transform"),
    [
        ("type: int16, scale: 0.1, strict_edgex: true", Transform(scale=0.1, edgex=ValueType.INT16)),
        ("type: int16, scale: 0.1, strict_edgex: float32", Transform(scale=0.1, edgex=ValueType.FLOAT32)),
        ("type: int16, strict_edgex: float32", Transform(edgex=ValueType.FLOAT32)),
        ("type: int16, strict_edgex: true", IDENTITY),
        ("type: int16, strict_edgex: false", IDENTITY),
        ("type: bool, strict_edgex: true", IDENTITY),
        ("type: string, length: 3, strict_edgex: true", IDENTITY),
    ],
)
def test_edgex_arithmetic_is_a_matter_of_numbers(load: Load, keys: str, transform: Transform) -> None:
    assert tag(load, keys).transform == transform


def test_defaults_of_channel_and_profile_take_it_and_what_stays_here(load: Load) -> None:
    assert tag(load, "type: int16, scale: 2", "defaults: {strict_edgex: true, local: true}\n").transform == Transform(
        scale=2.0, edgex=ValueType.INT16
    )
    profile = "pump: {defaults: {strict_edgex: float64, local: true}, tags: {x: {address: 1, type: int16, scale: 2}}}\n"
    text = channel("  p: {profile: pump}\n  q: {profile: pump, tags: {x: {strict_edgex: false, local: false}}}\n")
    (line,) = load({"channels/line1.yaml": text, "profiles/pump.yaml": profile}).channels
    one, two = (device.tags[0] for device in line.devices)
    assert (one.transform.edgex, one.local) == (ValueType.FLOAT64, True)
    assert (two.transform.edgex, two.local) == (None, False)


def test_a_report_interval_is_part_of_how_a_tag_reports(load: Load) -> None:
    assert tag(load, "type: int16, report_every: 10s, on_change: true").report == Report(True, every_s=10.0)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("type: bool, expect: 5", "x is a bool; got 5"),
        ("type: bool, access: w, expect: true", "a tag that is only written shows no value to check"),
        ("type: bool, desired: true", "`desired` is for tags with access rw that are not momentary"),
        ("type: bool, access: rw, momentary: true, desired: true", "`desired` is for tags with access rw"),
        ("type: uint16, access: rw, write: {max: 3}, desired: 4", "x: 4 is above 3"),
        ("type: uint16, mask: 0x0F00, shift: -8", "of the 16 bits nothing is left by mask 0xF00 and shift -8"),
        ("type: uint16, mask: 0x0F, shift: 4", "of the 16 bits nothing is left by mask 0xF and shift 4"),
        ("type: uint16, shift: 16", "of the 16 bits nothing is left by shift 16"),
        ("type: uint8, mask: 0x100", "of the 8 bits nothing is left by mask 0x100"),
        ("type: uint8, access: rw, desired: 256", "x: 256 does not fit: raw 256 is outside 0 to 255"),
        ("type: int16, strict_edgex: int24", "`strict_edgex` cannot be"),
        ("type: bcd16, scale: 2, strict_edgex: true", "EdgeX has no bcd16"),
        ("type: int16, report_every: 0s", "an interval is 1ms to 7d"),
        ("type: int16, meta: {a: [1]}", "`a` in `meta` must be a text"),
        ("value: 5, type: int16, expect: 5", "`expect` is for tags of a device"),
    ],
)
def test_what_they_cannot_be_is_told(faults: Faults, keys: str, says: str) -> None:
    place = "" if keys.startswith("value") else "address: 1, "
    text = channel(f"  p: {{tags: {{x: {{{place}{keys}}}}}}}\n")
    (problem,) = faults({"channels/line1.yaml": text})
    assert says in problem.message
    assert problem.line == 4
