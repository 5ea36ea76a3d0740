"""Files that want to hurt are refused at a place, quickly, and never with an exception."""

from __future__ import annotations

import pytest

from gateway.importing.report import Report
from gateway.importing.takeover import take_over

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "an alias bomb": (BOMB + "deviceResources: *i\n").encode(),
    "an alias of itself": b"deviceResources: &a\n- *a\n",
    "too large": b"deviceResources: [" + b"x, " * 17_000_000 + b"x]",
    "too many values": b"deviceResources:\n" + b"- {name: x}\n" * 600_000,
    "flow too deep": b"deviceResources: " + b"[" * 100_000 + b"]" * 100_000,
    "blocks too deep": b"deviceResources:\n" + b"- " * 5000 + b"x\n",
    "indented too deep": "".join(f"{' ' * depth}deviceResources:\n" for depth in range(300)).encode(),
    "JSON too deep": b'{"deviceResources": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "cut in a quote": b'name: "Test\ndeviceResources: []',
    "cut JSON": b'{"master": {"slaves": [',
    "a tab": b"deviceResources:\n\t- name: x\n",
    "a key twice": b"name: a\nname: b\ndeviceResources: []\n",
    "a list as key": b"? [a, b]\n: c\ndeviceResources: []\n",
    "a merge": b"base: &b {name: x}\ndeviceResources:\n- <<: *b\n",
    "a tag": b"deviceResources: !!python/object/apply:os.system [ls]\n",
    "binary": b"deviceResources: !!binary aGk=\n",
    "no UTF-8": b"name: \xff\xfe\xfa\ndeviceResources: []\n",
    "half of UTF-16": b"\xff\xfea",
    "NUL bytes": b"name: a\x00b\ndeviceResources: []\n",
    "empty": b"",
    "a comment alone": b"# nothing\n",
    "a text": b"hello world\n",
    "a list": b"- 1\n- 2\n",
    "something else": b"name: x\nkind: Pod\napiVersion: v1\n",
    "the first schema of EdgeX": b"name: p\nresources:\n- {name: x, properties: {value: {type: Int16}}}\nproperties: {}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_with_a_place(name: str) -> None:
    report = Report()
    draft = take_over({"in/file.yaml": HOSTILE[name]}, report)
    problems = report.problems.sorted()
    assert problems
    assert all(problem.file == "in/file.yaml" and problem.line >= 1 and problem.column >= 1 for problem in problems)
    assert not draft.channels
    assert not draft.profiles


def test_a_list_without_rows_is_an_error_and_not_an_empty_profile() -> None:
    report = Report()
    take_over({"line.csv": b"group,name,address,attribute,type,description,precision,decimal\n"}, report)
    assert ["no tags" in problem.message for problem in report.problems.sorted()] == [True]
