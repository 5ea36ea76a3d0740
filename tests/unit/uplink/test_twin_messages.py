"""Twins as texts, and whatever a program may send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.twins import messages, texts
from gateway.uplink.twins.port import Side, Twin, TwinError

NAMES = st.text(max_size=130)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (2**63, "9223372036854775808"),
        (21.5, "21.5"),
        (12.0, "12"),
        (1e20, "1e20"),
        (1e-7, "1e-07"),
        (float("nan"), None),
        ("Auto", "Auto"),
        ("by hand", None),
        ("", None),
        ("x" * 512, "x" * 512),
        ("x" * 513, None),
        (b"\x01\xff", "01ff"),
        ([1], None),
    ],
)
def test_a_value_is_a_text_of_the_allowed_signs_or_none(value, text):
    assert texts.text_of(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_its_text(value):
    text = texts.text_of(value)
    assert text is not None
    assert texts.value_of(text, texts.FLOAT) == value


@given(st.integers(-(2**64), 2**64))
def test_a_whole_number_survives_its_text(value):
    text = texts.text_of(value)
    assert text is not None
    assert texts.value_of(text, texts.INT) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", "boolean"),
        ("True", "boolean"),
        ("1.5", "int"),
        ("", "string"),
        ("a b", "string"),
        ("nan", "float"),
        ("1e999", "float"),
        ("1_0", "int"),
        ("٣", "int"),
        ("x" * 513, "string"),
    ],
)
def test_a_text_that_is_no_value_is_refused(text, kind):
    with pytest.raises(texts.Unfit):
        texts.value_of(text, kind)


@given(st.binary(max_size=200) | JUNK.map(lambda x: json.dumps(x).encode()))
def test_whatever_comes_is_an_update_or_a_refusal(payload):
    for read in (messages.update_of, messages.state_of, messages.event_id, messages.body_of):
        try:
            read(payload)
        except TwinError as error:
            assert error.code == 400


@given(st.dictionaries(NAMES, JUNK, max_size=4), JUNK)
def test_whatever_stands_below_twin_is_an_update_or_a_refusal(twins, event):
    payload = json.dumps({"event_id": event, "twin": twins}).encode()
    assert isinstance(messages.event_id(payload), str)
    try:
        update = messages.update_of(payload)
    except TwinError as error:
        assert error.code == 400
    else:
        assert update.wishes.keys() | update.actual.keys() <= twins.keys()


def test_a_message_of_too_many_twins_or_bytes_is_refused():
    many = {f"t{number}": {"expected": {"value": "1"}} for number in range(messages.MOST_TWINS + 1)}
    with pytest.raises(TwinError, match="at most 500 twins"):
        messages.update_of(json.dumps({"twin": many}).encode())
    with pytest.raises(TwinError, match="at most 65536 bytes"):
        messages.update_of(b" " * 65_537)


def test_a_twin_has_the_form_that_kubeedge_writes():
    twin = Twin("temp", "int", True, Side("21", 1795000000000, 3), Side("20", 1795000000001, 7), differs=True)
    assert messages.twins_in("1", 5, [twin]) == {
        "event_id": "1",
        "timestamp": 5,
        "twin": {
            "temp": {
                "expected": {"value": "21", "metadata": {"timestamp": 1795000000000}},
                "actual": {"value": "20", "metadata": {"timestamp": 1795000000001}},
                "optional": True,
                "metadata": {"type": "int"},
                "expected_version": {"cloud": 3, "edge": 0},
                "actual_version": {"cloud": 0, "edge": 7},
            }
        },
    }
    assert messages.delta_in(5, [twin])["delta"] == {"temp": "21"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"event_id":"7","twin":{"a":{"expected":{"value":"1"}},"a":{"expected":{"value":"2"}}}}',
        b'{"event_id":"7","twin":{"a":null},"twin":{"b":null}}',
        b'{"event_id":"7","twin":{"a":{"expected":{"value":"1","value":"2"}}}}',
        b'{"event_id":"7","twin":{"a":null,"\\u0061":null}}',
    ],
)
def test_a_message_with_a_key_that_stands_twice_is_refused_whole(payload):
    for read in (messages.update_of, messages.state_of, messages.body_of):
        with pytest.raises(TwinError, match="stands twice") as refused:
            read(payload)
        assert refused.value.code == 400
    assert messages.event_id(payload) == "7"
