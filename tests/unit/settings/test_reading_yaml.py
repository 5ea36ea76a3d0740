"""FL-64: no document gives a traceback; YAML's surprises are refused with their place."""

from __future__ import annotations

import contextlib
import json
import os
import random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.settings.loader import load_files
from gateway.settings.positions import Problems
from gateway.settings.yaml_reader import MAX_BYTES, read_documents, scalar_from_text
from tests.unit.settings.toy import GATEWAY, TOY, Secrets, channel

SEED = int(os.environ.get("FIELDPOST_TEST_SEED", "64"))
GOOD = channel(
    '  meter{01..03}: {unit: "{n}", profile: em, meta: {note: "a: b"}}\n'
    "  pump:\n    unit: 4\n    tags:\n      speed: {address: 7, type: uint16, range: [0, 1500], deadband: {percent: 1}}\n",
    head="defaults: {timeout: 1s}\ngroups: {fast: 500ms}\n",
)
PIECES = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "\t",
    "- ",
    "&a ",
    "*a",
    "!x ",
    "%",
    "#",
    "'",
    '"',
    "\n",
    "---\n",
    "<<: ",
    "\x00",
    "é",
    "${",
    "{n",
    "? ",
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("010", "010"),
        ("07", "07"),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        ("0x10", 16),
        ("-5", -5),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("True", "True"),
        ("+4", 4),
        ("1.", 1.0),
        ("0o7", "0o7"),
    ],
)
def test_only_plain_numbers_and_bools_are_more_than_text(text: str, value: object) -> None:
    problems = Problems()
    (document,) = read_documents("f.yaml", f"a: {text}\n", problems)
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)
    assert scalar_from_text(text) == value
    assert not problems.sorted()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "{a: " * 5_000,
        "a: " + "[" * 400 + "]" * 400,
        "\n".join(" " * n + "a:" for n in range(300)),
    ],
    ids=["flow", "dashes", "questions", "mappings", "closed", "indents"],
)
def test_a_document_cannot_exhaust_the_stack(text: str) -> None:
    problems = Problems()
    read_documents("f.yaml", text, problems)
    assert problems.sorted()


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    problems = Problems()
    read_documents("f.yaml", "\n".join(lines), problems)
    assert "alias" in problems.sorted()[0].message


def test_a_huge_file_and_a_huge_number_are_refused() -> None:
    problems = Problems()
    assert read_documents("f.yaml", "#" * (MAX_BYTES + 1), problems) == []
    read_documents("g.yaml", "a: 1e999\n", problems)
    read_documents("h.yaml", f"a: {'9' * 5000}\n", problems)
    assert [problem.file for problem in problems.sorted()] == ["f.yaml", "g.yaml", "h.yaml"]


@seed(SEED)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_fl_64_no_damage_to_a_file_gives_anything_but_problems_with_a_place(data: st.DataObject) -> None:
    """Cut, insert and swap at random places; what cannot load tells why, in a file of the tree."""
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.integers(0, 12)))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    files = {
        "gateway.yaml": GATEWAY,
        "channels/a.yaml": text,
        "profiles/em.yaml": 'em: {tags: {power: {type: int32, address: "{n + 1}"}}}\n',
    }
    try:
        load_files(files, {"toy": TOY}, env={}, credentials=Secrets())
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file in files
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.message


@seed(SEED)
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_fl_64_random_bytes_never_give_a_traceback(raw: bytes) -> None:
    files = {"gateway.yaml": raw, "channels/a.yaml": raw, "profiles/p.yaml": raw}
    with pytest.raises(ConfigError):
        load_files(files, {"toy": TOY}, env={}, credentials=Secrets())


_WORDS = (
    "gateway id uplinks urls tls key password store journal vars driver url devices defaults groups tags params profile "
    "extends type address range deadband labels write verify invalid interval every align select batch rate meta d{1..2} "
    "t min max percent n tenant path topic codec unit order forbidden"
)
_SCALARS = [
    *(None, True, False, 0, -1, 5, 10**30, 10**400, 1.5, 1e308, "", "x", "{n}", "{n", "{t}", "${env:X}", "${var:t}"),
    *(
        "5s",
        "a b",
        "mqtt://x",
        "http://[",
        "uint16",
        "bool",
        "p",
        "q",
        "flat",
        "toy",
        "é" * 3,
        "\u2028",
        "\ud83d",
        "01",
    ),
]


class Trees:
    """Random values under the words of the configuration."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._words = _WORDS.split(" ")

    def mapping(self, depth: int = 0) -> dict[str, object]:
        return {self._random.choice(self._words): self._value(depth + 1) for _ in range(self._random.randint(0, 5))}

    def _value(self, depth: int) -> object:
        kind = self._random.random()
        if depth > 4 or kind < 0.5:
            return self._random.choice(_SCALARS)
        if kind < 0.65:
            return [self._value(depth + 1) for _ in range(self._random.randint(0, 3))]
        return self.mapping(depth)


def test_fl_64_any_value_at_any_place_is_told_and_never_raises() -> None:
    """500 random trees; a failure names the seed to give as FIELDPOST_TEST_SEED."""
    print(f"FIELDPOST_TEST_SEED={SEED}")
    trees = Trees(SEED)
    for _ in range(500):
        one, two = trees.mapping(), trees.mapping()
        line = {"driver": "toy", "url": "x", "devices": {"d": two, "e{1..2}": {"tags": {"t": two}}}, **trees.mapping()}
        files = {
            "gateway.yaml": json.dumps({"gateway": {"id": "a"}, **one}),
            "channels/a.yaml": json.dumps(line),
            "profiles/p.yaml": json.dumps({"p": two, "q": trees.mapping()}),
        }
        with contextlib.suppress(ConfigError):
            load_files(files, {"toy": TOY}, env={"X": "5"}, credentials=Secrets())
