"""Values of tags through JSON and back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lossless import from_json, to_json
from gateway.model import Value

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())


@given(VALUES)
def test_every_value_comes_back_with_its_type(value: Value) -> None:
    back = from_json(json.loads(json.dumps(to_json(value))))
    assert (type(back), back) == (type(value), value)


def test_what_is_no_number_comes_back_too() -> None:
    back = from_json(json.loads(json.dumps(to_json(math.nan), allow_nan=False)))
    assert isinstance(back, float)
    assert math.isnan(back)


@pytest.mark.parametrize("item", [{}, {"hex": 5}, {"hex": "0g"}, {"float": "1"}, {"hex": "00", "x": 1}, [1]])
def test_anything_else_is_refused(item: object) -> None:
    with pytest.raises(ValueError):
        from_json(item)
