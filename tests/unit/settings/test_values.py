"""Durations, sizes, rates, ranges, expressions, ids."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.ids import did_you_mean, is_id, suggest_id, tag_path_fault
from gateway.settings.templates import TemplateError, evaluate, expand_name, fill
from gateway.units import parse_bytes, parse_rate, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("1.5s", 1.5), ("15m", 900), ("15min", 900), ("24h", 86400), ("30d", 2592000), (0, 0), ("3 s", 3)],
)
def test_a_duration_is_seconds(text: object, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["5", 5, 1.5, "s", "-1s", "1:30", "five", True, None, "1S", "1e3s", ""])
def test_a_duration_without_a_known_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "size"), [("256MB", 256_000_000), ("64KiB", 65536), ("1.5kB", 1500), (0, 0), ("7B", 7)]
)
def test_a_size_is_bytes(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["256", 256, "256Mb", "MB", "-1MB", False])
def test_a_size_without_a_known_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("5/min", (5, 60)), ("10/s", (10, 1)), ("3/10s", (3, 10)), ("1/h", (1, 3600))]
)
def test_a_rate_is_events_per_seconds(text: str, rate: tuple[int, float]) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["5", "0/s", "5/0s", "5 per minute", "/min", 5])
def test_a_rate_of_another_form_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("pump", ["pump"]),
        ("m{1..3}", ["m1", "m2", "m3"]),
        ("m{08..11}", ["m08", "m09", "m10", "m11"]),
        ("m{8..11}_a", ["m8_a", "m9_a", "m10_a", "m11_a"]),
        ("{0..1}", ["0", "1"]),
    ],
)
def test_a_range_keeps_its_zeros(name: str, names: list[str]) -> None:
    assert [made for made, _ in expand_name(name)] == names


@pytest.mark.parametrize("name", ["m{3..1}", "m{1..}", "m{a..b}", "m{1..2}{3..4}", "m{1..2000}", "m}", "m{1-3}"])
def test_a_range_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(TemplateError):
        expand_name(name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{n}", 7),
        ("{n * 10 + base}", 170),
        ("{-n + 2 * (base - 1)}", 191),
        ("holding/{base}", "holding/100"),
        ("{n}{n}", "77"),
        ("{ratio}", 0.5),
        ("{name}-{n}", "east-7"),
        ("{{n}}", "{n}"),
        ("plain", "plain"),
        ("{flag}", True),
    ],
)
def test_braces_hold_parameters_and_sums(text: str, value: Any) -> None:
    scope = {"n": 7, "base": 100, "ratio": 0.5, "name": "east", "flag": True}
    filled = fill(text, scope, set())
    assert filled == value
    assert type(filled) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "{x}",
        "{n/2}",
        "{n**9}",
        "{name + 1}",
        "{}",
        "{n",
        "n}",
        "{__import__('os')}",
        "{n.real}",
        "{n[0]}",
        "{'a'*9}",
        "{True}",
    ],
)
def test_anything_else_in_braces_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        fill(text, {"n": 7, "name": "east"}, set())


def test_numbers_cannot_grow_without_end() -> None:
    with pytest.raises(TemplateError, match="too large"):
        evaluate("n" + "*n" * 30, {"n": 9999}, set())


@given(st.text(max_size=60))
def test_no_expression_raises_anything_else(text: str) -> None:
    with contextlib.suppress(TemplateError):
        evaluate(text, {"n": 3}, set())


@given(st.text(max_size=80))
def test_a_suggested_id_is_an_id(text: str) -> None:
    suggestion = suggest_id(text).removeprefix("for example `").removesuffix("`")
    assert not suggestion or is_id(suggestion)


@pytest.mark.parametrize("path", ["a", "bearing1/temp", "A/b/c/d/e", "1st-floor"])
def test_tag_paths(path: str) -> None:
    assert not tag_path_fault(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a.b", "a b", "a/b/c/d/e/f", "_a", "ä", "a" * 65])
def test_bad_tag_paths(path: str) -> None:
    assert tag_path_fault(path)


def test_the_nearest_word_is_offered_else_all_of_them() -> None:
    assert did_you_mean("uint61", ["uint16", "bool"]) == "did you mean `uint16`?"
    assert did_you_mean("UNIT", ["unit", "x"]) == "did you mean `unit`?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
