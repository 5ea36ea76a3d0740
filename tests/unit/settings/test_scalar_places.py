"""A place inside a scalar is found in the file, however the scalar was written."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.nodes import MappingNode, ScalarNode
from gateway.settings.positions import Problems
from gateway.settings.scalar_places import place_in_scalar
from gateway.settings.yaml_reader import read_documents


def scalar(source: str) -> ScalarNode:
    (document,) = read_documents("a.yaml", source, Problems())
    assert isinstance(document.node, MappingNode)
    (_, value) = document.node.value[-1]
    assert isinstance(value, ScalarNode)
    return value


@pytest.mark.parametrize(
    "source",
    [
        "a: x > 80 @@ y",
        "b: 1\na: x > 80 @@ y  # comment",
        'a: "x > 80 @@ y"',
        "a: 'x > 80 @@ y'",
        "a: 'it''s @@ y'",
        'a: "a \\"b\\" \\x41 \\u00e4 @@ y"',
        "a: x >\n  80\n  @@ y",
        "a: 'x >\n\n  80\n  @@ y'",
        'a: "x > \\\n  80 @@ y"',
        "a: >\n  x > 80\n  @@ y",
        "a: >-\n  x > 80 @@ y",
        "a: |\n  x > 80\n  @@ y",
        "a: |\n  x > 80\n\n  @@ y\n",
        "a: ä° > 80 @@ y",
        "l: [1]\nm: {a: x > 80 @@ y}\na: x @@",
        "a: x > 80\r\nb: '@@'",
    ],
)
def test_the_marked_place_is_found(source: str) -> None:
    node = scalar(source)
    line, column = place_in_scalar(node, source, node.value.index("@@"))
    assert source.splitlines()[line - 1][column - 1 :].startswith("@@")


def test_one_past_the_end_is_behind_the_last_character() -> None:
    source = "a: x >  # comment"
    assert place_in_scalar(scalar(source), source, 3) == (1, 7)


@pytest.mark.parametrize("source", ["a: >\n  x\n    more\n\n  y @@", "a: >\n  one\n\n  two @@"])
def test_an_odd_shape_gives_the_beginning_or_the_right_line(source: str) -> None:
    node = scalar(source)
    line, column = place_in_scalar(node, source, node.value.index("@@"))
    at_the_mark = source.splitlines()[line - 1][column - 1 :].startswith("@@")
    assert at_the_mark or (line, column) == (1, 4)


@given(st.text(st.sampled_from("ab '\"\\:{}#>|\n\t-"), max_size=30), st.sampled_from(["'", '"', None]))
def test_no_text_leads_to_a_wrong_line(text: str, style: str | None) -> None:
    source = yaml.safe_dump({"a": text + "@@"}, default_style=style, width=20)
    documents = read_documents("a.yaml", source, Problems())
    node = documents[0].node if documents else None
    assert isinstance(node, MappingNode)
    ((_, value),) = node.value
    assert isinstance(value, ScalarNode)
    line, column = place_in_scalar(value, source, value.value.index("@@"))
    found = source.splitlines()[line - 1][column - 1 :]
    assert found.startswith("@@") or (line, column) == (value.start_mark.line + 1, value.start_mark.column + 1)
