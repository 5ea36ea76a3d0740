"""Scans: what is asked of a wire, and what is not."""

from __future__ import annotations

import struct

import pytest

from drivers.modbus.address import parse_range
from drivers.modbus.scan import Scan, options_of
from gateway.errors import DeviceUnavailable, RequestRefused


class Unit5:
    """A wire with one unit that has all registers: each holds its own offset."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int, int]] = []

    async def exchange(self, unit, code, payload, size=-1, *, limit_s=None):
        assert limit_s is not None, "silence must not cost the channel's whole time-out"
        if code == 43:
            raise RequestRefused("illegal function", code=1)
        first, count = struct.unpack(">HH", payload)
        self.asked.append((unit, code, first, count))
        if unit != 5:
            raise DeviceUnavailable("no answer")
        return bytes((2 * count,)) + struct.pack(f">{count}H", *range(first, first + count))


async def scanned(forbidden: list[str], **options):
    wire = Unit5()
    ranges = {5: [parse_range(each) for each in forbidden]}
    found = [each async for each in Scan(wire, options_of(options, serial=False), ranges).findings()]
    return wire, [each for each in found if "done" not in each]


@pytest.mark.parametrize("ranges", [["holding/0-20"], ["holding/0-3", "holding/10-20"]])
async def test_a_unit_whose_first_registers_are_forbidden_is_found_by_the_next_one(ranges):
    wire, found = await scanned(["holding/0-9"], units="4-5", ranges=ranges)
    assert found[0] == {"unit": 5, "answers": "data"}
    assert [row["offset"] for each in found for row in each.get("rows", [])] == list(range(10, 21))
    assert all(first >= 10 for unit, code, first, _ in wire.asked if unit == 5 and code == 3)


async def test_a_unit_of_which_nothing_may_be_asked_is_left_alone():
    wire, found = await scanned(["holding/0-65535"], units="5", ranges=["holding/0-20"])
    assert (wire.asked, found) == ([], [])


@pytest.mark.parametrize("units", ["0-5", "256", "1-99999999999", "7-3", "x", ""])
def test_unit_ids_that_are_none_are_refused_before_a_list_of_them_is_made(units):
    if not units:
        assert options_of({"units": units}, serial=True).units == tuple(range(1, 248))
        return
    with pytest.raises(ValueError, match="unit id"):
        options_of({"units": units}, serial=True)


@pytest.mark.parametrize("ranges", [[5], "holding/0", {"a": 1}])
def test_ranges_that_are_no_texts_are_refused(ranges):
    with pytest.raises(ValueError, match="ranges"):
        options_of({"ranges": ranges}, serial=False)


def test_the_usual_ranges_are_there_where_addresses_count_from_1():
    options = options_of({"address_base": 1}, serial=False)
    assert str(options.ranges[0]) == "holding/0-199"
    assert str(options_of({"address_base": 1, "ranges": ["holding/1-10"]}, serial=False).ranges[0]) == "holding/0-9"
