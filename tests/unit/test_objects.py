"""Values of type object: text inside, lists and maps outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands import coerce
from gateway.errors import WriteRejected
from gateway.model import Tag, TagSpec, ValueType
from gateway.objects import from_text, holds, to_text
from gateway.runtime.node import shown
from gateway.uplink.codecs.decode import typed_value
from gateway.writes import matches

RECIPE = Tag("oven", "recipe", 0, 1, TagSpec("recipe", ValueType.OBJECT, None))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
OBJECTS = st.lists(TREES) | st.dictionaries(st.text(), TREES)


@given(value=OBJECTS)
def test_an_object_comes_back_as_it_was_everywhere(value):
    text = to_text(value)
    assert from_text(text) == value
    assert shown(RECIPE, text) == value
    assert typed_value(text, "object") == value
    assert coerce(RECIPE, value) == coerce(RECIPE, text) == text


@pytest.mark.parametrize(
    "value", [1, "x", "1", "[1", None, True, {"x": float("nan")}, {"x": b"y"}, "[NaN]", "[" * 100_000]
)
def test_what_is_no_object_is_refused(value):
    with pytest.raises(WriteRejected) as caught:
        coerce(RECIPE, value)
    assert caught.value.code == 400


def test_a_read_back_is_compared_by_meaning():
    assert matches(RECIPE.spec, '{"a":1,"b":[2]}', '{"b": [2.0], "a": 1}')
    assert not matches(RECIPE.spec, '{"a":1}', '{"a":2}')
    assert matches(RECIPE.spec, '{"a":1,"c":[{"d":2}]}', '{"a":1,"b":5,"c":[{"d":2,"e":0}]}')
    assert not matches(RECIPE.spec, '{"a":1,"b":5}', '{"a":1}')
    assert not matches(RECIPE.spec, "[1]", "[1,2]")
    assert not holds("[1", "[1 ")
    assert not matches(RECIPE.spec, "[1]", None)
