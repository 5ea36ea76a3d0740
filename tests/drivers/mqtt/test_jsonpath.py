"""Paths into documents: the subset, its errors, and that nothing else is ever taken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt.jsonpath import MAX_STEPS, MISSING, PathError, getter, parse, put, write

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.a.b", ("a", "b")),
        ("$.switch:0.apower", ("switch:0", "apower")),
        ("$['a.b'][0]", ("a.b", 0)),
        ('$["it\'s"][-1].x', ("it's", -1, "x")),
        ("$['it\\'s']", ("it's",)),
        ("$.Temp-1._x", ("Temp-1", "_x")),
    ],
)
def test_the_written_form_is_read(text, steps):
    assert parse(text) == steps
    assert parse(write(steps)) == steps


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "$a", "$.", "$..a", "$.*", "$[*]", "$[1:2]", "$[?(@.a)]", "$['a", "$.a b", "$[]", "$" + ".a" * 99],
)
def test_anything_else_is_refused_with_the_right_form(text):
    with pytest.raises(PathError) as caught:
        parse(text)
    assert str(caught.value)


def leaves(value: Any, steps: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    found = [(steps, value)]
    if isinstance(value, dict):
        for key, item in value.items():
            found += leaves(item, (*steps, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            found += leaves(item, (*steps, place)) + leaves(item, (*steps, place - len(value)))
    return found


@given(JSON)
def test_every_place_of_a_document_is_reached_and_written_back(document):
    for steps, value in leaves(document):
        if len(steps) <= MAX_STEPS and len(write(steps)) <= 500:
            assert parse(write(steps)) == steps
            assert getter(steps)(document) is value


@given(JSON, st.lists(NAMES | st.integers(-5, 5), max_size=6))
def test_a_place_that_is_not_there_is_missing_and_nothing_else(document, steps):
    path = tuple(steps)
    there = {place: value for place, value in leaves(document)}  # noqa: C416 - the last of equal places
    got = getter(path)(document)
    assert got is MISSING if path not in there else got is there[path]


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise(text):
    try:
        steps = parse(text)
    except PathError:
        return
    assert getter(steps)({}) in (MISSING, {})


def test_a_value_is_put_where_a_command_wants_it():
    assert put(("a", "b"), 1) == {"a": {"b": 1}}
    with pytest.raises(PathError):
        put(("a", 0), 1)
