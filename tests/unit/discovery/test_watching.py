"""Patterns of watch rules, templates of ids, and what browsed items become."""

from __future__ import annotations

import pytest

from gateway.cli.picking import Picked, is_picked
from gateway.watching import PatternError, WatchSpec, compiled, device_id, filled


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("simple01", ["simple01", "SIMPLE01"], ["simple012", "asimple01", ""]),
        ("Ruuvi *", ["Ruuvi 1234", "ruuvi "], ["My Ruuvi 1"]),
        ("a?c", ["abc"], ["ac", "abbc"]),
        ("[::1]:4840", ["[::1]:4840"], [":", "[::2]:4840"]),
        ("plant/+/x.y", ["plant/+/x.y"], ["plant/1/x.y", "plant/+/xzy"]),
        ("/ab[0-9]+/", ["ab1", "ab12"], ["ab", "ab1x", "AB1"]),
        ("/a|b/", ["a", "b"], ["ab", "xb"]),
        ("*", ["", "two\nlines"], []),
    ],
)
def test_a_pattern_fits_the_whole_text_or_not_at_all(pattern, fitting, others):
    assert [text for text in (*fitting, *others) if compiled(pattern).fits(text)] == fitting


def test_a_pattern_that_is_none_says_so():
    with pytest.raises(PatternError, match="no regular expression"):
        compiled("/(/")


def test_many_stars_cost_no_more_than_one():
    text = "a" * 200 + "!"
    assert not compiled("*a" * 40 + "*b").fits(text)  # every way to share the text would be more than 10 to the 40
    assert compiled("*a" * 40 + "*!").fits(text)


def rule(**more):
    return WatchSpec(
        "air", "r", (("address", ("simple01",)), ("port", ("3*",))), (("port", ("397", "39[8]", "398")),), **more
    )


@pytest.mark.parametrize(
    ("properties", "fits"),
    [
        ({"address": "simple01", "port": "300"}, True),
        ({"address": "simple01", "port": "397"}, False),
        ({"address": "simple01", "port": "398"}, False),
        ({"address": "other", "port": "300"}, False),
        ({"address": "simple01"}, False),
    ],
)
def test_every_property_has_to_fit_and_none_that_is_excepted(properties, fits):
    assert rule().fits(properties) is fits


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ruuvi 1234", "Ruuvi-1234"),
        ("AA:BB:CC", "AA-BB-CC"),
        ("../../etc/passwd", "etc-passwd"),
        ("näh", "n-h"),
        ("", "device"),
        ("***", "device"),
        ("x" * 100, "x" * 64),
        ("taken", "taken-3"),
        ("y" * 70, "y" * 62 + "-2"),
    ],
)
def test_an_id_is_made_of_what_an_id_can_hold_and_is_free(text, found):
    assert device_id(text, {"taken", "taken-2", "y" * 64}) == found


def test_templates_are_filled_in_texts_below_and_a_missing_property_is_nothing():
    template = {"meta": {"seen": "{name} at {address}{none}"}, "list": ["{name}"], "n": 3}
    assert filled(template, {"name": "N", "address": "A"}) == {"meta": {"seen": "N at A"}, "list": ["N"], "n": 3}


ITEM = {
    "path": "Boiler/Top/Temp",
    "name": "Temp",
    "address": "ns=2;s=x",
    "keys": {"address": "ns=2;s=x", "type": "int32"},
}


@pytest.mark.parametrize(
    ("pattern", "picked"),
    [("Temp", True), ("Boiler/*", True), ("ns=2;*", True), ("*/Temp", True), ("Boiler", False), ("emp", False)],
)
def test_an_item_is_picked_by_path_name_or_address_as_a_whole(pattern, picked):
    assert is_picked(ITEM, [pattern]) is picked


def test_picked_items_get_names_that_are_free_and_none_becomes_a_tag_twice():
    picked = Picked(
        {"old": {"address": "a0", "type": "int32", "unit": "V"}, "Temp/x": {"address": "q"}}, {"of_profile"}
    )
    for path, address in (
        ("A/Temp", "a1"),
        ("B/Temp", "a2"),
        ("B/Temp", "a3"),
        ("C/old one", "a0"),
        ("C/of profile", "a5"),
    ):
        picked.take({"path": path, "name": path.split("/")[1], "keys": {"address": address, "type": "int16"}})
    assert {name: keys["address"] for name, keys in picked.fresh.items()} == {
        "A_Temp": "a1", "B_Temp": "a2", "Temp-2": "a3", "C_of_profile": "a5",
    }  # fmt: skip
    assert picked.again == 1
