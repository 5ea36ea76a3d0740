"""Raw values of payloads to values and qualities; nothing is guessed and nothing raises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt.formats import BadPayload, decoder, guess, plain_json
from drivers.mqtt.settings import TagSettings
from drivers.mqtt.times import iso, reader
from drivers.mqtt.values import TYPES, converter, reason
from gateway.model import Quality, TagSpec, Transform, ValueType
from tests.drivers.mqtt.test_jsonpath import JSON

ODD = JSON | st.floats() | st.binary(max_size=8) | st.integers(-(2**70), 2**70) | st.text(max_size=12)


def convert(kind: str, raw, words=None, **more):
    spec = TagSpec("t", ValueType(kind), TagSettings(), **more)
    value, code = converter(spec, words or {})(raw)
    return value, Quality(code).text


@pytest.mark.parametrize(
    ("kind", "raw", "value", "quality"),
    [
        ("float64", 21, 21.0, "good"),
        ("float64", "21.5", 21.5, "good"),
        ("float64", "-1e3", -1000.0, "good"),
        ("float64", True, 1.0, "good"),
        ("float64", "ON", 1.0, "good"),
        ("float64", math.nan, None, "bad/sensor"),
        ("float64", "unavailable", None, "bad/sensor"),
        ("float64", 10**400, None, "bad/range"),
        ("float64", [1], None, "bad/config"),
        ("uint16", 65535, 65535, "good"),
        ("uint16", 65536, None, "bad/range"),
        ("uint16", 7.0, 7, "good"),
        ("uint16", 7.5, None, "bad/config"),
        ("int64", 2**63, None, "bad/range"),
        ("bool", "Online", True, "good"),
        ("bool", "off", False, "good"),
        ("bool", 2, None, "bad/config"),
        ("bool", None, None, "bad/sensor"),
        ("string", 5, "5", "good"),
        ("string", "x" * 40_000, None, "bad/range"),
        ("bytes", "0aff", b"\x0a\xff", "good"),
        ("bytes", "zz", None, "bad/config"),
        ("object", {"a": [1]}, '{"a":[1]}', "good"),
        ("object", 5, None, "bad/config"),
    ],
)
def test_a_raw_value_is_what_it_means(kind, raw, value, quality):
    assert convert(kind, raw) == (value, quality)


def test_words_give_numbers_their_meaning():
    words = {"idle": 0, "heating": 1, "true": 5}
    assert convert("uint16", "heating", words) == (1, "good")
    assert convert("uint16", True, words) == (5, "good")
    assert convert("uint16", "cooling", words) == (None, "bad/config")


def test_scale_range_and_marks_work_as_on_any_wire():
    more = {"transform": Transform(scale=0.1, invalid=(-999,)), "range": (0.0, 50.0)}
    assert convert("float64", 254, **more) == (25.4, "good")
    assert convert("float64", -999, **more) == (None, "bad/sensor")
    assert convert("float64", 600.0, **more) == (60.0, "bad/range")


@given(ODD, st.sampled_from(sorted(TYPES)))
def test_no_payload_makes_a_conversion_fail_and_good_values_have_their_type(raw, kind):
    spec = TagSpec("t", kind, TagSettings(), transform=Transform(scale=0.5) if "int" in kind else Transform())
    value, code = converter(spec, {})(raw)
    if code == 0:
        wanted = {"bool": bool, "string": str, "bytes": bytes, "object": str, "float32": float, "float64": float}
        assert isinstance(value, wanted.get(kind.value, float))
    else:
        assert reason(spec, raw, code)


@given(st.binary(max_size=200), st.sampled_from(["json", "msgpack", "cbor", "plain", "raw"]))
def test_no_bytes_make_a_decoder_fail_otherwise(payload, form):
    try:
        decoder(form)(payload)
    except BadPayload as error:
        assert str(error)
    assert guess(payload) in {"json", "msgpack", "cbor", "plain", "raw"}


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ("json", b"[" * 100_000),
        ("json", b'{"a":' * 50_000),
        ("msgpack", b"\x91" * 100_000),
        ("cbor", b"\x81" * 100_000),
    ],
)
def test_deep_nesting_is_a_bad_payload(form, payload):
    with pytest.raises(BadPayload):
        decoder(form)(payload)


@pytest.mark.parametrize(
    ("form", "payload"), [("msgpack", bytes.fromhex("dfffffffff")), ("cbor", bytes.fromhex("5bffffffffffffff00"))]
)
def test_a_huge_announced_length_costs_no_memory(form, payload):
    with pytest.raises(BadPayload):
        decoder(form)(payload)


def test_nan_of_loose_json_is_taken():
    assert math.isnan(decoder("json")(b'{"a": NaN}')["a"])


def test_what_json_does_not_know_is_shown_as_text():
    assert plain_json({1: b"\x01", "t": (1,)}) == {"1": "01", "t": [1]}
    deep: list = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(BadPayload):
        plain_json(deep)


@pytest.mark.parametrize(
    ("form", "raw", "ms"),
    [
        ("iso", "2027-01-15T08:00:00", 1_800_000_000_000),
        ("iso", "2027-01-15T08:00:00.25Z", 1_800_000_000_250),
        ("iso", "2027-01-15T09:00:00+01:00", 1_800_000_000_000),
        ("iso", "yesterday", None),
        ("iso", 5, None),
        ("s", 1_800_000_000.5, 1_800_000_000_500),
        ("s", "1800000000", 1_800_000_000_000),
        ("ms", 1_800_000_000_000, 1_800_000_000_000),
        ("us", 1_800_000_000_000_000, 1_800_000_000_000),
        ("ms", "x", None),
        ("ms", True, None),
        ("s", math.inf, None),
    ],
)
def test_a_time_is_read(form, raw, ms):
    assert reader(form)(raw) == ms


@given(ODD)
def test_no_value_makes_a_time_fail(raw):
    iso(raw)
    for form in ("s", "ms", "us"):
        reader(form)(raw)
