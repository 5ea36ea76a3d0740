"""Addresses of the own machine, and what check says of wrong ones."""

from __future__ import annotations

import pytest

from drivers.system import SPEC
from drivers.system.address import ITEMS, Address, AddressError, parse
from tests.drivers.system.kit import channel

PARTS = {"temperature": "cpu", "net": "eth0.10", "disk": "/srv/data"}


@pytest.mark.parametrize("group", ITEMS)
def test_each_address_is_what_it_is_written_as(group):
    for item in ITEMS[group]:
        for part in {"", PARTS.get(group, "")} - ({""} if group in PARTS else set()):
            address = Address(group, part, item)
            assert parse(str(address)) == address


def test_the_root_file_system_has_a_short_form():
    assert parse("disk/free") == Address("disk", "/", "free")
    assert str(parse("disk/free")) == "disk/free"
    assert parse("disk:/var/log/free") == Address("disk", "/var/log", "free")
    assert parse("cpu/1/usage") == Address("cpu", "1", "usage")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("cpu/usag", "no `usag`", "did you mean `usage`?"),
        ("memori/total", "no group `memori`", "did you mean `memory`?"),
        ("net/rx_bytes", "one interface", "net/eth0/rx_bytes"),
        ("temperature", "one sensor", "temperature/cpu"),
        ("disk/var/free", "wrong place", "disk:/var/free"),
        ("disk:var/free", "no mount point", "disk:/var/free"),
        ("memory/0/total", "no parts", "memory/total"),
        ("cpu/x/usage", "no processor", "cpu/0/usage"),
        ("", "no group", "known"),
    ],
)
def test_a_wrong_address_is_refused_with_the_right_one(text, said, hint):
    with pytest.raises(AddressError) as error:
        parse(text)
    assert said in str(error.value)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("address", "kind", "field"),
    [
        ("system/hostname", "float32", "type"),
        ("cpu/usage", "bool", "type"),
        ("cpu/usage", "bytes", "type"),
        ("cpu/usage", "int16", None),
        ("memory/total", "string", None),
        ("clock/synced", "uint16", None),
    ],
)
def test_a_type_that_cannot_hold_a_figure_is_a_fault_of_its_tag(address, kind, field):
    faults = [fault.path for fault in SPEC.check(channel(address, t0=kind))]
    assert faults == ([] if field is None else [f"devices.gw.tags.t0.{field}"])
