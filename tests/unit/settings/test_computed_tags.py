"""Tags without an address, and interlocks."""

from __future__ import annotations

import pytest

from drivers.virtual import SPEC as VIRTUAL
from gateway.driver import DriverSpec
from gateway.model import Access, TagSpec
from gateway.rulebook import Every, VirtualSpec
from gateway.settings.plan import diff
from tests.unit.settings.plant import plant
from tests.unit.settings.toy import TOY, Faults, Load, channel

DRIVERS: dict[str, DriverSpec] = {"toy": TOY, "virtual": VIRTUAL}


def tags(load: Load, device: str, **files: str) -> dict[str, TagSpec]:
    (found,) = [one for line in load(plant(**files)).channels for one in line.devices if one.id == device]
    return {tag.path: tag for tag in found.tags}


@pytest.mark.parametrize(
    ("keys", "virtual"),
    [
        ("type: float64, value: speed * 2", VirtualSpec("value", "speed * 2", "pump2")),
        ("type: float64, value: 5", VirtualSpec("value", "5", "pump2")),
        ("type: bool, value: true", VirtualSpec("value", "true", "pump2")),
        ("type: string, value: quality(speed)", VirtualSpec("value", "quality(speed)", "pump2")),
        ("type: uint32, counts: run", VirtualSpec("counts", "run", "pump2")),
        ("type: float64, hours: '{run} and {n} > 1'", VirtualSpec("hours", "{run} and 2 > 1", "pump2")),
        (
            "type: float64, integral: speed, reset: daily",
            VirtualSpec("integral", "speed", "pump2", reset=Every(cron="0 0 * * *", zone="UTC", missed="once")),
        ),
        (
            "type: float64, integral: speed, reset: {cron: 0 6 * * 1, zone: Asia/Tokyo}",
            VirtualSpec("integral", "speed", "pump2", reset=Every(cron="0 6 * * 1", zone="Asia/Tokyo", missed="once")),
        ),
    ],
)
def test_a_computed_tag_knows_its_expression_and_its_device(load: Load, keys: str, virtual: VirtualSpec) -> None:
    tag = tags(load, "pump2", profile=f"    x: {{{keys}, unit: u, on_change: true}}\n")["x"]
    assert tag.virtual == virtual
    assert (tag.source, tag.unit, tag.access) == (None, "u", Access.READ)


def test_a_memory_holds_what_was_set(load: Load) -> None:
    text = "driver: virtual\ndevices:\n  plant:\n    tags:\n      a: {type: float64, access: rw, initial: 5}\n"
    text += "      b: {type: uint16, labels: {0: day, 1: night}, initial: night}\n      c: {type: string}\n"
    text += "      d: {type: float64, value: a * 2}\n"
    (line,) = load({"channels/plant.yaml": text}, drivers=DRIVERS).channels
    a, b, c, d = line.devices[0].tags
    assert a.virtual == VirtualSpec("memory", device="plant", initial=5.0)
    assert isinstance(a.virtual.initial, float)
    assert a.access is Access.READ_WRITE
    assert b.virtual == VirtualSpec("memory", device="plant", initial=1)
    assert c.virtual == VirtualSpec("memory", device="plant")
    assert d.virtual == VirtualSpec("value", "a * 2", "plant")


def test_defaults_for_the_wire_are_not_for_computed_tags(load: Load) -> None:
    head = "groups: {fast: 1s}\ndefaults: {group: fast, length: 4, heartbeat: 1h}\n"
    text = channel("  a: {tags: {x: {address: 1, type: uint16}, y: {type: float64, value: x}}}\n", head)
    (line,) = load({"channels/a.yaml": text}).channels
    x, y = line.devices[0].tags
    assert (x.group, y.group, y.schedule) == ("fast", "", None)
    assert y.report.heartbeat_s == 3600.0


def test_the_driver_is_not_asked_about_tags_that_it_does_not_have(load: Load) -> None:
    # toy_check looks at each tag's address
    assert load({"channels/a.yaml": channel("  a: {tags: {y: {type: float64, value: '5'}}}\n")}).hash


def test_an_expression_may_read_any_device(load: Load) -> None:
    more = "  sums: {tags: {all: {type: float64, value: pump1.speed + pump2.speed}}}\n"
    assert tags(load, "sums", devices=more)["all"].virtual.text == "pump1.speed + pump2.speed"


def test_an_interlock_is_a_condition_of_its_device(load: Load) -> None:
    tag = tags(
        load, "pump1", profile="    go: {address: 7, type: bool, access: rw, write: {while: '{speed} < {limit}'}}\n"
    )
    assert tag["go"].write.interlock == "{speed} < 1001"


def test_a_long_circle_is_told_once_with_its_way(faults: Faults) -> None:
    profile = "    a: {type: float64, value: b + c}\n    b: {type: float64, value: speed}\n"
    profile += "    c: {type: float64, value: 1 if d else 0}\n    d: {type: bool, value: a > 5}\n"
    problems = faults(plant(profile=profile))
    assert [problem.message for problem in problems] == [
        "this is computed from itself: pump1.a -> pump1.c -> pump1.d -> pump1.a",
    ]
    assert (problems[0].line, problems[0].column) == (10, 28)


def test_a_circle_over_a_memory_is_none(load: Load) -> None:
    text = "driver: virtual\ndevices: {p: {tags: {m: {type: float64}, v: {type: float64, value: m + 1}}}}\n"
    rules = "a: {when: p.v < 5, start: [{set: {p.m: {value: p.v}}}]}\n"
    assert load({"channels/p.yaml": text, "rules/a.yaml": rules}, drivers=DRIVERS).book.rules


def test_another_expression_is_another_tag_in_hash_and_plan(load: Load) -> None:
    old = load(plant(profile="    x: {type: float64, value: speed}\n"))
    new = load(plant(profile="    x: {type: float64, value: speed + 1}\n"))
    assert old.hash != new.hash
    assert diff(old, new).channels_changed == ("line1",)
