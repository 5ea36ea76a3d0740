"""Nodes in columns are what libyaml's own composer finds, place by place; a big file takes a few times its size."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry import Registry
from gateway.settings.loader import load_files
from gateway.settings.nodes import KINDS, Lines, Node, ScalarNode, Tree
from gateway.settings.positions import Problems
from gateway.settings.yaml_parser import MOST_ROWS, TooMany, trees_of
from gateway.settings.yaml_reader import read_documents
from tests.unit.settings.toy import GATEWAY, Secrets

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path
    for folder in ("config", "drivers", "tests/cases")
    for path in (ROOT / folder).rglob("*.y*ml")
    if "deep_nesting" not in path.parts  # refused before it is parsed
)
WORDS = (
    "a", "bc", "1", "1.5", "null", "~", "true", "x y", "ä", "\U0001f600", '"q\\n"', "'s'", '"two\n   lines"', "|\n   t\n", ">-\n   f\n   g\n",
    "&k ", "*k", "!t ", "!!int ", "! ", ": ", "- ", "? ", "{", "}", "[", "]", ", ", "\n", "\n  ", "\r\n", "\r", "\x85", "\u2028", "# c\n",
    "---\n", "...\n", "<<: ",
)  # fmt: skip
EDGEX = """- name: Tag{n}
  description: the value of tag {n}
  attributes: {{primaryTable: HOLDING_REGISTERS, startingAddress: {n}}}
  properties: {{valueType: Float32, readWrite: R, scale: "0.1", units: degC}}
"""
DEVICE = """deviceList:
- {name: D, profileName: P, protocols: {modbus-tcp: {Address: plc, Port: 502, UnitID: 1}}}
"""


def composed(text: str) -> list[Any]:
    """What libyaml's composer makes of a text, or the class of its error."""
    loader, found = yaml.CSafeLoader(text), []
    try:
        while loader.check_node():
            found.append(shape(loader.get_node(), {}))
    except yaml.YAMLError as error:
        found.append([type(error).__name__, str(getattr(error, "problem", ""))])
    finally:
        loader.dispose()
    return found


def shape(node: Any, seen: dict[Any, int]) -> Any:
    """A node with all its marks; one that was met before as its number."""
    known = seen.setdefault((node.tree, node.row) if isinstance(node, Node) else id(node), len(seen))
    start = node.start_mark
    marks = (
        start.index,
        start.line,
        start.column,
        node.end_mark.index,
    )  # at its end a text has one line more for libyaml
    if known < len(seen) - 1:
        return known
    if isinstance(node, ScalarNode | yaml.ScalarNode):
        return [marks, node.value, node.style or ""]
    below = [each for item in node.value for each in (item if isinstance(item, tuple) else (item,))]
    return [marks, bool(node.flow_style), node.tag, [shape(each, seen) for each in below]]


def grown(text: str) -> list[Any]:
    found: list[Any] = []
    try:
        found.extend(shape(tree.node(), {}) for tree in trees_of(text))
    except yaml.YAMLError as error:
        found.append([type(error).__name__, str(getattr(error, "problem", ""))])
    return found


def test_nodes_of_every_file_are_those_of_the_composer() -> None:
    texts = {str(path): path.read_bytes().decode("utf-8-sig", "replace") for path in FILES}
    assert len(texts) > 100
    assert [path for path, text in texts.items() if grown(text) != composed(text)] == []


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map("".join))
def test_nodes_of_any_text_are_those_of_the_composer(text: str) -> None:
    text += "\n"  # a text that does not end with a line has one more at its end, for libyaml
    assert grown(text) == composed(text)


@given(st.text(st.sampled_from("ab\n\r\x85\u2028\u2029"), max_size=30))
def test_lines_end_where_yaml_ends_them(text: str) -> None:
    lines = Lines(text)
    breaks = text.replace("\r\n", "\n\n")  # two characters, and one end
    for index in range(len(text) + 1):
        mark = lines.mark(index)
        before = text[:index]
        cut = before.endswith("\r") and text[index : index + 1] == "\n"
        ends = (
            before.count("\r\n") + sum(before.replace("\r\n", "").count(sign) for sign in "\n\r\x85\u2028\u2029") - cut
        )
        assert mark.line == ends
        assert mark.index == index
    assert len(breaks) == len(text)


def rows_by_key(tree: Tree, row: int) -> Iterator[tuple[str, int]]:
    for key, value in tree.pairs(row):
        if not tree.codes[key] & KINDS:
            yield tree.values[key], value


@pytest.mark.parametrize("count", [1, 20, 500])
def test_a_value_is_found_by_its_key_in_small_and_big_mappings(count: int) -> None:
    (tree,) = trees_of("".join(f"k{n}: {{v: {n}}}\n" for n in range(count)) + "k0: again\n")
    found = dict(reversed(list(rows_by_key(tree, 0))))
    assert {name: tree.find(0, name) for name in found} == found, "the first of two"
    assert tree.find(0, "none") == tree.find_key(0, "v") == -1


def test_a_value_of_a_list_is_found_by_its_number() -> None:
    (tree,) = trees_of("- a\n- [b, c]\n- d\n")
    assert [tree.values[tree.item(0, number)] for number in (0, 2)] == ["a", "d"]
    assert tree.item(0, 3) == tree.item(0, -1) == -1


def peak_of(text: str) -> int:
    """Bytes at most while a text is parsed."""
    gc.collect()
    tracemalloc.start()
    try:
        trees = list(trees_of(text))
        assert trees
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_parsed_file_takes_a_few_times_its_size() -> None:
    text = "name: P\ndeviceResources:\n" + "".join(EDGEX.format(n=n) for n in range(500))
    assert peak_of(text) < 8 * len(text), "an object for each value is more than 25 times"


def test_a_resource_of_a_big_profile_takes_little_while_it_is_loaded() -> None:
    count = 500
    profile = "name: P\ndeviceResources:\n" + "".join(EDGEX.format(n=n) for n in range(count))
    tree = {"gateway.yaml": GATEWAY, "profiles/p.yaml": profile, "channels/d.yaml": DEVICE}
    load_files(tree, Registry().load, env={}, credentials=Secrets())  # whatever is imported is there by now
    gc.collect()
    tracemalloc.start()
    try:
        loaded = load_files(tree, Registry().load, env={}, credentials=Secrets())
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(loaded.channels[0].devices[0].tags) == count
    assert peak / count < 6000, "bytes for each resource, all told"
    assert held / count < 2000, "bytes for each tag, afterwards"


@pytest.mark.parametrize("text", ["a: [" + "1," * (MOST_ROWS + 1) + "]\n", "- \n" * (MOST_ROWS + 1)])
def test_a_file_of_too_many_values_is_refused_before_it_is_a_tree(text: str) -> None:
    problems = Problems()
    assert read_documents("channels/line.yaml", text, problems) == []
    (problem,) = problems.sorted()
    assert str(problem).startswith(f"channels/line.yaml:1:1: more than {MOST_ROWS} keys and values")


def test_values_of_all_documents_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.settings.yaml_parser.MOST_ROWS", 100)
    assert len(list(trees_of("- - - a\n---\n" * 24 + "- a\n"))) == 25
    with pytest.raises(TooMany):
        list(trees_of("- - - a\n---\n" * 24 + "- - - - a\n"))
