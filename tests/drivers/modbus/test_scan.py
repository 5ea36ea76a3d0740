"""What may be asked of a scan."""

from __future__ import annotations

import pytest

from drivers.modbus.scan import options_of


@pytest.mark.parametrize("ranges", [[5], "holding/0", {"a": 1}])
def test_ranges_that_are_no_texts_are_refused(ranges):
    with pytest.raises(ValueError, match="ranges"):
        options_of({"ranges": ranges}, serial=False)


def test_the_usual_ranges_are_there_where_addresses_count_from_1():
    options = options_of({"address_base": 1}, serial=False)
    assert str(options.ranges[0]) == "holding/0-199"
    assert str(options_of({"address_base": 1, "ranges": ["holding/1-10"]}, serial=False).ranges[0]) == "holding/0-9"


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("5-1", "write 1-5"),
        ("1-", "no unit id"),
        ("", "no unit id"),
        ("0", "broadcast"),
        ("300", "1 to 255"),
        ("1-99999999999", "1 to 255"),
        ("abc", "no unit id"),
    ],
)
def test_unit_ids_are_refused_with_what_is_wrong_about_them(units, text):
    with pytest.raises(ValueError, match=text):
        options_of({"units": units}, serial=False)


@pytest.mark.parametrize(
    "options",
    [{"ranges": [5]}, {"ranges": "holding/0"}, {"address_base": []}, {"units": [1]}, {"timeout_s": "x"}],
    ids=str,
)
def test_options_of_the_wrong_form_are_wrong_words_not_a_crash(options):
    with pytest.raises(ValueError):
        options_of(options, serial=False)
