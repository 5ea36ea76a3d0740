"""Desired documents: what is read is what was written, and a change does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet.document import Document, Leaf, checked_edits, edited, parse_document, render, touches
from gateway.fleet.results import parse_result
from gateway.fleet.shadows import delta, differing, equal, parse_rejection, parse_reported
from gateway.nesting import nest

IDS = st.text("abAB01_-", min_size=1, max_size=3).filter(lambda text: text[0] not in "_-")
PATHS = st.lists(IDS, min_size=1, max_size=5).map(".".join)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({}))
EDITS = st.lists(st.tuples(PATHS, st.one_of(VALUES, st.none())), max_size=12)


def _built(steps: list[tuple[str, Any]]) -> Document:
    document = Document()
    for path, value in steps:
        document = edited(document, {path: value}, document.ver + 1, 1795000000000)
    return document


@given(EDITS)
def test_a_document_survives_the_wire(steps: list[tuple[str, Any]]) -> None:
    document = _built(steps)
    assert parse_document(render(document)) == document


@given(EDITS)
def test_no_leaf_is_prefix_of_another_whatever_is_written(steps: list[tuple[str, Any]]) -> None:
    leaves = list(_built(steps).leaves)
    assert not any(touches(one, other) for one in leaves for other in leaves if one != other)


@given(EDITS, PATHS, st.one_of(VALUES, st.none()))
def test_a_change_sets_or_takes_out_its_leaf_and_leaves_strangers_alone(
    steps: list[tuple[str, Any]], path: str, value: Any
) -> None:
    before = _built(steps)
    after = edited(before, {path: value}, before.ver + 1, 7)
    assert after.leaves.get(path) == (None if value is None else Leaf(value, after.ver, 7))
    for other, leaf in before.leaves.items():
        if not touches(path, other) and not touches(other, path):
            assert after.leaves[other] == leaf


@given(st.binary(max_size=60))
def test_no_bytes_are_an_exception(payload: bytes) -> None:
    for parse in (parse_document, parse_reported, parse_rejection, parse_result):
        parse(payload)  # type: ignore[operator]


@pytest.mark.parametrize(
    "body",
    [
        {"v": 1, "state": {}},
        {"v": 2, "ver": 1, "state": {}},
        {"v": 1, "ver": -1, "state": {}},
        {"v": 1, "ver": 1, "state": {"a b": 1}},
        {"v": 1, "ver": 1, "state": {"a.b": 1}},
        {"v": 1, "ver": 1, "state": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}},
        {"v": 1, "ver": 1, "state": [1]},
    ],
    ids=str,
)
def test_what_is_no_document_is_none(body: dict[str, Any]) -> None:
    assert parse_document(json.dumps(body).encode()) is None


def test_a_leaf_without_meta_has_the_documents_version() -> None:
    document = parse_document(b'{"v":1,"ver":4,"state":{"a":1,"b":2},"meta":{"b":[3,9]}}')
    assert document == Document(4, {"a": Leaf(1, 4), "b": Leaf(2, 3, 9)})


def test_groups_are_taken_apart_and_both_spellings_mean_the_same() -> None:
    assert checked_edits({"setpoints": {"temp": 1, "deep": {"x": None}}, "a/b": [1]}) == {
        "setpoints.temp": 1,
        "setpoints.deep.x": None,
        "a.b": [1],
    }
    assert nest({"a.b": 1, "a.c": 2}) == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "same"),
    [
        (1, 1.0, None, True), (1, True, None, False), (0, False, None, False), ("1", 1, None, False),
        (21.1, 21.100000381469727, None, True), (21.1, 21.2, None, False), (21.1, 21.2, 0.2, True),
        ([1, 2], [1, 2.0], None, True), ([1], [2], None, False), (2**63, str(2**63), None, True), (None, None, None, True),
        (10**400, 1.0, None, False),
    ],
)  # fmt: skip
def test_values_are_the_same_by_type_and_within_the_tolerance(
    one: Any, other: Any, tolerance: float | None, same: bool
) -> None:
    assert equal(one, other, tolerance) is same


def test_delta_is_what_is_desired_and_not_reported() -> None:
    said = parse_reported(b'{"v":1,"ver":1,"epoch":1,"desired_ver":1,"state":{"a":1,"b":5,"more":9}}')
    assert delta({"a": 1, "b": 2, "c": 3}, said) == {"b": 2, "c": 3}
    assert delta({"a": 1}, None) == {"a": 1}


def test_a_label_that_is_in_effect_is_no_difference() -> None:
    body = b'{"v":1,"ver":1,"epoch":1,"desired_ver":2,"state":{"mode":1},"apply":{"mode":["%s",2,200,""]}}'
    assert delta({"mode": "heat"}, parse_reported(body % b"ok")) == {}
    assert delta({"mode": "heat"}, parse_reported(body % b"pending")) == {"mode": "heat"}


@pytest.mark.parametrize(
    ("knows", "said", "differs"),
    [
        (5, b',"delta":["b"]', {"b": 2}),
        (6, b',"delta":[]', {}),
        (5, b',"delta":["gone"]', {}),
        (4, b',"delta":["b"]', {"a": 1}),
        (5, b"", {"a": 1}),
        (5, b',"delta":null', {"a": 1}),
        (5, b',"delta":[7]', {"a": 1}),
    ],
)
def test_the_gateways_own_delta_is_taken_where_it_knows_the_document(
    knows: int, said: bytes, differs: dict[str, Any]
) -> None:
    body = b'{"v":1,"ver":1,"epoch":1,"desired_ver":%d,"state":{"a":1.01,"b":2}%s}' % (knows, said)
    desired = Document(5, {"a": Leaf(1, 5), "b": Leaf(2, 4)})
    assert differing(desired, parse_reported(body)) == differs
    assert differing(None, parse_reported(body)) == {}
    assert differing(desired, None) == {"a": 1, "b": 2}


def test_qualities_are_read_and_those_of_another_shape_left_out() -> None:
    body = b'{"v":1,"ver":1,"state":{"a":1},"quality":%s}'
    for text, quality in ((b'{"a":"bad/comm","b":7}', {"a": "bad/comm"}), (b"[]", {}), (b"null", {})):
        reported = parse_reported(body % text)
        assert reported is not None
        assert reported.quality == quality


def test_the_examples_of_the_protocol_are_read() -> None:
    paper = Path(__file__).parents[3] / "docs" / "reference" / "protocol.md"
    blocks = re.findall(r"```json\n(.*?)```", paper.read_text(encoding="utf-8"), re.S)
    examples = [line.encode() for block in blocks for line in block.splitlines()]
    desired = [found for found in map(parse_document, examples) if found is not None and "fan" in found.leaves]
    reported = [found for found in map(parse_reported, examples) if found is not None and found.local]
    rejections = [found for found in map(parse_rejection, examples) if found is not None]
    results = [found for found in map(parse_result, examples) if found is not None]
    assert desired[0].leaves["setpoints.temp"] == Leaf(21.5, 12, 1795000000000)
    assert reported[0].local["mode"].origin == "console"
    assert (rejections[0].path, rejections[0].code) == ("mode", 409)
    assert results[0].items["setpoints/temp"]["verified"] is True
