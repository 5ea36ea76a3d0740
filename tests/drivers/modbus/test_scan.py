"""What may be asked of a scan."""

from __future__ import annotations

import pytest

from drivers.modbus.scan import options_of


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
