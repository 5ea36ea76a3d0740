"""Any damage to a file gives problems or notes, never an exception, and what is drawn can be loaded or is told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.importing.draft import Options
from gateway.importing.writing import files_of
from tests.unit.importing.kubeedge.kit import CASES, draft_of, fixtures

PRESS = (CASES / "press.yaml").read_text()
_ODD = [
    "",
    "null",
    "[]",
    "{}",
    "[1, [2]]",
    "{a: {b: c}}",
    "true",
    "-1",
    "1e400",
    "0x10",
    "'",
    "\t",
    "*a",
    "!x y",
    "${env:A}",
    "{n}",
]


def damaged(text: str, draw: st.DataObject) -> str:
    lines = text.splitlines()
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(lines) - 1))
        way = draw.draw(st.sampled_from(["cut", "delete", "value", "indent", "twice"]))
        if way == "cut":
            lines = lines[: max(at, 1)]
        elif way == "delete" and len(lines) > 1:
            del lines[at]
        elif way == "twice":
            lines.insert(at, lines[at])
        elif way == "indent":
            lines[at] = " " + lines[at]
        elif ":" in lines[at]:
            lines[at] = lines[at].partition(":")[0] + ": " + draw.draw(st.sampled_from(_ODD))
    return "\n".join(lines)


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_gives_problems_and_never_an_exception(data: st.DataObject) -> None:
    draft, _ = draft_of(
        damaged(PRESS, data), Options(seed_shadow=True, node=data.draw(st.sampled_from(["", "edge-1"])))
    )
    files_of(draft)


def test_the_fixtures_damaged_at_every_value_give_no_exception() -> None:
    rng = random.Random(7)
    for name, raw in fixtures().items():
        lines = raw.decode().splitlines()
        for at, line in enumerate(lines):
            if ":" in line and not line.lstrip().startswith("#"):
                changed = [*lines[:at], line.partition(":")[0] + ": " + rng.choice(_ODD), *lines[at + 1 :]]
                files_of(draft_of({name: "\n".join(changed).encode()}, Options(seed_shadow=True))[0])


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: devices.kubeedge.io/v1beta1\nkind: Device\nmetadata: &a {name: x, labels: [*a, *a]}\nspec: {}\n",
        "apiVersion: devices.kubeedge.io/v1beta1\nkind: Device\nmetadata: {name: x}\nspec: " + "[" * 500 + "]" * 500,
        "apiVersion: devices.kubeedge.io/v1beta1\nkind: Device\nmetadata: {name: x}\nspec: {a: \x00}\n",
        "apiVersion: devices.kubeedge.io/v1beta1\nkind: DeviceModel\nmetadata: {name: x}\nspec: {properties: ["
        + ", ".join(f"{{name: p{number}, type: INT, type: INT}}" for number in range(5000))
        + "]}\n",
    ],
    ids=["alias", "deep", "nul", "many faults"],
)
def test_hostile_files_are_refused_at_their_place(text: str) -> None:
    _, report = draft_of(text)
    assert len(report.problems) and all(problem.line for problem in report.problems.sorted())
